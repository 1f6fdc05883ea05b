"""DAN v1: conditional residual blocks with channel attention; the Estimator predicts the PCA code directly.

A block of the paper convolves the concatenation of its features and a side input (the code spread over the image, or
the SR features) that is the same for all blocks. A convolution of a concatenation is the sum of two convolutions, so
the side input's part is computed here for all blocks at once and only added in each: nothing is concatenated.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from octosr.techniques.dan.layers import activate
from octosr.techniques.dan.maps import PlainMaps
from octosr.techniques.dan.network import DANNetwork, Estimator, Prediction, Prepared, Restorer

REDUCTION = 16
"""Channel attention squeezes to features / REDUCTION (at least 1)."""


class ConditionalBlock(nn.Module):
    """Conditional residual block (CRB): two convolutions of the features and a side input, attention, residual.

    Args:
        features: width of the features.
        side: width of the side input; the inner width is their sum.
    """

    def __init__(self, features: int, side: int) -> None:
        super().__init__()
        inner = features + side
        self.conv1 = nn.Conv2d(features, inner, 3, padding=1)
        init_as_part(self.conv1, 9 * inner)
        self.conv2 = nn.Conv2d(inner, features, 3, padding=1)
        squeezed = max(1, features // REDUCTION)
        self.squeeze = nn.Linear(features, squeezed)
        self.excite = nn.Linear(squeezed, features)

    def forward(self, maps: PlainMaps, x: Tensor, hidden: Tensor) -> Tensor:
        """Maps x and their first convolution with the side input's part added (overwritten)."""
        residual = maps.conv(self.conv2, activate(hidden))
        attention = self.excite(activate(self.squeeze(maps.mean(residual)))).sigmoid()
        return torch.addcmul(x, residual, maps.per_channel(attention))


def init_as_part(conv: nn.Conv2d, fan_in: int) -> None:
    """Initialise part of a convolution as PyTorch would have initialised the whole one with ``fan_in`` inputs."""
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(conv.weight, -bound, bound)
    if conv.bias is not None:
        nn.init.uniform_(conv.bias, -bound, bound)


class RestorerV1(Restorer):
    """LR and kernel code -> SR.

    Args:
        features: width (64).
        blocks: number of blocks (40).
        scale: 2, 3, 4 or 8.
        components: length p of the code.
        bicubic_skip: see :class:`Restorer`.
        winograd: see :class:`Restorer`.
    """

    def __init__(
        self, features: int, blocks: int, scale: int, components: int, bicubic_skip: bool, winograd: bool
    ) -> None:
        super().__init__(features, scale, bicubic_skip, winograd)
        inner = features + components
        self.code_conv = nn.Conv2d(components, blocks * inner, 3, padding=1, bias=False)
        init_as_part(self.code_conv, 9 * inner)
        self.body = nn.ModuleList(ConditionalBlock(features, components) for _ in range(blocks))

    @property
    def blocks(self) -> list[ConditionalBlock]:
        """The body, typed."""
        return cast("list[ConditionalBlock]", list(self.body))

    def first(self, maps: PlainMaps, features: Tensor) -> Tensor:
        """The features' first convolution in the first block."""
        return maps.conv(self.blocks[0].conv1, features)

    def restore(self, prepared: Prepared, code: Tensor) -> Tensor:
        """Run the body."""
        maps, x, first = prepared[:3]
        for index, (block, part) in enumerate(zip(self.blocks, self.code_parts(prepared, code), strict=True)):
            hidden = first.clone() if index == 0 else maps.conv(block.conv1, x)
            x = block(maps, x, maps.add_nine(hidden, part))
        return x

    def code_parts(self, prepared: Prepared, code: Tensor) -> tuple[Tensor, ...]:
        """What a code spread over the image adds to the first convolution of every block.

        With zero padding the convolution of a constant has nine values: corners, edges, interior. They are the 3x3
        result of convolving a 3x3 map, whatever the image's size; only images one pixel high or wide lack some.

        Returns:
            for each block (B, inner, 3, 3), or (B, inner, h, w) for images one pixel high or wide.
        """
        sides = prepared.size
        size = (3, 3) if min(sides) >= 2 else sides
        return self.code_conv(code[:, :, None, None].expand(-1, -1, *size)).chunk(len(self.body), dim=1)


class EstimatorV1(Estimator):
    """SR and LR -> kernel code.

    Args:
        features: width of each of the two streams (32).
        blocks: number of blocks (5).
        scale: the stride with which SR is read.
        components: length p of the code (10 in the paper, whatever the PCA's).
    """

    def __init__(self, features: int, blocks: int, scale: int, components: int) -> None:
        super().__init__()
        self.head_lr = nn.Conv2d(3, features, 1)
        self.head_sr = nn.Conv2d(3, features, 9, stride=scale, padding=4)
        self.sr_conv = nn.Conv2d(features, blocks * 2 * features, 3, padding=1, bias=False)
        init_as_part(self.sr_conv, 9 * 2 * features)
        self.body = nn.ModuleList(ConditionalBlock(features, features) for _ in range(blocks))
        self.tail = nn.Conv2d(features, components, 3, padding=1)

    @property
    def blocks(self) -> list[ConditionalBlock]:
        """The body, typed."""
        return cast("list[ConditionalBlock]", list(self.body))

    def prepare(self, lr: Tensor) -> tuple[Tensor, ...]:
        """Features of the LR image, and their first convolution in the first block."""
        features = self.head_lr(lr)
        return features, self.blocks[0].conv1(features)

    def forward(self, sr: Tensor, prepared: tuple[Tensor, ...], basis: Tensor) -> Prediction:
        """Predict the code (B, p); v1 predicts no kernel."""
        x, first = prepared
        maps = PlainMaps()
        parts = self.sr_conv(self.head_sr(sr)).chunk(len(self.body), dim=1)
        for index, (block, part) in enumerate(zip(self.blocks, parts, strict=True)):
            hidden = first if index == 0 else block.conv1(x)
            x = block(maps, x, hidden + part)
        return Prediction(self.tail(x).mean((2, 3)), None)


def build_v1(
    scale: int,
    kernel_size: int = 21,
    components: int = 10,
    features: int = 64,
    blocks: int = 40,
    estimator_features: int = 32,
    estimator_blocks: int = 5,
    iterations: int = 4,
    bicubic_skip: bool = False,
    winograd: bool = True,
) -> DANNetwork:
    """DAN v1 of one scale; the defaults are the paper's."""
    return DANNetwork(
        RestorerV1(features, blocks, scale, components, bicubic_skip, winograd),
        EstimatorV1(estimator_features, estimator_blocks, scale, components),
        scale,
        kernel_size,
        components,
        iterations,
    )
