"""The residual discriminator of StyleGAN2: an image in, one number out, high for real."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.errors import ConfigError
from octosr.nn.convolution import conv3x3, worthwhile
from octosr.nn.winograd import suits
from octosr.techniques.apa.activation import CLAMP, GAIN, leaky_clamp
from octosr.techniques.apa.layers import EqualLinear, channels, low_precision_from, precisions, sides
from octosr.techniques.apa.resample import conv_down, form_for, image_down


class EqualConv(nn.Module):
    """A convolution with equalised learning rate, bias and leaky ReLU.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        size: of the kernel, 1 or 3.
        down: halve the sides.
        activate: with bias and leaky ReLU; otherwise a linear layer without bias.
        gain: factor on what comes out, and on the bound of it.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, *, down: bool = False, activate: bool = True, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs)) if activate else None
        self.down = down
        self.bound = CLAMP * gain
        # A leaky ReLU scales with its argument: its gain goes to the weights and the biases, and costs nothing.
        self.bias_gain = gain * (GAIN if activate else 1.0)
        self.weight_gain = self.bias_gain / math.sqrt(inputs * size**2)

    def forward(self, x: Tensor, once: bool = False) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H, W), or half the sides, in the precision of x.

        Args:
            x: feature maps.
            once: no second derivatives are wanted, so that a faster convolution may be used.
        """
        weight = (self.weight * self.weight_gain).to(x.dtype)
        bias = None if self.bias is None else (self.bias * self.bias_gain).to(x.dtype)
        if once and not self.down and weight.shape[-1] == 3 and worthwhile(x, len(weight)):
            out = conv3x3(x, weight, bias)
        elif not self.down:
            out = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        elif weight.shape[-1] == 1:
            out = F.conv2d(image_down(x), weight, bias)
        else:
            out = conv_down(x, weight, bias, form_for(x))
        return out if bias is None else leaky_clamp(out, self.bound)


class Block(nn.Module):
    """Two convolutions, the second to half the sides, beside a linear path; weighted so that the variance stays."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.conv0 = EqualConv(inputs, inputs, 3)
        self.conv1 = EqualConv(inputs, outputs, 3, down=True, gain=math.sqrt(0.5))
        self.skip = EqualConv(inputs, outputs, 1, down=True, activate=False, gain=math.sqrt(0.5))

    def forward(self, x: Tensor, once: bool = False) -> Tensor:
        """(N, inputs, R, R) -> (N, outputs, R/2, R/2); ``once`` as for :class:`EqualConv`."""
        out: Tensor = self.conv1(self.conv0(x, once)) + self.skip(x)
        return out


class Discriminator(nn.Module):
    """Score images.

    Args:
        resolution: R, a power of two from 8.
        width: factor on the feature maps, see :func:`~octosr.techniques.apa.layers.channels`.
        group: images whose spread is compared in the last layers, see :func:`minibatch_deviation`.
    """

    def __init__(self, resolution: int, width: float, group: int) -> None:
        super().__init__()
        self.group = group
        self.low_from = low_precision_from(resolution)
        widths = [(side, channels(side, width)) for side in reversed(sides(resolution))]
        self.from_colours = EqualConv(3, widths[0][1], 1)
        self.blocks = nn.ModuleList(Block(i, o, side) for (side, i), (_, o) in pairwise(widths))
        last = widths[-1][1]
        self.conv = EqualConv(last + 1, last, 3)
        self.hidden = EqualLinear(last * 16, last, activate=True)
        self.out = EqualLinear(last, 1)

    def forward(self, images: Tensor, once: bool = False) -> Tensor:
        """(N, 3, R, R), about -1 to 1, -> scores (N,) in the precision of the weights.

        Args:
            images: real or generated.
            once: see :class:`EqualConv`.

        Raises:
            ConfigError: N cannot be cut into groups.
        """
        full = self.out.weight.dtype
        with precisions(images.device, full) as low:
            once = once and suits(images)
            if once or self.from_colours.weight.is_contiguous(memory_format=torch.channels_last):
                images = images.contiguous(memory_format=torch.channels_last)
            x = self.from_colours(images.to(low))
            for block in self.blocks:
                assert isinstance(block, Block)
                x = block(x.to(low if block.side >= self.low_from else full), once)
            x = minibatch_deviation(x.to(full), self.group)
            scores: Tensor = self.out(self.hidden(self.conv(x).flatten(1)))
        return scores[:, 0]


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """Append one channel: the standard deviation over a group of images, averaged over channels and pixels.

    It tells the discriminator how much the images of a batch differ, so that a generator that always makes the same
    image is found out. Image i belongs to group i mod (N / group), as published.

    Args:
        x: (N, C, H, W).
        group: images in a group, at most N.

    Returns:
        (N, C + 1, H, W).

    Raises:
        ConfigError: N is no multiple of the group.
    """
    count = len(x)
    group = min(group, count)
    if count % group:
        raise ConfigError(
            f"The discriminator compares groups of {group} images, but got {count}: choose data.batch_size (or "
            f"technique.batch_gpu) as a multiple of {group}, or set technique.group to a divisor."
        )
    grouped = x.unflatten(0, (group, count // group))
    deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    channel = deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat((x, channel), 1)
