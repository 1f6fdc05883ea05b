"""MoESR as a technique: 25 experts a stage, a gate that finds the blur, and an expert tuned on the image itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from octosr.degradation.aligned import compose
from octosr.degradation.rounding import quantise
from octosr.errors import ConfigError
from octosr.nn.precision import at_least_single
from octosr.techniques import checks
from octosr.techniques.moesr import phases, training
from octosr.techniques.moesr.bank import Stack
from octosr.techniques.moesr.checks import check_expert, check_stages
from octosr.techniques.moesr.finetune import FineTuning, enlarge_with, tuned_experts
from octosr.techniques.moesr.grid import KERNEL_SIZES
from octosr.techniques.moesr.kernel_estimator import KernelCode
from octosr.techniques.moesr.network import reach
from octosr.techniques.moesr.phased import PhasedTraining
from octosr.techniques.moesr.sharpness import ISE_FIELD
from octosr.techniques.moesr.stage import MoESRStage
from octosr.techniques.moesr.weights import load_moesr
from octosr.techniques.tiling import Place, TilePass, Tiling

if TYPE_CHECKING:
    from typing_extensions import Self

VIEW = 256
"""Side of the part of a large image on which kernel and experts are found, in LR pixels."""


class StageEstimate(NamedTuple):
    """What one stage did: scale, image (B, 3, s*h, s*w), kernel parameters (B, 3), kernel (B, K, K), tuned experts."""

    scale: int
    sr: Tensor
    parameters: Tensor
    kernel: Tensor
    experts: Stack


class MoESR(PhasedTraining):
    """Mixture of experts for blind super-resolution (Emad, Peemen & Corporaal, WACV 2022).

    For each stage 25 experts serve 85 blur kernels; ISE scores what all of them make of an image, KEN reads the kernel
    off the scores, and the nearest expert is fine-tuned on the image with that kernel. A batch is done together.

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        stages: different scale factors out of 2, 4, 8, applied one after the other.
        features: width of the experts.
        layers: convolutions of an expert.
        ise_features: width of ISE.
        kernel_sizes: side of the blur kernels at each scale; must be 2*m*scale + 1.
        kernel_code: what KEN's outputs mean, ``matrix`` or ``angle``; published weights are ``angle`` and set it.
        phase: what training trains: ``experts``, ``ise``, ``ken``, or ``all`` one after the other.
        expert: train this one of the 25 alone (``phase=experts``), for a sweep with one job each; None: all at once.
        expert_steps, ise_steps, ken_steps: length of each phase.
        warm_steps: of ``expert_steps``, so many train the middle expert alone; the others begin with its weights.
        expert_rate, ise_rate, ken_rate: learning rates of Adam, falling to a hundredth along a cosine.
        ise_settings: experts tried on every LR image in the training of ISE.
        ise_target: ``sharpness`` or ``error``, see :mod:`~octosr.techniques.moesr.training`.
        ken_pairs: pairs of scores and kernel that are kept for the training of KEN.
        ken_every: steps of KEN between two batches of new pairs.
        ken_batch: pairs a step of KEN.
        ken_double: compute the scores of these pairs in 64-bit floats, see :func:`training.collect_pairs`.
        lr_patch: side of the LR crops of training, in pixels.
        hr_patch: side of the HR crops asked for; None for what the largest stage needs.
        gate_crop: gate on crops of this side in LR pixels; None: on whole images.
        gate_crops: so many of them.
        winograd: allow fast convolution on CPUs (ours; the same numbers up to rounding, the scores of gating to 1e-5 on
            CPUs with AMX), see :mod:`octosr.nn.chain`. Not with ``official_quirks``, which is to reproduce numbers.
        finetune: the fine-tuning: ``preset`` (fast or paper) and what differs from it, see ``FineTuning``.
        official_quirks: do what the public code does where we think it is wrong, to reproduce it.
        seed: of the kernels drawn in training and of the crops in fine-tuning.

    Raises:
        ConfigError: a value is out of range.
    """

    needs_grad: ClassVar[bool] = True

    def __init__(
        self,
        *,
        name: str,
        stages: Sequence[int] = (2, 4),
        features: int = 64,
        layers: int = 12,
        ise_features: int = 64,
        kernel_sizes: Mapping[int, int] = KERNEL_SIZES,
        kernel_code: KernelCode = "matrix",
        phase: phases.Phase = "all",
        expert: int | None = None,
        expert_steps: int = 200_000,
        ise_steps: int = 50_000,
        ken_steps: int = 20_000,
        warm_steps: int = 100_000,
        expert_rate: float = 1e-4,
        ise_rate: float = 1e-4,
        ken_rate: float = 1e-3,
        ise_settings: int = 2,
        ise_target: training.IseTarget = "sharpness",
        ken_pairs: int = 50_000,
        ken_every: int = 4,
        ken_batch: int = 256,
        ken_double: bool = False,
        lr_patch: int = 48,
        hr_patch: int | None = None,
        gate_crop: int | None = None,
        gate_crops: int = 4,
        winograd: bool = True,
        finetune: Mapping[str, Any] | None = None,
        official_quirks: bool = False,
        seed: int = 0,
    ) -> None:
        check_stages(stages)
        sizes = checks.kernel_sizes(stages, kernel_sizes)
        checks.at_least({"layers": layers}, 3)
        checks.at_least({"features": features, "ise_features": ise_features, "lr_patch": lr_patch}, 1)
        checks.at_least({"ken_pairs": ken_pairs, "ken_every": ken_every, "ken_batch": ken_batch}, 1)
        checks.at_least({"ise_settings": ise_settings, "gate_crops": gate_crops}, 1)
        checks.at_least({"ise_steps": ise_steps, "ken_steps": ken_steps, "warm_steps": warm_steps}, 0)
        checks.at_least({"expert_steps": expert_steps}, warm_steps)
        checks.above_zero({"expert_rate": expert_rate, "ise_rate": ise_rate, "ken_rate": ken_rate})
        checks.choice("kernel_code", kernel_code, ("matrix", "angle"))
        checks.choice("phase", phase, (*phases.ORDER, "all"))
        checks.choice("ise_target", ise_target, ("sharpness", "error"))
        check_expert(expert)
        if gate_crop is not None:
            checks.at_least({"gate_crop": gate_crop}, max(-(-ISE_FIELD // int(s)) for s in stages))
        if expert is not None and phase != "experts":
            raise ConfigError("technique.expert trains one expert: it goes with technique.phase=experts.")
        super().__init__(name, stages, None, hr_patch or 1)
        self.lr_patch, self.ise_settings, self.ise_target = lr_patch, ise_settings, ise_target
        self.ken_every, self.ken_batch, self.ken_double = ken_every, ken_batch, bool(ken_double)
        self.gate_crop, self.gate_crops = gate_crop, gate_crops
        self.official_quirks, self.seed, self.expert = bool(official_quirks), int(seed), expert
        self.schedule = phases.WarmSchedule(
            phase,
            steps={"experts": expert_steps, "ise": ise_steps, "ken": ken_steps},
            rates={"experts": expert_rate, "ise": ise_rate, "ken": ken_rate},
            warm=warm_steps,
        )
        self.finetuning = FineTuning.of(finetune or {}, official_quirks=self.official_quirks, seed=self.seed)
        fast = bool(winograd) and not self.official_quirks
        self.stage_networks = nn.ModuleDict(
            {f"x{s}": MoESRStage(s, features, layers, ise_features, sizes[s], kernel_code, fast) for s in self.stages}
        )
        if hr_patch is None:
            needed = max(s.scale * max(lr_patch, s.smallest_side) + s.kernel_size - 1 for s in self.all_stages())
            self.hr_patch = -(-needed // self.scale) * self.scale
        self.pairs = {scale: training.PairBank(ken_pairs) for scale in self.stages}

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """As any module's, without a memory format: channels_last is for single filters, not for stacks of networks."""
        kwargs.pop("memory_format", None)
        return super().to(*args, **kwargs) if args or kwargs else self

    @property
    def batches(self) -> bool:
        """Only without fine-tuning: Adam's many small steps make of last digits several 255ths, as other hardware does.

        With the quirks there is also a rounding between stages that a last digit can tip over.
        """
        return not self.official_quirks and self.finetuning.steps == 0

    def super_resolve(self, lr: Tensor) -> Tensor:
        """Super-resolve (B, 3, h, w) to (B, 3, scale*h, scale*w), not clamped; each image by itself, all together."""
        return self.estimate(lr)[-1].sr

    def estimate(self, lr: Tensor) -> list[StageEstimate]:
        """What every stage makes of a batch (B, 3, h, w)."""
        phases.require_all(self.all_stages())
        found: list[StageEstimate] = []
        for stage in self.all_stages():
            # Fine-tuning differentiates, whatever mode the caller is in.
            with torch.inference_mode(False), torch.no_grad():
                images = self._between(at_least_single(lr)) if found else at_least_single(lr).clone()
                parameters, experts = self._look(stage, images)
                lr = _enlarge(stage, experts, images)
                kernel = stage.kernels(parameters).to(lr.dtype)
            found.append(StageEstimate(stage.scale, lr, parameters, kernel, experts))
        return found

    def _look(self, stage: MoESRStage, images: Tensor) -> tuple[Tensor, Stack]:
        padded = _at_least(images, stage.smallest_side)
        parameters = stage.estimate(padded, self.gate_crop, self.gate_crops)
        return parameters, tuned_experts(stage, padded, parameters, self.finetuning)

    def tiling(self) -> Tiling:
        """Exact: the experts are convolutions. The kernel and the fine-tuned experts are found once for an image."""
        passes = [
            TilePass(stage.scale, reach(stage.bank.layers, stage.bank.levels), least=stage.smallest_side)
            for stage in self.all_stages()
        ]
        return Tiling(tuple(passes), view=VIEW)

    def find_context(self, view: Tensor) -> list[Stack]:
        """The fine-tuned expert of each stage."""
        return [estimate.experts for estimate in self.estimate(view)]

    def enlarge_tiles(self, number: int, tiles: Tensor, context: list[Stack], places: Sequence[Place]) -> Tensor:
        """A stage."""
        images = self._between(at_least_single(tiles)) if number else at_least_single(tiles)
        return _enlarge(self.all_stages()[number], context[number], images)

    def _between(self, images: Tensor) -> Tensor:
        """What a stage hands to the next: clamped; with the quirks rounded to 8 bits, as two runs of the public code.

        Not rounded otherwise: a last digit that tips a rounding over would make a batch differ from single images.
        """
        return quantise(images) if self.official_quirks else images.clamp(0, 1)

    def predict_step(self, batch: dict[str, Any], batch_idx: int = 0) -> dict[str, Any]:
        """Super-resolve one evaluation batch; ``kernel`` (B, K, K) is the blur from the HR image down to the LR image.

        With stages [2, 4] the HR image is first reduced by 4 and then by 2, and the kernel is that of both steps.
        """
        estimates = self.estimate(batch["lr"])
        kernel, scale = estimates[0].kernel, estimates[0].scale
        for estimate in estimates[1:]:
            kernel = compose(kernel, estimate.kernel, estimate.scale)
            scale *= estimate.scale
        return {"name": batch["name"], "sr": estimates[-1].sr, "kernel": kernel}

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Load our checkpoints (several: the experts of a sweep) or published files, see ``weights.py``."""
        return load_moesr(self, paths)


def _enlarge(stage: MoESRStage, experts: Stack, images: Tensor) -> Tensor:
    """Enlarge images that may be smaller than what the stage needs."""
    sr = enlarge_with(experts, _at_least(images, stage.smallest_side))
    return sr[..., : images.shape[-2] * stage.scale, : images.shape[-1] * stage.scale]


def _at_least(images: Tensor, side: int) -> Tensor:
    """Images with sides of at least ``side``: edge pixels are repeated to the right and below."""
    right, below = max(side - images.shape[-1], 0), max(side - images.shape[-2], 0)
    return nn.functional.pad(images, (0, right, 0, below), mode="replicate") if right or below else images
