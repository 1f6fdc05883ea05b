"""The layers of FastGAN's two networks: convolutions of spectral norm 1, blocks that halve and double, excitation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from octosr.nn.convolution import convolve
from octosr.nn.winograd import suits
from octosr.techniques.fastgan import enlarging

SLOPE = 0.2
"""Of every leaky ReLU."""
FOLD_FROM = 16
"""Side from which enlargement is folded into the convolution; smaller maps have too many weights for it to pay."""
_GATE_NUMBERS = 2**16
"""Numbers of a gradient that are done together, so that what is between them and the result stays in a cache."""


class _OverSigma(torch.autograd.Function):
    """W / sigma with sigma = u' W v: two passes over the weight backwards, where autograd would make five."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
        sigma = torch.dot(u, torch.mv(weight.flatten(1), v))
        normed = weight / sigma
        ctx.save_for_backward(normed, u, v, sigma)
        return normed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        normed, u, v, sigma = ctx.saved_tensors
        gradient = gradients[0]
        along = torch.dot(gradient.reshape(-1), normed.reshape(-1))
        flat = torch.addr(gradient.reshape(len(u), -1), u * -along, v)
        return flat.div_(sigma).view_as(gradient), None, None


class SpectralConv(nn.Module):
    """Convolution without bias whose weight is divided by its largest singular value (Miyato et al., ICLR 2018).

    The singular vectors are followed by power iteration, one step each time :func:`follow_spectra` is called: before
    every pass of a network in training, as published. A pass itself changes nothing, so that it may be repeated.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the weight.
        stride: of the convolution.
        padding: zeros on each side.
        doubling: nearest-neighbour enlargement by 2 first. It is not carried out: on CPUs
            :mod:`~octosr.techniques.fastgan.enlarging` has the same map with a quarter of the multiplications, and
            elsewhere, from 16 pixels on, the 3x3 weight is folded into a transposed convolution of 4x4 taps and stride
            2, with 4/9 of them; nothing enlarged is kept for the backward pass. The norm is that of the 3x3 weight.
        transposed: a transposed convolution; the weight is (inputs, outputs, kernel, kernel) and its matrix has the
            outputs as rows.
    """

    u: Tensor
    v: Tensor

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *,
        stride: int = 1, padding: int = 0, doubling: bool = False, transposed: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(*shape, kernel, kernel) * 0.02)
        self.stride, self.padding, self.doubling, self.transposed = stride, padding, doubling, transposed
        self.register_buffer("u", F.normalize(torch.randn(outputs), dim=0, eps=1e-12))
        self.register_buffer("v", F.normalize(torch.randn(inputs * kernel**2), dim=0, eps=1e-12))

    def rows(self) -> Tensor:
        """The weight with the outputs first."""
        return self.weight.transpose(0, 1) if self.transposed else self.weight

    @torch.no_grad()
    def follow(self) -> None:
        """One step of power iteration."""
        matrix = self.rows().flatten(1)
        with torch.autocast(matrix.device.type, enabled=False):
            self.v.copy_(F.normalize(torch.mv(matrix.t(), self.u), dim=0, eps=1e-12))
            self.u.copy_(F.normalize(torch.mv(matrix, self.v), dim=0, eps=1e-12))

    def normed(self) -> Tensor:
        """The weight over its largest singular value, outputs first; in full precision whatever autocast says."""
        with torch.autocast(self.weight.device.type, enabled=False):
            normed: Tensor = _OverSigma.apply(self.rows().contiguous(), self.u, self.v)
            return normed

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        weight = self.normed()
        if self.doubling and enlarging.worthwhile(x, len(weight)):
            return enlarging.doubling_conv(x, weight)
        if self.doubling and x.shape[-1] >= FOLD_FROM:
            return F.conv_transpose2d(x, fold(weight), stride=2, padding=1)
        if self.doubling:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if suits(x) and weight.is_contiguous() and weight.numel() > x.numel():
            # The gradient of a weight comes in the layout of the maps: small maps are turned sooner than large weights.
            x = x.contiguous()
        if self.transposed:
            return F.conv_transpose2d(x, weight.transpose(0, 1), stride=self.stride, padding=self.padding)
        if (weight.shape[-1], self.stride, self.padding) == (3, 1, 1):
            return convolve(x, weight)
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)


def fold(weight: Tensor) -> Tensor:
    """Taps of the transposed convolution (stride 2, padding 1) that enlarges by 2 and convolves with a 3x3 weight.

    Each tap is the sum of the one, two or four taps that meet the same small pixel.

    Args:
        weight: (O, I, 3, 3).

    Returns:
        (I, O, 4, 4).

    >>> x, w = torch.randn(1, 2, 3, 5).double(), torch.randn(4, 2, 3, 3).double()
    >>> plain = F.conv2d(F.interpolate(x, scale_factor=2), w, padding=1)
    >>> torch.allclose(F.conv_transpose2d(x, fold(w), stride=2, padding=1), plain, atol=1e-12)
    True
    """
    taps = weight.flip(2, 3)
    padded = F.pad(taps, (0, 0, 1, 1))
    taps = padded[:, :, 1:] + padded[:, :, :-1]
    padded = F.pad(taps, (1, 1))
    return (padded[..., 1:] + padded[..., :-1]).transpose(0, 1)


def follow_spectra(network: nn.Module, steps: int = 1, without: Sequence[nn.Module] = ()) -> None:
    """Steps of power iteration in all convolutions of a network.

    Args:
        network: with all its parts.
        steps: how many.
        without: parts that the next pass does not run; their vectors stay, as published.
    """
    left = {module for part in without for module in part.modules()}
    for module in network.modules():
        if isinstance(module, SpectralConv) and module not in left:
            for _ in range(steps):
                module.follow()


def pixel_by_pixel(x: Tensor) -> Tensor:
    """Feature maps in channels_last memory where that is the layout of the fast convolutions, so that none has both."""
    return x.contiguous(memory_format=torch.channels_last) if suits(x) else x


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation that begins as published: scales N(1, 0.02^2), offsets 0."""
    layer = nn.BatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


def gate(x: Tensor) -> Tensor:
    """Half of the channels times the sigmoid of the other half, (B, 2 C, H, W) -> (B, C, H, W).

    ``F.glu``, whose backward pass is three times slower on CPUs where the channels of a pixel are neighbours in memory.
    """
    if suits(x) and x.is_contiguous(memory_format=torch.channels_last):
        result: Tensor = _Gate.apply(x)
        return result
    return F.glu(x, dim=1)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.glu(x, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        result, channels = torch.empty_like(x), gradients[0].shape[1]
        pixels = [maps.permute(0, 2, 3, 1).flatten(0, 2) for maps in (x, gradients[0], result)]
        rows = max(1, _GATE_NUMBERS // channels)
        for values, gradient, out in zip(*(maps.split(rows) for maps in pixels), strict=True):
            sigmoid = torch.sigmoid(values[:, channels:])
            torch.mul(gradient, sigmoid, out=out[:, :channels])
            product = out[:, :channels] * values[:, :channels]
            torch.addcmul(product, product, sigmoid, value=-1, out=out[:, channels:])
        return result


class Noise(nn.Module):
    """Adds one map of noise to all channels, by a learned strength that begins at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """``noise`` (B, 1, H, W) for features (B, C, H, W)."""
        return x + self.strength * noise


class UpBlock(nn.Module):
    """Enlargement by 2, convolution, normalisation, gate: (B, i, H, W) -> (B, o, 2H, 2W).

    Args:
        inputs: channels.
        outputs: channels.
        noisy: adds noise, and has a second convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, noisy: bool = False) -> None:
        super().__init__()
        self.conv = SpectralConv(inputs, 2 * outputs, 3, padding=1, doubling=True)
        self.norm = batch_norm(2 * outputs)
        self.noisy = noisy
        if noisy:
            self.noise, self.noise2 = Noise(), Noise()
            self.conv2, self.norm2 = SpectralConv(outputs, 2 * outputs, 3, padding=1), batch_norm(2 * outputs)

    def forward(self, x: Tensor, noise: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """``noise``: two maps (B, 1, 2H, 2W) where the block is noisy."""
        x = self.conv(x)
        if noise is not None:
            x = self.noise(x, noise[0])
        x = gate(self.norm(x))
        if noise is None:
            return x
        return gate(self.norm2(self.noise2(self.conv2(x), noise[1])))


class Excitation(nn.Module):
    """Skip-layer excitation: small features say how strongly each channel of large ones counts.

    Args:
        inputs: channels of the small features.
        outputs: channels of the large ones.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.conv2 = SpectralConv(inputs, outputs, 4), SpectralConv(outputs, outputs, 1)

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        """(B, i, h, w) and (B, o, H, W) -> (B, o, H, W)."""
        gate = F.silu(self.conv(F.adaptive_avg_pool2d(small, 4)))
        return large * torch.sigmoid(self.conv2(gate))


class Down(nn.Module):
    """Strided convolution, normalisation, leaky ReLU: (B, i, H, W) -> (B, o, H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.norm = SpectralConv(inputs, outputs, 4, stride=2, padding=1), batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Halve."""
        return F.leaky_relu(self.norm(self.conv(x)), SLOPE)


class TwoWayDown(nn.Module):
    """The mean of two ways to halve: two convolutions, and averaging with a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = Down(inputs, outputs)
        self.conv, self.norm = SpectralConv(outputs, outputs, 3, padding=1), batch_norm(outputs)
        self.direct, self.direct_norm = SpectralConv(inputs, outputs, 1), batch_norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, i, H, W) -> (B, o, H/2, W/2)."""
        main = F.leaky_relu(self.norm(self.conv(self.down(x))), SLOPE)
        direct = F.leaky_relu(self.direct_norm(self.direct(F.avg_pool2d(x, 2))), SLOPE)
        return (main + direct) / 2
