"""StyleGAN2 in its straight form, for the speed check: what is published, operation by operation, on our parameters.

Filters are passes of their own, noise, bias, leaky ReLU, gain and clamp are passes of their own, and maps are held
channel by channel. Modulated convolutions come in both published forms: ``scaled`` (inputs and outputs are scaled,
which the public code trains with) and ``grouped`` (weights are made for each image).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.techniques.apa.discriminator import Block, Discriminator, EqualConv
from octosr.techniques.apa.synthesis import StyledConv, Synthesis, ToColours


def kernel(like: Tensor, gain: float, count: int) -> Tensor:
    """The low-pass filter for so many channels."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=like.dtype, device=like.device)
    return (taps[:, None] * taps * (gain / 64)).expand(count, 1, 4, 4)


def activate(x: Tensor, bias: Tensor, gain: float = math.sqrt(2), bound: float = 256.0) -> Tensor:
    """Bias, leaky ReLU, gain and clamp."""
    return (F.leaky_relu(x + bias[:, None, None], 0.2) * gain).clamp(-bound, bound)


class PlainSynthesis:
    """From w to images.

    Args:
        network: whose parameters are used.
        grouped: make weights for each image.
    """

    def __init__(self, network: Synthesis, grouped: bool) -> None:
        self.network, self.grouped = network, grouped

    def __call__(self, ws: Tensor, noise: Tensor) -> Tensor:
        """(N, styles, latent) and (N, noise_numbers) -> (N, 3, R, R)."""
        convs = [conv for conv in self.network.convs if isinstance(conv, StyledConv)]
        noises = noise.split([conv.side**2 for conv in convs], 1)
        x = self.network.constant[None].repeat(len(ws), 1, 1, 1)
        image = None
        for index, conv in enumerate(convs):
            x = self.convolve(x, conv.weight, conv.affine(ws[:, index]), conv.up)
            x = activate(x + noises[index].view(-1, 1, conv.side, conv.side) * conv.noise_strength, conv.bias)
            if index % 2 == 0:
                colours = self.network.colours[index // 2]
                assert isinstance(colours, ToColours)
                styles = colours.affine(ws[:, index + 1]) / math.sqrt(x.shape[1])
                rgb = F.conv2d(x * styles[:, :, None, None], colours.weight) + colours.bias[:, None, None]
                rgb = rgb.clamp(-256, 256)
                image = rgb if image is None else self.enlarge(image) + rgb
        assert image is not None
        return image

    def enlarge(self, image: Tensor) -> Tensor:
        """Zeros in between, then the filter."""
        n, c, h, w = image.shape
        spread = F.pad(image.view(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1)).view(n, c, 2 * h, 2 * w)
        return F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel(image, 4.0, c), groups=c)

    def convolve(self, x: Tensor, weight: Tensor, styles: Tensor, up: bool) -> Tensor:
        """The modulated and demodulated convolution; both forms make the weights of each image for the demodulation."""
        count, outputs = len(x), len(weight)
        w = weight[None] * styles[:, None, :, None, None]
        scale = (w.square().sum((2, 3, 4)) + 1e-8).rsqrt()
        if not self.grouped:
            x = x * styles[:, :, None, None]
            out = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2) if up else F.conv2d(x, weight, padding=1)
            if up:
                out = F.conv2d(out, kernel(x, 4.0, outputs), padding=1, groups=outputs)
            return out * scale[:, :, None, None]
        w = w * scale[:, :, None, None, None]
        x = x.reshape(1, -1, *x.shape[2:])
        if up:
            out = F.conv_transpose2d(x, w.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
            out = F.conv2d(out, kernel(x, 4.0, count * outputs), padding=1, groups=count * outputs)
        else:
            out = F.conv2d(x, w.flatten(0, 1), padding=1, groups=count)
        return out.view(count, outputs, *out.shape[2:])


class PlainScore:
    """From images to scores."""

    def __init__(self, network: Discriminator) -> None:
        self.network = network

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, R, R) -> (N,)."""
        net, half = self.network, math.sqrt(0.5)
        x = self.convolve(net.from_colours, images)
        for block in net.blocks:
            assert isinstance(block, Block)
            skip = self.convolve(block.skip, x, half)
            x = skip + self.convolve(block.conv1, self.convolve(block.conv0, x), half)
        group = min(net.group, len(x))
        y = x.reshape(group, -1, *x.shape[1:])
        spread = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(group)
        x = torch.cat((x, spread[:, None, None, None].expand(-1, 1, 4, 4)), 1)
        scores: Tensor = net.out(net.hidden(self.convolve(net.conv, x).flatten(1)))
        return scores[:, 0]

    def convolve(self, layer: EqualConv, x: Tensor, gain: float = 1.0) -> Tensor:
        """A layer of the discriminator."""
        size = layer.weight.shape[-1]
        weight = layer.weight / math.sqrt(layer.weight[0].numel())
        if not layer.down:
            out = F.conv2d(x, weight, padding=size // 2)
        elif size == 1:
            smooth = F.conv2d(x, kernel(x, 1.0, x.shape[1]), padding=1, groups=x.shape[1])[..., ::2, ::2]
            out = F.conv2d(smooth, weight)
        else:
            out = F.conv2d(F.conv2d(x, kernel(x, 1.0, x.shape[1]), padding=2, groups=x.shape[1]), weight, stride=2)
        return out * gain if layer.bias is None else activate(out, layer.bias, math.sqrt(2) * gain, 256.0 * gain)
