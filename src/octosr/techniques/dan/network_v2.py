"""DAN v2: dual-path conditional blocks; the Estimator predicts the whole kernel, whose PCA code conditions SR."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.techniques.dan.layers import activate
from octosr.techniques.dan.maps import PlainMaps
from octosr.techniques.dan.network import DANNetwork, Estimator, Prediction, Prepared, Restorer


class DualPathBlock(nn.Module):
    """Dual-path conditional block (DPCB): x + a(x) * b(y), with b(y) given by whoever runs the condition's path.

    Args:
        features: width of the main path.
        condition: width of the condition's path.
        condition_kernel: side of the condition's convolutions.
    """

    def __init__(self, features: int, condition: int, condition_kernel: int) -> None:
        super().__init__()
        self.main1 = nn.Conv2d(features, features, 3, padding=1)
        self.main2 = nn.Conv2d(features, features, 3, padding=1)
        padding = condition_kernel // 2
        self.condition1 = nn.Conv2d(condition, features, condition_kernel, padding=padding)
        self.condition2 = nn.Conv2d(features, features, condition_kernel, padding=padding)

    def main(self, maps: PlainMaps, x: Tensor) -> Tensor:
        """a(x), maps like x."""
        return maps.conv(self.main2, activate(maps.conv(self.main1, x)))

    def condition(self, y: Tensor) -> Tensor:
        """b(y), (B, features, h, w)."""
        return self.condition2(activate(self.condition1(y)))

    def condition_of_code(self, y: Tensor) -> Tensor:
        """b(y) of a condition (B, condition) that has one value a channel, as matrix products."""
        hidden = activate(F.linear(y, self.condition1.weight.flatten(1), self.condition1.bias))
        return F.linear(hidden, self.condition2.weight.flatten(1), self.condition2.bias)


class RestorerV2(Restorer):
    """LR and kernel code -> SR.

    Args:
        features: width (64).
        groups: number of groups (5).
        blocks: blocks in a group (10).
        scale: 2, 3, 4 or 8.
        components: length p of the code.
        group_doubling: each group doubles both its paths, as the published weights expect; False for a true
            residual around each group, which is what the paper describes.
        bicubic_skip: see :class:`Restorer`.
        winograd: see :class:`Restorer`.
    """

    def __init__(
        self,
        features: int,
        groups: int,
        blocks: int,
        scale: int,
        components: int,
        group_doubling: bool,
        bicubic_skip: bool,
        winograd: bool,
    ) -> None:
        super().__init__(features, scale, bicubic_skip, winograd)
        self.group_doubling = group_doubling
        self.head_code = nn.Linear(components, features)
        self.body = nn.ModuleList(
            nn.ModuleList(DualPathBlock(features, features, 1) for _ in range(blocks)) for _ in range(groups)
        )

    @property
    def groups(self) -> list[list[DualPathBlock]]:
        """The body, typed."""
        return [cast("list[DualPathBlock]", list(group.children())) for group in self.body]

    def first(self, maps: PlainMaps, features: Tensor) -> Tensor:
        """The main path of the first block, which sees nothing but the features."""
        return self.groups[0][0].main(maps, features)

    def conditions(self, code: Tensor) -> list[list[Tensor]]:
        """b of every block, (B, features), group by group: the condition's path never sees the image."""
        y = self.head_code(code)
        found = []
        for group in self.groups:
            start, factors = y, []
            for block in group:
                b = block.condition_of_code(y)
                y = y + b
                factors.append(b)
            y = _leave_group(y, start, self.group_doubling)
            found.append(factors)
        return found

    def restore(self, prepared: Prepared, code: Tensor) -> Tensor:
        """Run the body."""
        maps, x, first = prepared[:3]
        for g, (group, factors) in enumerate(zip(self.groups, self.conditions(code), strict=True)):
            start = x
            for i, (block, b) in enumerate(zip(group, factors, strict=True)):
                x = torch.addcmul(x, first if g == i == 0 else block.main(maps, x), maps.per_channel(b))
            x = _leave_group(x, start, self.group_doubling)
        return x


def _leave_group(x: Tensor, start: Tensor, doubling: bool) -> Tensor:
    """End of a group: the published doubling or the residual from the group's start."""
    return x + (x if doubling else start)


class EstimatorV2(Estimator):
    """SR and LR -> kernel -> code.

    Args:
        features: width of each of the two paths (32).
        blocks: blocks in the only group (5).
        scale: the stride with which SR is read.
        kernel_size: side l of the kernels.
        group_doubling: see :class:`RestorerV2`.
    """

    def __init__(self, features: int, blocks: int, scale: int, kernel_size: int, group_doubling: bool) -> None:
        super().__init__()
        self.group_doubling = group_doubling
        self.head_lr = nn.Conv2d(3, features, 5, padding=2)
        self.head_sr = nn.Conv2d(3, features, 4 * scale + 1, stride=scale, padding=2 * scale)
        self.body = nn.ModuleList(DualPathBlock(features, features, 3) for _ in range(blocks))
        self.tail = nn.Conv2d(features, 2 * features, 3, padding=1)
        self.kernel = nn.Linear(2 * features, kernel_size**2)

    @property
    def blocks(self) -> list[DualPathBlock]:
        """The body, typed."""
        return cast("list[DualPathBlock]", list(self.body))

    def prepare(self, lr: Tensor) -> tuple[Tensor, ...]:
        """Features of the LR image, and the main path of the first block, which sees nothing else."""
        features = self.head_lr(lr)
        return features, self.blocks[0].main(PlainMaps(), features)

    def forward(self, sr: Tensor, prepared: tuple[Tensor, ...], basis: Tensor) -> Prediction:
        """Predict the kernel (B, l*l), never negative, of sum 1, and its code (B, p)."""
        x, first = prepared
        maps = PlainMaps()
        y = self.head_sr(sr)
        start = x
        for i, block in enumerate(self.blocks):
            b = block.condition(y)
            x = torch.addcmul(x, first if i == 0 else block.main(maps, x), b)
            if i + 1 < len(self.blocks):  # nobody reads the condition's path after the last block
                y = y + b
        x = _leave_group(x, start, self.group_doubling)
        kernel = self.kernel(self.tail(x).mean((2, 3))).softmax(1)
        return Prediction(kernel @ basis, kernel)


def build_v2(
    scale: int,
    kernel_size: int = 21,
    components: int = 10,
    features: int = 64,
    groups: int = 5,
    blocks: int = 10,
    estimator_features: int = 32,
    estimator_blocks: int = 5,
    iterations: int = 4,
    group_doubling: bool = True,
    bicubic_skip: bool = False,
    winograd: bool = True,
) -> DANNetwork:
    """DAN v2 of one scale; the defaults are those of the published weights of setting 1."""
    return DANNetwork(
        RestorerV2(features, groups, blocks, scale, components, group_doubling, bicubic_skip, winograd),
        EstimatorV2(estimator_features, estimator_blocks, scale, kernel_size, group_doubling),
        scale,
        kernel_size,
        components,
        iterations,
    )
