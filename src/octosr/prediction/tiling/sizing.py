"""The size of tiles: as large as memory allows, since halos are computed in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from octosr.prediction.tiling.memory import budget, peak_bytes
from octosr.prediction.tiling.runner import Look, TileRunner
from octosr.prediction.tiling.spans import Span, before, sizes
from octosr.prediction.tiling.stages import Stage
from octosr.prediction.tiling.symmetry import Rectangle
from octosr.techniques.base import SingleImageTechnique

SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16)
"""Sides that are tried, in pixels of a stage's input."""
SMALL = 128
"""Images of no more pixels than a square of this side are done as a whole without asking: the study's size."""
PROBE = 32
"""Side of the tile that is measured."""
UNSEEN = 1.5
"""Allowance for memory inside operations, which is not seen on a CPU."""

SHARE_OF_MAPS = 0.5
"""What is kept of whole images between stages may take this share of a step's memory; more goes to a disk."""


@dataclass(frozen=True)
class Plan:
    """Side of the tiles in pixels of a stage's input, and how many of them are enlarged as one batch."""

    side: int
    together: int = 1


def smallest(blend: int) -> int:
    """The smallest side of tiles: blended parts of neighbours must not meet in a tile of half this side."""
    return max(16, 4 * blend)


def plans(
    technique: SingleImageTechnique, stages: Sequence[Stage], looks: Sequence[Look], blend: int
) -> dict[object, Plan] | None:
    """A plan for every stage, under ``Stage.alike``; None: the image can be done as a whole.

    Args:
        technique: on the device to use.
        stages: of its tiling.
        looks: at the image.
        blend: see ``Tiling.blend``.
    """
    costs: dict[object, Cost] = {}
    channels, dtype = 3, torch.float32
    for stage in stages:
        if stage.alike not in costs:
            seen = looks[:1] if stage.kept else looks
            if stage.first:  # what it is given is not there yet; its size is what counts
                seen = [look._replace(source=_Blank(look, stage.factor, channels, dtype)) for look in seen]
            costs[stage.alike] = Cost(TileRunner(technique, stage, seen, blend))
        channels, dtype = costs[stage.alike].channels, costs[stage.alike].dtype
    limit = float(budget(technique.device))
    if all(cost.of_image() <= limit for cost in costs.values()):
        return None
    if len(stages) > 1:
        limit *= 1 - SHARE_OF_MAPS
    return {alike: cost.plan(limit) for alike, cost in costs.items()}


def _middle(length: int, side: int) -> Span:
    """Where a tile has its halo on both sides, if the image is large enough."""
    start = max(length - side, 0) // 2
    return Span(start, min(start + side, length))


class _Blank:
    """A source of zeros."""

    def __init__(self, look: Look, factor: int, channels: int, dtype: torch.dtype) -> None:
        self.height, self.width = look.source.height * factor, look.source.width * factor
        self._channels, self._dtype = channels, dtype

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """See :class:`~octosr.prediction.tiling.Source`."""
        return torch.zeros(self._channels, bottom - top, right - left, dtype=self._dtype)


class Cost:
    """What tiles of a stage take, from one that is measured: in proportion to the pixels of the pass with most of them.

    Attributes:
        channels: of the stage's result.
        dtype: of it.
    """

    def __init__(self, runner: TileRunner) -> None:
        self.runner = runner
        self._passes = runner.stage.passes
        side = PROBE + 2 * runner.blend
        part = Rectangle(*(_middle(length, side) for length in runner.size))
        self._areas = self._areas_of(side)
        device = runner.technique.device
        made: list[Tensor] = []
        seen = peak_bytes(lambda: made.extend(runner.enlarge([part], (side, side))), device)
        self.channels, self.dtype = made[0].shape[0], made[0].dtype
        self._peak = seen * (1.0 if device.type == "cuda" else UNSEEN)

    def of_image(self) -> float:
        """Bytes for the image as a whole."""
        height, width = self.runner.size
        return self._of_inputs([height * width * factor**2 for factor in before(self._passes)]) + self._of_rows(height)

    def plan(self, limit: float) -> Plan:
        """The largest tiles within a limit, and as many together as there is room for."""
        blend, height = self.runner.blend, self.runner.size[0]
        least = smallest(blend)
        for side in SIDES:
            whole = side + 2 * blend
            tile, rows = self._of_inputs(self._areas_of(whole)), self._of_rows(min(whole, height))
            if side >= least and tile + rows <= limit:
                return Plan(side, max(1, int((limit - rows) // tile)))
        return Plan(least)

    def _of_inputs(self, areas: list[int]) -> float:
        """Bytes, from the pixels of each pass's input."""
        return self._peak * max(area / measured for area, measured in zip(areas, self._areas, strict=True))

    def _of_rows(self, rows: int) -> float:
        """Bytes of a band where it lies on the device, twice: it is still there when a sink has a copy."""
        stage = self.runner.stage
        if self.runner.technique.device.type == "cuda" and not stage.kept:
            return 0.0
        pixel = self.channels * (self.dtype.itemsize if stage.kept else 4)
        return 2.0 * pixel * stage.scale**2 * rows * self.runner.size[1]

    def _areas_of(self, side: int) -> list[int]:
        """Pixels of each pass's input for a tile, which is no larger than the image."""
        height, width = self.runner.size
        found = zip(sizes(side, self._passes), before(self._passes), strict=True)
        return [min(size, height * factor) * min(size, width * factor) for size, factor in found]
