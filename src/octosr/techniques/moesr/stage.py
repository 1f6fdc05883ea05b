"""One stage of MoESR: the bank, ISE and KEN of one scale, and how far each of them is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from octosr.degradation.aligned import aligned_kernels, margin
from octosr.degradation.random import SampleRandom
from octosr.errors import ConfigError
from octosr.techniques.moesr.bank import ExpertBank
from octosr.techniques.moesr.gating import gating_scores
from octosr.techniques.moesr.grid import EXPERTS, KERNEL_SIZES, ExpertGrid, canonical, variance_factor
from octosr.techniques.moesr.kernel_estimator import KernelCode, KernelEstimator
from octosr.techniques.moesr.sharpness import ISE_FIELD, SharpnessEvaluator

SMALLEST_REST = 8
"""LR pixels that have to be left after the kernel's rim, so that a loss or a score means something."""


class MoESRStage(nn.Module):
    """Everything for one scale.

    Args:
        scale: 2, 4 or 8.
        features: width of the experts.
        layers: convolutions of the experts.
        ise_features: width of ISE.
        kernel_size: side of the blur kernels.
        kernel_code: what KEN's outputs mean.
        winograd: see :class:`~octosr.techniques.moesr.bank.ExpertBank`.

    Attributes:
        expert_steps: (25,) int64, for how many steps each expert is trained.
        ise_steps: int64, the same for ISE.
        ken_steps: int64, for KEN.
    """

    expert_steps: Tensor
    ise_steps: Tensor
    ken_steps: Tensor

    def __init__(
        self,
        scale: int,
        features: int,
        layers: int,
        ise_features: int,
        kernel_size: int,
        kernel_code: KernelCode,
        winograd: bool = True,
    ) -> None:
        super().__init__()
        self.scale, self.kernel_size = scale, kernel_size
        self.margin = margin(kernel_size, scale)
        for level in range(1, scale.bit_length() - 1):
            left = scale >> level
            # What a level makes of a reduced image must lie inside the reduction it is compared with.
            if self.margin << level < margin(KERNEL_SIZES[left], left):
                raise ConfigError(
                    f"technique.kernel_sizes.{scale}={kernel_size} is too small for experts of several levels: their "
                    f"x{left} rest has a kernel of {KERNEL_SIZES[left]}. The least is {KERNEL_SIZES[scale // 2]}."
                )
        self.grid = ExpertGrid(scale)
        self.bank = ExpertBank(scale, features, layers, winograd)
        self.evaluator = SharpnessEvaluator(ise_features)
        self.estimator = KernelEstimator(scale, kernel_code)
        self.register_buffer("expert_steps", torch.zeros(len(EXPERTS), dtype=torch.int64))
        self.register_buffer("ise_steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("ken_steps", torch.zeros((), dtype=torch.int64))

    @property
    def smallest_side(self) -> int:
        """Sides that LR images need at least: for a map of ISE, and for a rest after the kernel's rim."""
        return max(-(-ISE_FIELD // self.scale), 2 * self.margin + SMALLEST_REST)

    def kernels(self, parameters: Tensor, levels_done: int = 0) -> Tensor:
        """Blur kernels (B, K, K) of this stage, or of the reduction that is left after some levels.

        Args:
            parameters: (B, 3) in this stage's HR pixels squared and radians.
            levels_done: after l levels of x2 the factor s/2^l is left, with a kernel of its own grid.
        """
        left = self.scale >> levels_done
        unit = variance_factor(left) / variance_factor(self.scale)
        size = self.kernel_size if levels_done == 0 else KERNEL_SIZES[left]
        scaled = torch.cat((parameters[:, :2] * unit, parameters[:, 2:]), 1)
        return aligned_kernels(scaled.double(), size, left)

    def random_parameters(self, seed: int, sample_ids: Tensor) -> Tensor:
        """Kernels of samples: standard deviations and angle uniform over what the grid covers; float64, (B, 3)."""
        random = SampleRandom(seed)
        low, high = (value**0.5 for value in self.grid.range)
        deviations = low + (high - low) * random.uniform(sample_ids, f"moesr/x{self.scale}/deviation", (2,))
        theta = torch.pi * random.uniform(sample_ids, f"moesr/x{self.scale}/theta")
        return canonical(torch.cat((deviations.square(), theta[:, None]), 1))

    @torch.no_grad()
    def estimate(self, lr: Tensor, crop: int | None = None, crops: int = 4) -> Tensor:
        """The kernel (lambda_1, lambda_2, theta) of each image, (B, 3); arguments as for ``gating_scores``."""
        with torch.autocast(lr.device.type, enabled=False):
            return self.estimator(gating_scores(self.bank, self.evaluator, lr, crop, crops))
