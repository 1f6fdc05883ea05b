"""The synthesis network of StyleGAN2 with skip connections: from w to an image, doubling a learned 4x4 constant.

    4x4:  constant -> conv -> to colours                                       w0, w1
    then, for each doubling:  conv up -> conv -> to colours, + enlarged image  w1, w2, w3; w3, w4, w5; ...

A layer to colours shares its w with the first layer of the next resolution.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from octosr.nn.winograd import suits
from octosr.techniques.apa.activation import CLAMP, finish
from octosr.techniques.apa.layers import EqualLinear, channels, low_precision_from, precisions, sides
from octosr.techniques.apa.mapping import LATENT, Mapping
from octosr.techniques.apa.modulated import modulated_conv, modulated_rgb
from octosr.techniques.apa.resample import image_up


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, noise, bias and leaky ReLU.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        side: R, of what goes out.
        up: whether R/2 comes in.
        latent: length of w.

    Attributes:
        noise: one fixed map (R, R) for sampling; training draws new ones.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, side: int, *, up: bool, latent: int) -> None:
        super().__init__()
        self.side, self.up = side, up
        self.affine = EqualLinear(latent, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(side, side))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None, once: bool = False) -> Tensor:
        """(N, inputs, ., .) -> (N, outputs, R, R).

        Args:
            x: feature maps.
            w: (N, latent).
            noise: standard normal, (N, R*R); None: the fixed map.
            once: see :func:`~octosr.techniques.apa.modulated.modulated_conv`.
        """
        out, scale = modulated_conv(x, self.weight, self.affine(w), up=self.up, once=once)
        maps = self.noise[None, None] if noise is None else noise.view(-1, 1, self.side, self.side)
        kind = out.dtype
        return finish(out, scale.to(kind), maps.to(kind), self.noise_strength.to(kind), self.bias.to(kind), CLAMP)


class ToColours(nn.Module):
    """A modulated 1x1 convolution to three channels, without demodulation and non-linearity."""

    def __init__(self, inputs: int, *, latent: int) -> None:
        super().__init__()
        self.affine = EqualLinear(latent, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, inputs, R, R) and (N, latent) -> (N, 3, R, R), in the precision of the weights."""
        styles = self.affine(w) / math.sqrt(self.weight.shape[1])
        out = modulated_rgb(x, self.weight[:, :, 0, 0], styles)
        return (out + self.bias.to(out.dtype)[:, None, None]).clamp(-CLAMP, CLAMP).to(self.weight.dtype)


class Synthesis(nn.Module):
    """From one w a layer to an image.

    Args:
        resolution: R, a power of two from 8.
        width: factor on the feature maps, see :func:`~octosr.techniques.apa.layers.channels`.
        latent: length of w.

    Attributes:
        styles: how many w an image has, 2 log2(R) - 2.
        noise_numbers: how many random numbers the noise of one image takes.
    """

    def __init__(self, resolution: int, width: float, latent: int = LATENT) -> None:
        super().__init__()
        self.resolution = resolution
        self.low_from = low_precision_from(resolution)
        self.constant = nn.Parameter(torch.randn(channels(4, width), 4, 4))
        steps = [(4, channels(4, width), channels(4, width), False)]
        for small, large in pairwise(sides(resolution)):
            steps += [(large, channels(small, width), channels(large, width), True)]
            steps += [(large, channels(large, width), channels(large, width), False)]
        self.convs = nn.ModuleList(StyledConv(i, o, side, up=up, latent=latent) for side, i, o, up in steps)
        self.colours = nn.ModuleList(ToColours(channels(side, width), latent=latent) for side in sides(resolution))
        self.styles = len(steps) + 1
        self.noise_numbers = sum(side * side for side, *_ in steps)

    def forward(self, ws: Tensor, noise: Tensor | None = None, once: bool = False) -> Tensor:
        """Make images.

        Args:
            ws: (N, styles, latent).
            noise: standard normal, (N, noise_numbers); None: the fixed maps, so that the same w is the same image.
            once: see :func:`~octosr.techniques.apa.modulated.modulated_conv`.

        Returns:
            (N, 3, R, R), about -1 to 1, in the precision of the weights.
        """
        with precisions(ws.device, self.constant.dtype) as low:
            return self._images(ws.to(self.constant.dtype), noise, low, once and suits(self.constant))

    def _images(self, ws: Tensor, noise: Tensor | None, low: torch.dtype, once: bool) -> Tensor:
        per_layer = ws.unbind(1)
        parts = [None] * len(self.convs) if noise is None else noise.split([c.side**2 for c in self._convs()], 1)
        x = self.constant.expand(len(ws), -1, -1, -1)
        if once or self._convs()[0].weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        for index, conv in enumerate(self._convs()):
            x = conv(x.to(low) if conv.side >= self.low_from else x, per_layer[index], parts[index], once)
            if index % 2 == 0:
                colours = self.colours[index // 2](x, per_layer[index + 1])
                image = colours if image is None else image_up(image) + colours
        assert image is not None
        return image

    def _convs(self) -> list[StyledConv]:
        return [conv for conv in self.convs if isinstance(conv, StyledConv)]


class Generator(nn.Module):
    """Mapping and synthesis network; the moving average of its weights is what is kept."""

    def __init__(self, resolution: int, width: float, mapping_layers: int, latent: int = LATENT) -> None:
        super().__init__()
        self.mapping = Mapping(mapping_layers, latent)
        self.synthesis = Synthesis(resolution, width, latent)

    def styles(self, z: Tensor, psi: float = 1.0) -> Tensor:
        """The same w for every layer: (N, latent) -> (N, styles, latent)."""
        w = self.mapping.truncate(self.mapping(z), psi)
        return w[:, None].expand(-1, self.synthesis.styles, -1)

    def forward(self, z: Tensor, psi: float = 1.0, once: bool = False) -> Tensor:
        """Images of latents with the fixed noise, (N, latent) -> (N, 3, R, R)."""
        images: Tensor = self.synthesis(self.styles(z, psi), once=once)
        return images
