"""The engine: the image as a whole or in tiles, and what to do when memory runs out."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor

from octosr.errors import ConfigError, TooLittleMemoryError
from octosr.prediction.tiling import sizing
from octosr.prediction.tiling.contexts import Contexts
from octosr.prediction.tiling.memory import attempt
from octosr.prediction.tiling.ports import Report, Sink, Source
from octosr.prediction.tiling.runner import Look, TileRunner
from octosr.prediction.tiling.sources import TurnedSource
from octosr.prediction.tiling.stages import Stage
from octosr.prediction.tiling.symmetry import ALL
from octosr.prediction.tiling.walk import Walk
from octosr.prediction.tiling.whole import enlarge_whole
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.tiling import Tiling

Progress = Callable[[int, int], None]


def upscale(
    technique: SingleImageTechnique,
    source: Source,
    sink: Sink,
    *,
    tile: int | None = None,
    self_ensemble: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Super-resolve one image of any size.

    No more of the result is in memory than a row of tiles, unless the image is done as a whole. What is kept of the
    whole image between passes (see :mod:`octosr.techniques.tiling`) is in memory where it is small, else in a temporary
    file.

    Args:
        technique: on the device to use, with its weights.
        source: the LR image, at least one pixel.
        sink: takes the rows of the result, each once, from the top to the bottom.
        tile: side of the tiles in LR pixels, without halo; None: the whole image where it is small enough, otherwise
            what memory allows. Halved when memory runs out.
        self_ensemble: the mean over the eight flips and rotations of the image.
        progress: called with LR pixels done and LR pixels in all.

    Returns:
        What was done.

    Raises:
        ConfigError: the tile is below one pixel, or the technique cannot be tiled.
        TooLittleMemoryError: memory does not suffice for the smallest tiles either.
        DiskError: there is no room for what is kept between passes.
    """
    if tile is not None and tile < 1:
        raise ConfigError(f"tile is a side in LR pixels and at least 1, but is {tile}.")
    start = time.perf_counter()
    training = technique.training
    technique.eval()
    try:
        run = _Run(technique, source, sink, self_ensemble, progress or (lambda done, total: None))
        run.all(tile)
    finally:
        technique.train(training)
    return Report(run.side, run.tiles, run.halvings, time.perf_counter() - start, run.bound)


class _Run:
    """One image: as a whole where that is possible, else in tiles."""

    def __init__(
        self,
        technique: SingleImageTechnique,
        source: Source,
        sink: Sink,
        self_ensemble: bool,
        progress: Progress,
    ) -> None:
        self.technique, self.source, self.sink = technique, source, sink
        self.symmetries = ALL if self_ensemble else ALL[:1]
        self.progress = progress
        self.side: int | None = None
        self.tiles, self.halvings = 1, 0
        self.bound: float | None = 0.0

    def all(self, tile: int | None) -> None:
        """The whole image."""
        tiling = self.technique.tiling()
        height, width = self.source.height, self.source.width
        if tiling is None or min(height, width) < tiling.least:
            self._untiled(tile, tiling)
            return
        contexts = Contexts(self.technique, self.source, tiling.view, self.symmetries)
        walk = Walk(self.technique, self.source, tiling, contexts, self.progress)
        least = sizing.smallest(tiling.blend)
        if tile is not None and 4 * tiling.blend > tile < max(height, width):
            raise ConfigError(
                f"tile={tile} is too small for {self.technique.name}, whose tiles fade into each other over "
                f"{2 * tiling.blend} LR pixels: use {least} or more."
            )
        if tile is not None and tile < max(height, width):
            walk.use(tile)
        elif tile is not None or height * width <= sizing.SMALL**2 or not walk.plan():
            whole = attempt(lambda: self._whole_with(contexts, tiling), self.technique.device)
            if whole is not None:
                self._finish(whole)
                return
            walk.halve(max(least, -(-max(height, width) // 2)))
        self.bound = tiling.bound
        walk.into(self.sink)
        self.side, self.tiles, self.halvings = walk.side, walk.tiles, walk.halvings

    def _whole_with(self, contexts: Contexts, tiling: Tiling) -> Tensor:
        """With what was found on a part of the image, or found already; the technique finds it by itself otherwise."""
        seen_whole = tiling.view is None or self.source.height * self.source.width <= tiling.view**2
        if seen_whole and (tiling.view is None or not contexts.ready):
            return self._whole()
        looks = [
            Look(s, TurnedSource(self.source, s), c) for s, c in zip(self.symmetries, contexts.find(), strict=True)
        ]
        return TileRunner(self.technique, Stage(tiling.passes), looks).whole().float().cpu()

    def _untiled(self, tile: int | None, tiling: Tiling | None) -> None:
        name, size = self.technique.name, f"{self.source.height}x{self.source.width}"
        if tiling is None and tile is not None and tile < max(self.source.height, self.source.width):
            raise ConfigError(f"{name} cannot be tiled, since its result depends on the whole image: leave tile out.")
        whole = attempt(self._whole, self.technique.device)
        if whole is None:
            what = f"{name} cannot be tiled" if tiling is None else f"So narrow an image cannot be tiled by {name}"
            raise TooLittleMemoryError(
                f"{what}, and there is not enough memory for the whole image of {size} pixels: use a smaller image or "
                "another technique."
            )
        self._finish(whole)

    def _whole(self) -> Tensor:
        lr = self.source.read(0, self.source.height, 0, self.source.width)[None].to(self.technique.device)
        return enlarge_whole(self.technique, lr, self.symmetries)[0].cpu()

    def _finish(self, whole: Tensor) -> None:
        self.sink.write(whole)
        pixels = self.source.height * self.source.width
        self.progress(pixels, pixels)
