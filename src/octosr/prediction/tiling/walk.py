"""An image on its way through the stages of a tiling, band by band."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from octosr.errors import TooLittleMemoryError
from octosr.prediction.tiling import sizing
from octosr.prediction.tiling.bands import Bands
from octosr.prediction.tiling.contexts import Contexts
from octosr.prediction.tiling.maps import FeatureMap
from octosr.prediction.tiling.memory import attempt, budget
from octosr.prediction.tiling.ports import Sink, Source
from octosr.prediction.tiling.runner import Look, TileRunner
from octosr.prediction.tiling.sources import TurnedSource
from octosr.prediction.tiling.spans import Span, cut
from octosr.prediction.tiling.stages import Stage, stages
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.tiling import Tiling

log = logging.getLogger(__name__)


class Walk:
    """One image in tiles.

    Args:
        technique: on the device to use.
        source: the image.
        tiling: how it may be cut.
        contexts: what is found once for the image, in each of its symmetries.
        progress: called with LR pixels done and LR pixels in all; of several stages each does its share of them.
    """

    def __init__(
        self,
        technique: SingleImageTechnique,
        source: Source,
        tiling: Tiling,
        contexts: Contexts,
        progress: Callable[[int, int], None],
    ) -> None:
        self.technique, self.source, self.tiling = technique, source, tiling
        self.contexts, self._progress = contexts, progress
        self.stages = stages(tiling)
        self.side: int | None = None
        """Side of the tiles written last, in LR pixels."""
        self.tiles = self.halvings = 0
        self._plans: dict[object, sizing.Plan] = {}
        self._done, looks = 0.0, len(contexts.symmetries)
        self._all = looks * sum(stage.work for stage in self.stages)

    def looks(self) -> list[Look]:
        """The image in each symmetry."""
        pairs = zip(self.contexts.symmetries, self.contexts.find(), strict=True)
        return [Look(symmetry, TurnedSource(self.source, symmetry), context) for symmetry, context in pairs]

    def plan(self) -> bool:
        """Find the sizes of tiles; False: the image can be done as a whole.

        Raises:
            TooLittleMemoryError: not even a tile could be measured.
        """
        looks, device = self.looks(), self.technique.device
        # In a list, since None says something else here.
        found = attempt(lambda: [sizing.plans(self.technique, self.stages, looks, self.tiling.blend)], device)
        if found is None:
            raise TooLittleMemoryError(
                f"There is not enough memory for {self.technique.name}, not even for measuring a tile: free some "
                "memory, or use hardware with more."
            )
        self._plans = found[0] or {}
        return found[0] is not None

    def use(self, side: int) -> None:
        """Tiles of this side in LR pixels."""
        self._plans = {stage.alike: sizing.Plan(side * stage.factor) for stage in self.stages}

    def halve(self, side: int) -> None:
        """Tiles of this side, since memory ran out."""
        self._note_halving(side)
        self.use(side)

    def into(self, sink: Sink) -> None:
        """All stages, the last into a sink.

        Raises:
            TooLittleMemoryError: memory does not suffice for the smallest tiles.
            DiskError: what is kept between stages is large, and there is no room for it on the disk.
        """
        *kept, last = self.stages
        looks = self.looks()
        memory = sizing.SHARE_OF_MAPS * budget(self.technique.device) / (len(looks) + 1)
        made = [self._kept(look, kept, memory) for look in looks]
        self._through(TileRunner(self.technique, last, made, self.tiling.blend), sink)

    def _kept(self, look: Look, kept: Sequence[Stage], memory: float) -> Look:
        """The same look, at what the stages before the last make of the image."""
        source = look.source
        for stage in kept:
            made = FeatureMap(source.height * stage.scale, source.width * stage.scale, memory)
            # This look is all that counts here: its own source is not turned.
            self._through(TileRunner(self.technique, stage, [Look(0, source, look.context)]), made)
            if isinstance(source, FeatureMap):
                source.close()
            source = made
        return look._replace(source=source)

    def _through(self, runner: TileRunner, sink: Sink) -> None:
        """One stage, from the top to the bottom."""
        stage, bands = runner.stage, Bands(runner, sink)
        height = runner.size[0]
        total = self.source.height * self.source.width
        tiles = 0
        while bands.done < height:
            plan = self._plans[stage.alike]
            first = cut(height - bands.done, plan.side)[0]
            rows = Span(bands.done, bands.done + first.size)
            made = attempt(partial(bands.make, rows, plan.side, plan.together), self.technique.device)
            if made is None:
                self._plans[stage.alike] = sizing.Plan(self._half(plan.side, stage))
                continue
            band, count = made
            tiles += count
            bands.add(rows, band)
            self._done += stage.work * len(runner.looks) * rows.size / height
            self._progress(round(total * self._done / self._all), total)
            self.side = plan.side // stage.factor
        self.tiles = tiles

    def _half(self, side: int, stage: Stage) -> int:
        half, least = side // 2, sizing.smallest(self.tiling.blend)
        if half < least:
            raise TooLittleMemoryError(
                f"There is not enough memory for tiles of {side} pixels, and {least} is the least "
                f"for {self.technique.name}: free some memory, use hardware with more, or a smaller scale."
            )
        self._note_halving(half // stage.factor)
        return half

    def _note_halving(self, side: int) -> None:
        self.halvings += 1
        log.warning("Memory ran out: going on with tiles of %d pixels.", side)
