"""The three networks of MoESR (Emad, Peemen & Corporaal, WACV 2022), sizes as published by default.

An expert enlarges 2x and knows one blur; ISE judges how sharp an expert's image is for its LR image; KEN reads the
blur off the judgements of all experts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.degradation.aligned import parameters_of
from octosr.nn import chain
from octosr.techniques.moesr.grid import BASE_LAMBDAS, variance_factor

KernelCode = Literal["angle", "matrix"]
ISE_FIELD, ISE_STRIDE = 49, 8
"""Receptive field and stride of the ISE map, in HR pixels."""
SETTINGS_COUNT = 85
SMALLEST_LAMBDA = 0.01


def bicubic(images: Tensor, scale: int) -> Tensor:
    """PyTorch's bicubic enlargement (a = -0.75), which the published networks were trained with."""
    return F.interpolate(images, scale_factor=scale, mode="bicubic", align_corners=False)


BICUBIC_REACH = 2
"""LR pixels that bicubic interpolation looks at around a pixel."""


def reach(layers: int, levels: int) -> int:
    """On how many LR pixels around a pixel an expert's result depends; ``layers`` 3x3 convolutions on each level.

    >>> reach(12, 1), reach(12, 2)
    (8, 12)
    """
    pixels = 0
    for _ in range(levels):
        pixels = -(-(pixels + layers) // 2) + BICUBIC_REACH
    return pixels


def expert_channels(features: int, layers: int) -> list[tuple[int, int]]:
    """(in, out) of the convolutions of one expert: 3 to features, layers - 2 inside, features to 3."""
    return [(3, features), *[(features, features)] * (layers - 2), (features, 3)]


class Expert(nn.Module):
    """One expert for x2: bicubic enlargement plus what 12 plain convolutions find missing; 372,803 parameters.

    Args:
        features: width.
        layers: number of 3x3 convolutions.

    >>> sum(p.numel() for p in Expert().parameters())
    372803
    """

    def __init__(self, features: int = 64, layers: int = 12) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in expert_channels(features, layers))

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge (B, 3, h, w) to (B, 3, 2h, 2w), not clamped."""
        enlarged = bicubic(lr, 2)
        x = enlarged
        for conv in self.convs[:-1]:
            x = F.relu(conv(x))
        return enlarged + self.convs[-1](x)


class SharpnessEvaluator(nn.Module):
    """ISE: a map of how much too sharp (positive) or blurred an expert's image is; 1,594,241 parameters.

    Convolutions have no padding: a map of ``(side - 49)//8 + 1`` values a side from images of that side.

    Args:
        features: width of the first convolution; the last but one has eight times as many.

    >>> sum(p.numel() for p in SharpnessEvaluator().parameters())
    1594241
    >>> SharpnessEvaluator(4)(torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 128, 128)).shape
    torch.Size([1, 1, 10, 10])
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        widths = [6, features, features, 2 * features, 4 * features, 8 * features, 1]
        strides = [1, 2, 2, 2, 1, 1]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=s) for i, o, s in zip(widths, widths[1:], strides, strict=False)
        )

    def forward(self, sr: Tensor, enlarged: Tensor) -> Tensor:
        """The map.

        Args:
            sr: what an expert made, (B, 3, H, W), both sides at least 49.
            enlarged: the LR image enlarged by :func:`bicubic` in one step, (B, 3, H, W).

        Returns:
            (B, 1, h, w), unbounded.
        """
        return self.judge(sr, self.prepare(enlarged))

    def prepare(self, enlarged: Tensor) -> Tensor:
        """The first convolution's share of the enlarged LR image, which is the same for all experts."""
        first = self.convs[0]
        assert isinstance(first, nn.Conv2d)
        return F.conv2d(enlarged, first.weight[:, 3:], first.bias)

    def judge(self, sr: Tensor, prepared: Tensor, tail: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The map.

        Args:
            sr: (S*B, 3, H, W), images fastest.
            prepared: what :meth:`prepare` made of (B, 3, H, W).
            tail: from :meth:`last_two`, where no gradient is wanted.
        """
        first = self.convs[0]
        assert isinstance(first, nn.Conv2d)
        x = F.conv2d(sr, first.weight[:, :3])
        # In place: sums and convolutions need no results of theirs for their gradients.
        x = F.relu_(x.unflatten(0, (-1, len(prepared))).add_(prepared)).flatten(0, 1)
        for conv in self.convs[1:4]:
            x = F.relu_(conv(x))
        if tail is None:
            return self.convs[5](self.convs[4](x))
        return F.conv2d(x, *tail)

    @torch.no_grad()
    def last_two(self) -> tuple[Tensor, Tensor]:
        """The last two convolutions, between which nothing is, as one of 5x5: a third of the arithmetic less."""
        before, last = self.convs[4], self.convs[5]
        assert isinstance(before, nn.Conv2d)
        assert isinstance(last, nn.Conv2d)
        assert before.bias is not None
        assert last.bias is not None
        weight = F.conv_transpose2d(last.weight, before.weight)
        return weight, last.bias + last.weight.sum((2, 3)) @ before.bias


class KernelEstimator(nn.Module):
    """KEN: from the 85 scores to the blur kernel; 7,003 parameters.

    Args:
        scale: 2, 4 or 8; sets the unit of the result.
        code: what the three outputs mean. ``angle``: lambda_1, lambda_2 and 16/pi theta, as published. ``matrix``
            (ours): the square root of the covariance as its distance from the grid's middle, in x2 pixels (xx, yy, xy).
            The angle jumps at 0 and pi, where nothing happens to the kernel, and means nothing for a round one; the
            matrix is continuous everywhere, which is what a network can learn.
        hidden: width of the two hidden layers.

    >>> sum(p.numel() for p in KernelEstimator(2).parameters())
    7003
    """

    is_angle: Tensor

    def __init__(self, scale: int, code: KernelCode = "matrix", hidden: int = 50) -> None:
        super().__init__()
        self.scale = scale
        # In the state dict, since weights mean nothing without it: published ones are "angle".
        self.register_buffer("is_angle", torch.tensor(code == "angle"))
        widths = [SETTINGS_COUNT, hidden, hidden, 3]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(widths))

    @property
    def code(self) -> KernelCode:
        """What the outputs mean."""
        return "angle" if bool(self.is_angle) else "matrix"

    def forward(self, scores: Tensor) -> Tensor:
        """(lambda_1, lambda_2, theta) in HR pixels squared and radians, (B, 3), from scores (B, 85)."""
        outputs = self.outputs(scores)
        if self.code == "angle":
            return torch.cat((outputs[:, :2].clamp_min(SMALLEST_LAMBDA), outputs[:, 2:] * (torch.pi / 16)), 1)
        root = parameters_of(self._matrix(outputs))
        factor = variance_factor(self.scale)
        lambdas = root[:, :2].clamp_min(SMALLEST_LAMBDA**0.5).square() * factor
        return torch.cat((lambdas, root[:, 2:]), 1)

    def root_covariance(self, scores: Tensor) -> Tensor:
        """The symmetric square root of the covariance, in x2 pixels, (B, 2, 2): what training compares."""
        outputs = self.outputs(scores)
        if self.code == "matrix":
            return self._matrix(outputs)
        scaled = outputs[:, :2].clamp_min(SMALLEST_LAMBDA) / variance_factor(self.scale)
        return root_covariances(torch.cat((scaled, outputs[:, 2:] * (torch.pi / 16)), 1))

    def outputs(self, scores: Tensor) -> Tensor:
        """The three raw outputs; each image's scores are first standardised (unbiased deviation), in their floats."""
        x = (scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True)
        x = x.to(next(self.parameters()).dtype)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)

    @staticmethod
    def _matrix(outputs: Tensor) -> Tensor:
        middle = BASE_LAMBDAS[len(BASE_LAMBDAS) // 2] ** 0.5
        xx, yy, xy = outputs[:, 0] + middle, outputs[:, 1] + middle, outputs[:, 2]
        return torch.stack((xx, xy, xy, yy), -1).unflatten(-1, (2, 2))


def root_covariances(parameters: Tensor) -> Tensor:
    """``R diag(sqrt(lambda_1), sqrt(lambda_2)) R'``, (B, 3) to (B, 2, 2): no seam at theta = 0 or for round kernels."""
    first, second, theta = parameters.unbind(-1)
    cos, sin = theta.cos(), theta.sin()
    first, second = first.sqrt(), second.sqrt()
    xy = (first - second) * sin * cos
    xx, yy = first * cos**2 + second * sin**2, first * sin**2 + second * cos**2
    return torch.stack((xx, xy, xy, yy), -1).unflatten(-1, (2, 2))


def enlarge_stack(
    lr: Sequence[Tensor], weights: Sequence[Tensor], biases: Sequence[Tensor], winograd: bool = False
) -> list[Tensor]:
    """Run N different experts of one level at once, each on its own images.

    Args:
        lr: images (N, B, 3, h, w), of which there may be several sizes; N may be 1: all experts get the same images.
        weights: per convolution (N, out, in, 3, 3).
        biases: per convolution (N, out).
        winograd: allow fast convolution on CPUs, see :mod:`octosr.nn.chain`.

    Returns:
        Of each size (N, B, 3, 2h, 2w).
    """
    enlarged = [bicubic(images.flatten(0, 1), 2).unflatten(0, images.shape[:2]) for images in lr]
    if not winograd or not chain.suits(lr[0], weights):
        return [images + _grouped(images, weights, biases) for images in enlarged]
    networks = zip(*(t.unbind() for t in (*weights, *biases)), strict=True)
    layers = len(weights)
    found = []
    for n, network in enumerate(networks):
        own = [images[n if len(images) > 1 else 0] for images in enlarged]
        missing = chain.convolve_chain(own, network[:layers], network[layers:])
        found.append([a + b for a, b in zip(own, missing, strict=True)])
    return [torch.stack(size) for size in zip(*found, strict=True)]


def _grouped(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """The convolutions of N networks on (N or 1, B, 3, h, w); (N, B, 3, h, w)."""
    count, shared = len(weights[0]), len(x) == 1
    # Networks are groups of channels: one grouped convolution a layer runs them all.
    x = x.transpose(0, 1).flatten(1, 2)
    if count == 1 and x.device.type == "cpu":
        # The CPU's convolutions reorder other layouts before and after each call.
        x = x.contiguous(memory_format=torch.channels_last)
    groups = 1 if shared else count
    last = len(weights) - 1
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = F.conv2d(x, weight.flatten(0, 1), bias.flatten(), padding=1, groups=groups)
        groups = count
        if number < last:
            x = F.relu_(x) if not torch.is_grad_enabled() else F.relu(x)
    return x.unflatten(1, (count, 3)).transpose(0, 1)
