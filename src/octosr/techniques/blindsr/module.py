"""BlindSR as a technique: a generator for any blur, and a discriminator that finds the blur."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from octosr.degradation.rounding import quantise
from octosr.errors import ConfigError
from octosr.nn.precision import at_least_single
from octosr.techniques import checks
from octosr.techniques.blindsr import phases
from octosr.techniques.blindsr.checks import check_sigmas, check_stages
from octosr.techniques.blindsr.estimate import StageEstimate, compose_estimates
from octosr.techniques.blindsr.kernels import KERNEL_SIZES, KernelSpace
from octosr.techniques.blindsr.network import Sizes
from octosr.techniques.blindsr.phased import PhasedTraining
from octosr.techniques.blindsr.search import apply_to_tiles, super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.tiles import radius
from octosr.techniques.blindsr.training import Drawing
from octosr.techniques.blindsr.weights import load_blindsr
from octosr.techniques.phases import Schedule
from octosr.techniques.tiling import Place, TilePass, Tiling

VIEW, MAP_VIEW = 256, 512
"""Sides of the parts of large images in which a kernel, or a map of kernels, is looked for, in LR pixels."""
BICUBIC_REACH = 2
"""LR pixels that bicubic interpolation looks at around a pixel."""


class TileContext(NamedTuple):
    """What holds for all tiles of an image: the kernels or maps of kernels of each pass, and the size of the view."""

    parameters: list[Tensor]
    size: tuple[int, int]


class BlindSR(PhasedTraining):
    """Blind image super-resolution with a kernel discriminator (Cornillere et al., SIGGRAPH Asia 2019).

    The generator enlarges an image for a given blur; the discriminator sees from its features what a wrong blur has
    done to the image. At test time the blur with the least error is searched for, a batch together.

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        stages: scale factors out of 2, 4, 8, applied one after the other. A scale that comes several times is one and
            the same network: ``(2, 2, 2)`` is one x2 network used three times, and as much to train and to keep.
        code: length of a kernel's code.
        features, growth, layers: sizes of both networks, see :class:`~octosr.techniques.blindsr.network.Sizes`.
        blocks: dense blocks of each network; None: twice the scale.
        kernel_sizes: side of the blur kernels at each scale; must be 2*m*scale + 1. Our 12*scale + 1 reach three of the
            largest standard deviation.
        sigmas: the smallest and the largest standard deviation of the kernels in LR pixels.
        phase: what training trains: ``generator``, ``discriminator``, ``calibration``, or ``all`` one after the other.
        generator_steps, discriminator_steps, calibration_steps: length of each phase; a step of the calibration takes
            as long as several of the others.
        generator_rate, discriminator_rate, calibration_rate: learning rates of Adam, falling to a hundredth along a
            cosine.
        calibration_double: the errors that the calibration learns from are computed in 64-bit floats.
        mosaic: share of the training images whose blur varies over the image.
        near_share: share of the discriminator's wrong kernels that are nearly right.
        near: how nearly: standard deviations differ by up to this share of their range, angles of half a turn.
        lr_patch: side of the LR crops of training, in pixels.
        hr_patch: side of the HR crops asked for; None for what the largest stage needs.
        search: the search for the kernel: ``preset`` (fast or paper) and what differs from it, see ``Search``.
        official_quirks: kernels, enlargement and search as the public code has them, to reproduce it. Published
            weights bring its kernels and its enlargement with or without this; the search is then ours or theirs.
        seed: of the kernels drawn in training.

    Raises:
        ConfigError: a value is out of range.
    """

    needs_grad: ClassVar[bool] = True

    def __init__(
        self,
        *,
        name: str,
        stages: Sequence[int] = (2, 2, 2),
        code: int = 15,
        features: int = 64,
        growth: int = 16,
        layers: int = 5,
        blocks: int | None = None,
        kernel_sizes: Mapping[int, int] = KERNEL_SIZES,
        sigmas: Sequence[float] = (0.2, 2.0),
        phase: phases.Phase = "all",
        generator_steps: int = 200_000,
        discriminator_steps: int = 100_000,
        calibration_steps: int = 400,
        generator_rate: float = 1e-3,
        discriminator_rate: float = 1e-3,
        calibration_rate: float = 0.02,
        calibration_double: bool = False,
        mosaic: float = 0.25,
        near_share: float = 0.25,
        near: float = 0.1,
        lr_patch: int = 64,
        hr_patch: int | None = None,
        search: Mapping[str, Any] | None = None,
        official_quirks: bool = False,
        seed: int = 0,
    ) -> None:
        check_stages(stages)
        checks.at_least({"code": code, "features": features, "growth": growth, "layers": layers}, 1)
        checks.at_least({"blocks": 1 if blocks is None else blocks}, 1)
        steps: dict[str, int] = dict(
            zip(phases.ORDER, (generator_steps, discriminator_steps, calibration_steps), strict=True)
        )
        rates: dict[str, float] = dict(
            zip(phases.ORDER, (generator_rate, discriminator_rate, calibration_rate), strict=True)
        )
        checks.at_least({f"{part}_steps": count for part, count in steps.items()}, 0)
        checks.at_least({"lr_patch": lr_patch}, 8)
        checks.above_zero({f"{part}_rate": rate for part, rate in rates.items()} | {"near": near})
        checks.shares({"mosaic": mosaic, "near_share": near_share, "near": near})
        checks.choice("phase", phase, (*phases.ORDER, "all"))
        bounds = check_sigmas(sigmas)
        super().__init__(name, stages, None, hr_patch or 1)
        self.official_quirks, self.lr_patch = bool(official_quirks), int(lr_patch)
        self.schedule, self.calibration_double = Schedule(phase, steps, rates), bool(calibration_double)
        self.drawing = Drawing(int(seed), float(mosaic), float(near_share), float(near))
        self.search = Search.of(search or {}, official_quirks=self.official_quirks)
        self.val_loss = MeanMetric()
        sizes = checks.kernel_sizes(self.stages, kernel_sizes)
        network_sizes = Sizes(code, features, growth, layers, blocks)
        self.stage_networks = nn.ModuleDict()
        for scale in dict.fromkeys(self.stages):
            space = KernelSpace(scale, sizes[scale], bounds[0] * scale, bounds[1] * scale)
            if self.official_quirks:
                space = KernelSpace.published(scale)
            self.stage_networks[f"x{scale}"] = BlindSRStage(space, network_sizes)
        if hr_patch is None:
            needed = max(s.scale * lr_patch + 2 * s.space.rim for s in self.all_stages())
            self.hr_patch = -(-needed // self.scale) * self.scale

    @property
    def batches(self) -> bool:
        """Not with the quirks, whose rounding between stages a last digit can tip over."""
        return not self.official_quirks

    def super_resolve(self, lr: Tensor) -> Tensor:
        """Super-resolve (B, 3, h, w) to (B, 3, scale*h, scale*w), not clamped; each image by itself, all together."""
        return self.estimate(lr)[-1].sr

    def estimate(self, lr: Tensor) -> list[StageEstimate]:
        """What every pass makes of a batch (B, 3, h, w)."""
        phases.require_all(self.all_stages())
        found: list[StageEstimate] = []
        for scale in self.stages:
            # The search differentiates, whatever mode the caller is in.
            with torch.inference_mode(False), torch.no_grad():
                images = self._between(at_least_single(lr)) if found else at_least_single(lr).clone()
                # What a pass has made is no photograph blurred as in training: a calibration means nothing there.
                search = replace(self.search, calibration="none") if found else self.search
                found.append(super_resolve_stage(self.stage(scale), images, search))
            lr = found[-1].sr
        return found

    def tiling(self) -> Tiling:
        """Exact: the generator is convolutions. The kernels, or maps of them, are found once for an image.

        With ``official_quirks`` tiles are not blended from patches of the public code's size, so there is no bound.
        """
        passes = [TilePass(s, radius(self.stage(s).generator) + BICUBIC_REACH) for s in self.stages]
        view = MAP_VIEW if self.search.spatial else VIEW
        return Tiling(tuple(passes), bound=None if self.official_quirks else 0.0, view=view)

    def find_context(self, view: Tensor) -> TileContext:
        """The kernels that the search finds in the view."""
        found = [e.parameters if e.parameter_map is None else e.parameter_map for e in self.estimate(view)]
        return TileContext(found, (view.shape[-2], view.shape[-1]))

    def enlarge_tiles(self, number: int, tiles: Tensor, context: TileContext, places: Sequence[Place]) -> Tensor:
        """A pass with the kernels of the context.

        Raises:
            ConfigError: with ``search.spatial``, of the image only a part has been looked at.
        """
        place = places[0]
        if self.search.spatial and number == 0 and (place.height, place.width) != context.size:
            raise ConfigError(
                f"technique.search.spatial=true looks for kernels everywhere, and {place.height}x{place.width} pixels "
                f"are too many for that (at most {MAP_VIEW}x{MAP_VIEW}, less where memory is short): "
                "use technique.search.spatial=false, or smaller parts of the image."
            )
        images = self._between(at_least_single(tiles)) if number else at_least_single(tiles)
        with torch.no_grad():
            return apply_to_tiles(self.stage(self.stages[number]), images, context.parameters[number], places)

    def _between(self, images: Tensor) -> Tensor:
        """What a pass hands to the next: clamped; with the quirks rounded to 8 bits, as runs of the public code.

        Not rounded otherwise: a last digit that tips a rounding over would make a batch differ from single images.
        """
        return quantise(images) if self.official_quirks else images.clamp(0, 1)

    def predict_step(self, batch: dict[str, Any], batch_idx: int = 0) -> dict[str, Any]:
        """Super-resolve one evaluation batch; ``kernel`` (B, K, K) is the blur from the HR image down to the LR image.

        With several stages the HR image is reduced by the last one first, and the kernel is that of all reductions;
        where it varies over the image it is the mean, and ``kernel_map`` (B, gy, gx, K, K) has all of them.
        """
        estimates = self.estimate(batch["lr"])
        kernel, kernel_map = compose_estimates(estimates)
        return {"name": batch["name"], "sr": estimates[-1].sr, "kernel": kernel, "kernel_map": kernel_map}

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Load one of our checkpoints, or published files, see ``weights.py``."""
        return load_blindsr(self, paths)
