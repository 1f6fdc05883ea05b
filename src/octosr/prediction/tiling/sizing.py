"""The size of tiles: as large as memory allows, since halos are computed in vain."""

from __future__ import annotations

from dataclasses import dataclass

from octosr.prediction.tiling.memory import budget, peak_bytes
from octosr.prediction.tiling.runner import TileRunner
from octosr.prediction.tiling.spans import Span, before, sizes
from octosr.prediction.tiling.symmetry import Rectangle

SIDES = (1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16)
"""Sides that are tried, in LR pixels."""
SMALL = 128
"""Images of no more pixels than a square of this side are done as a whole without asking: the study's size."""
PROBE = 32
"""Side of the tile that is measured."""
UNSEEN = 1.5
"""Allowance for memory inside operations, which is not seen on a CPU."""


@dataclass(frozen=True)
class Plan:
    """Side of the tiles in LR pixels, None for the whole image; how many of them are enlarged as one batch."""

    side: int | None
    together: int = 1


def smallest(runner: TileRunner) -> int:
    """The smallest side of tiles: blended parts of neighbours must not meet in a tile of half this side."""
    return max(16, 4 * runner.tiling.blend)


def plan(runner: TileRunner) -> Plan:
    """The plan for an image; measures a small tile unless the image is small."""
    height, width = runner.size
    if height * width <= SMALL**2:
        return Plan(None)
    cost = Cost(runner)
    limit = budget(runner.technique.device)
    if cost.of_inputs(cost.areas_of_image()) + cost.of_rows(height) <= limit:
        return Plan(None)
    least = smallest(runner)
    for side in SIDES:
        if side >= least and cost.of_tile(side) <= limit:
            return Plan(side, cost.together(side, limit))
    return Plan(least)


class Cost:
    """What tiles take, from a measured one: in proportion to the pixels of that pass where they have grown most."""

    def __init__(self, runner: TileRunner) -> None:
        self.runner = runner
        side = PROBE + 2 * runner.tiling.blend
        height, width = runner.size
        part = Rectangle(Span(0, min(side, height)), Span(0, min(side, width)))
        self._areas = self._areas_of(side)
        device = runner.technique.device
        seen = peak_bytes(lambda: runner.enlarge([part], side), device)
        self._peak = seen * (1.0 if device.type == "cuda" else UNSEEN)

    def of_inputs(self, areas: list[int]) -> float:
        """Bytes, from the pixels of each pass's input."""
        return self._peak * max(area / measured for area, measured in zip(areas, self._areas, strict=True))

    def of_rows(self, rows: int) -> float:
        """Bytes of finished rows in main memory, twice: they are still there when a sink has a copy."""
        runner = self.runner
        if runner.technique.device.type == "cuda":
            return 0.0
        return 2.0 * 12 * runner.technique.scale**2 * rows * runner.size[1]

    def of_tile(self, side: int) -> float:
        """Bytes for a tile of a side, and the band it is in."""
        whole = side + 2 * self.runner.tiling.blend
        return self.of_inputs(self._areas_of(whole)) + self.of_rows(min(whole, self.runner.size[0]))

    def together(self, side: int, limit: float) -> int:
        """How many tiles to enlarge at once."""
        one = self.of_inputs(self._areas_of(side + 2 * self.runner.tiling.blend))
        return max(1, int((limit - self.of_rows(side)) // one))

    def areas_of_image(self) -> list[int]:
        """Pixels of each pass's input for the image as a whole."""
        height, width = self.runner.size
        return [height * width * factor**2 for factor in before(self.runner.tiling.passes)]

    def _areas_of(self, side: int) -> list[int]:
        """Pixels of each pass's input for a tile, which is no larger than the image."""
        height, width = self.runner.size
        passes = self.runner.tiling.passes
        found = zip(sizes(side, passes), before(passes), strict=True)
        return [min(size, height * factor) * min(size, width * factor) for size, factor in found]
