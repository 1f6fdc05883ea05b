"""The two networks of BlindSR (Cornillere et al., SIGGRAPH Asia 2019), as its first author's public code has them.

The generator enlarges an LR image for a given blur kernel; the kernel discriminator says what error the generator made
because the kernel is wrong. Both are dense residual networks at the resolution of the LR image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Sizes(NamedTuple):
    """Sizes of both networks; the defaults are the published ones.

    ``code`` is the length of a kernel's code, ``features`` the width, ``growth`` and ``layers`` are those of
    :class:`DenseBlock`, and ``blocks`` says how many of these a network has (None: twice the scale).
    """

    code: int = 15
    features: int = 64
    growth: int = 16
    layers: int = 5
    blocks: int | None = None


PUBLISHED_SIZES = Sizes()


def phases_to_channels(images: Tensor, scale: int) -> Tensor:
    """(B, C, s*h, s*w) to (B, C*s*s, h, w): channel ``c + C*(column phase + s*row phase)``, the published order.

    ``torch.pixel_unshuffle`` has the phases fastest instead.

    >>> phases_to_channels(torch.arange(4.0).view(1, 1, 2, 2), 2).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    batch, channels, height, width = images.shape
    parts = images.reshape(batch, channels, height // scale, scale, width // scale, scale)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * scale**2, height // scale, width // scale)


def channels_to_phases(maps: Tensor, scale: int) -> Tensor:
    """The inverse of :func:`phases_to_channels`."""
    batch, channels, height, width = maps.shape
    parts = maps.reshape(batch, scale, scale, channels // scale**2, height, width)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(batch, channels // scale**2, height * scale, width * scale)


def as_map(codes: Tensor, like: Tensor) -> Tensor:
    """Codes (B, C), one for each whole image, as a map (B, C, h, w) of the size of ``like``; a map stays as it is."""
    if codes.ndim == 4:
        return codes
    return codes[:, :, None, None].expand(-1, -1, *like.shape[-2:])


def initialise(network: Generator | Discriminator) -> None:
    """Weights to begin training with: signals keep their size through the layers, what is added at the end is small.

    He et al., ICCV 2015 (arXiv:1502.01852). Ours: the public code has PyTorch's own, with which signals fade from
    layer to layer and the first thousands of steps of training find nothing better than to add nothing.
    """
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        elif not name.startswith("encoder."):
            nn.init.zeros_(parameter)
    with torch.no_grad():
        network.last.weight.mul_(0.1)
        for block in network.trunk.blocks:
            assert isinstance(block, DenseBlock)
            block.last.weight.mul_(0.6 / len(network.trunk.blocks))  # their outputs add up


class DenseBlock(nn.Module):
    """Five layers that each see all before them; 127,600 parameters at the published size.

    A layer is a 1x1 convolution, ReLU and a 3x3 convolution to ``growth`` channels. The first layer sees the input as
    it is, the others ReLU of everything before them.

    Args:
        features: channels in and out.
        growth: channels that each layer adds.
        layers: how many.

    >>> sum(p.numel() for p in DenseBlock().parameters())
    127600
    """

    def __init__(self, features: int = 64, growth: int = 16, layers: int = 5) -> None:
        super().__init__()
        widths = [features + growth * n for n in range(layers + 1)]
        self.mixes = nn.ModuleList(nn.Conv2d(w, w, 1) for w in widths[:-1])
        self.convs = nn.ModuleList(nn.Conv2d(w, growth, 3, padding=1) for w in widths[:-1])
        self.last = nn.Conv2d(widths[-1], features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, h, w) to the same, without the residual connection around the block."""
        # ReLU of what has been through it changes nothing: each part goes once. In place, since neither convolution nor
        # concatenation needs its own result for its gradient.
        grown = self.convs[0](F.relu_(self.mixes[0](x)))
        seen = F.relu_(torch.cat((x, grown), 1))
        for mix, conv in zip(self.mixes[1:], self.convs[1:], strict=True):
            grown = F.relu_(conv(F.relu_(mix(seen))))
            seen = torch.cat((seen, grown), 1)
        return F.relu_(self.last(seen))


class _Trunk(nn.Module):
    """First convolution and dense blocks, each with a residual connection: what both networks are made of."""

    def __init__(self, inputs: int, scale: int, sizes: Sizes) -> None:
        super().__init__()
        blocks = 2 * scale if sizes.blocks is None else sizes.blocks
        self.first = nn.Conv2d(inputs, sizes.features, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(sizes.features, sizes.growth, sizes.layers) for _ in range(blocks))
        self.layers = sizes.layers

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            # The CPU's convolutions reorder other layouts before and after each call, a third of their time.
            x = x.contiguous(memory_format=torch.channels_last)
        x = F.relu_(self.first(x))
        for block in self.blocks:
            x = x + block(x)
        return x


class Generated(NamedTuple):
    """What the generator made: ``sr`` (B, 3, s*h, s*w), not clamped, and what the discriminator sees of it.

    That is ``features`` (B, 64, h, w) and ``codes`` (B, 15, h, w).
    """

    sr: Tensor
    features: Tensor
    codes: Tensor


class Generator(nn.Module):
    """The degradation-aware generator; 538,058 parameters at x2 with kernels of 15 pixels.

    Args:
        scale: the factor s.
        kernel_size: side K of the kernels.
        sizes: of the network.

    >>> sum(p.numel() for p in Generator(2, 15).parameters())
    538058
    """

    def __init__(self, scale: int, kernel_size: int, sizes: Sizes = PUBLISHED_SIZES) -> None:
        super().__init__()
        self.scale = scale
        phases = 3 * scale**2
        self.encoder = nn.Linear(kernel_size**2, sizes.code)
        self.trunk = _Trunk(3 + phases + sizes.code, scale, sizes)
        self.last = nn.Conv2d(sizes.features, phases, 3, padding=1)
        initialise(self)

    def encode(self, kernels: Tensor) -> Tensor:
        """The codes of kernels, (..., K, K) to (..., C): one linear map of all taps."""
        return self.encoder(kernels.flatten(-2).to(self.encoder.weight.dtype))

    def forward(self, lr: Tensor, enlarged: Tensor, codes: Tensor) -> Generated:
        """Enlarge.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            enlarged: ``lr`` enlarged by bicubic interpolation, (B, 3, s*h, s*w).
            codes: (B, C), one kernel for the whole image, or (B, C, h, w), a kernel for each pixel.
        """
        codes = as_map(codes, lr)
        features = self.trunk(torch.cat((lr, phases_to_channels(enlarged, self.scale), codes), 1))
        sr = enlarged + channels_to_phases(self.last(features), self.scale)
        return Generated(sr, features, codes)


class Calibration(nn.Module):
    """From the errors of a grid of kernels to how likely each is, see ``calibration``: 812 parameters for 28 kernels.

    Args:
        kernels: G, how many.

    >>> Calibration(3)(torch.tensor([[0.2, 0.1, 0.3]])).argmax(1)
    tensor([1])
    """

    def __init__(self, kernels: int) -> None:
        super().__init__()
        # Not initialised at random, which would change what the networks built after it begin with.
        self.map = nn.utils.skip_init(nn.Linear, kernels, kernels)
        nn.init.zeros_(self.map.bias)
        with torch.no_grad():  # to begin with, a kernel is as likely as its error is small
            self.map.weight.copy_(-3 * torch.eye(kernels))

    def forward(self, errors: Tensor) -> Tensor:
        """Logarithms of probabilities up to a constant, (N, G) to (N, G)."""
        centred = errors - errors.mean(1, keepdim=True)
        spread = centred.square().mean(1, keepdim=True).sqrt()
        # An image without detail has no error with any kernel: the same for all of them.
        standardised = centred / torch.where(spread > 0, spread, torch.ones_like(spread))
        return self.map(standardised.to(self.map.weight.dtype))


class Discriminator(nn.Module):
    """The kernel discriminator; 564,620 parameters at x2. Nothing in it is adversarial: it is trained to regress.

    It judges the generator's features and never sees the image they make.

    Args:
        scale: the factor s.
        sizes: of the network, and of the generator it judges.

    >>> sum(p.numel() for p in Discriminator(2).parameters())
    564620
    """

    def __init__(self, scale: int, sizes: Sizes = PUBLISHED_SIZES) -> None:
        super().__init__()
        self.scale = scale
        self.trunk = _Trunk(3 + sizes.features + sizes.code, scale, sizes)
        self.last = nn.Conv2d(sizes.features, 3 * scale**2, 3, padding=1)
        initialise(self)

    def forward(self, lr: Tensor, features: Tensor, codes: Tensor) -> Tensor:
        """The signed error that a wrong kernel has caused: the image less the one of the true kernel.

        Args:
            lr: (B, 3, h, w).
            features: of the generator, (B, 64, h, w).
            codes: (B, C) or (B, C, h, w), those the generator was given.

        Returns:
            (B, 3, s*h, s*w).
        """
        x = self.trunk(torch.cat((lr, features, as_map(codes, lr)), 1))
        return channels_to_phases(self.last(x), self.scale)
