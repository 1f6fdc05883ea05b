"""The passes of a tiling in groups: a tile goes through all of a group, after which the whole image is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

from octosr.prediction.tiling.spans import before
from octosr.techniques.tiling import TilePass, Tiling


@dataclass(frozen=True)
class Stage:
    """Passes that tiles go through one after the other.

    Attributes:
        passes: of which at most the last is kept.
        first: number of the first among all passes of the tiling.
        factor: pixels of its input along one LR pixel.
    """

    passes: tuple[TilePass, ...]
    first: int = 0
    factor: int = 1

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        return math.prod(one.scale for one in self.passes)

    @property
    def kept(self) -> bool:
        """Whether its result is the input of another stage."""
        return self.passes[-1].kept

    @property
    def alike(self) -> tuple[tuple[TilePass, ...], int]:
        """Equal for stages whose tiles cost the same."""
        return self.passes, self.factor

    @property
    def work(self) -> float:
        """What an LR pixel costs."""
        factors = before(self.passes)
        return sum(one.work * (self.factor * f) ** 2 for one, f in zip(self.passes, factors, strict=True))


def stages(tiling: Tiling) -> list[Stage]:
    """The passes, cut after those that are kept.

    >>> kept, last = TilePass(2, halo=5, kept=True), TilePass(4, halo=3)
    >>> [(stage.first, len(stage.passes), stage.factor) for stage in stages(Tiling((kept, kept, last, last)))]
    [(0, 1, 1), (1, 1, 2), (2, 2, 4)]
    """
    found: list[Stage] = []
    first, factor = 0, 1
    for number, one in enumerate(tiling.passes, 1):
        if one.kept or number == len(tiling.passes):
            found.append(Stage(tiling.passes[first:number], first, factor))
            first, factor = number, factor * found[-1].scale
    return found
