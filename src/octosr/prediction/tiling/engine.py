"""The engine: which tiles, in what order, and what to do when memory runs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from octosr.errors import ConfigError, TooLittleMemoryError
from octosr.prediction.tiling import sizing
from octosr.prediction.tiling.bands import Bands
from octosr.prediction.tiling.memory import is_out_of_memory, release
from octosr.prediction.tiling.ports import Report, Sink, Source
from octosr.prediction.tiling.runner import TileRunner
from octosr.prediction.tiling.spans import Span, cut
from octosr.prediction.tiling.symmetry import ALL, Rectangle, turn, turn_back
from octosr.techniques.base import SingleImageTechnique

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
_Result = TypeVar("_Result")
SMALLEST_VIEW = 32
"""Sides of views on which nothing is looked for any more, in LR pixels."""


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

    No more of the image is in memory than a row of tiles, unless it is done as a whole.

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
    """One image on its way."""

    def __init__(
        self,
        technique: SingleImageTechnique,
        source: Source,
        sink: Sink,
        self_ensemble: bool,
        progress: Progress,
    ) -> None:
        self.technique, self.source, self.sink = technique, source, sink
        self.self_ensemble, self.progress = self_ensemble, progress
        self.side: int | None = None
        self.tiles = self.halvings = 0
        self.bound: float | None = 0.0

    def all(self, tile: int | None) -> None:
        """The whole image."""
        tiling = self.technique.tiling()
        height, width = self.source.height, self.source.width
        if tiling is None:
            self._untiled(tile)
            return
        runner = TileRunner(self.technique, self.source, tiling, self.self_ensemble)
        least = sizing.smallest(runner)
        if tile is not None:
            if 4 * tiling.blend > tile < max(height, width):
                raise ConfigError(
                    f"tile={tile} is too small for {self.technique.name}, whose tiles fade into each other over "
                    f"{2 * tiling.blend} LR pixels: use {least} or more."
                )
            plan = sizing.Plan(None if tile >= max(height, width) else tile)
        elif height * width <= sizing.SMALL**2:
            plan = sizing.Plan(None)
        else:
            self._find_contexts(runner)
            plan = self._without(lambda: sizing.plan(runner), "measuring a tile")
        if plan.side is None:
            seen_whole = tiling.view is None or height * width <= tiling.view**2
            if seen_whole and not runner.ready:
                whole = self._attempt(self._whole)
            else:
                self._find_contexts(runner)
                whole = self._attempt(lambda: self._as_one_tile(runner))
            if whole is not None:
                self._finish(whole)
                return
            side = max(least, -(-max(height, width) // 2))
            self._note_halving(side)
            plan = sizing.Plan(side)
        self.bound = tiling.bound
        self._in_bands(runner, plan)

    def _as_one_tile(self, runner: TileRunner) -> Tensor:
        height, width = runner.size
        return runner.enlarge([Rectangle(Span(0, height), Span(0, width))], max(height, width))[0].cpu()

    def _untiled(self, tile: int | None) -> None:
        name = self.technique.name
        if tile is not None and tile < max(self.source.height, self.source.width):
            raise ConfigError(f"{name} cannot be tiled, since its result depends on the whole image: leave tile out.")
        whole = self._attempt(self._whole)
        if whole is None:
            raise TooLittleMemoryError(
                f"{name} cannot be tiled, and there is not enough memory for the whole image of "
                f"{self.source.height}x{self.source.width} pixels: use a smaller image or another technique."
            )
        self._finish(whole)

    def _whole(self) -> Tensor:
        lr = self.source.read(0, self.source.height, 0, self.source.width)[None].to(self.technique.device)
        total: Tensor | None = None
        symmetries = ALL if self.self_ensemble else ALL[:1]
        with torch.inference_mode(not self.technique.needs_grad), torch.no_grad():
            for symmetry in symmetries:
                sr = turn_back(self.technique.super_resolve(turn(lr, symmetry)), symmetry).float()
                total = sr if total is None else total + sr
            assert total is not None
            return (total / len(symmetries) if len(symmetries) > 1 else total)[0].cpu()

    def _finish(self, whole: Tensor) -> None:
        self.tiles = 1
        self.sink.write(whole)
        pixels = self.source.height * self.source.width
        self.progress(pixels, pixels)

    def _in_bands(self, runner: TileRunner, plan: sizing.Plan) -> None:
        self._find_contexts(runner)
        bands = Bands(runner, self.sink)
        height, width = runner.size
        side, together = plan.side, plan.together
        assert side is not None
        while bands.done < height:
            self.side = side
            first = cut(height - bands.done, side)[0]
            rows = Span(bands.done, bands.done + first.size)
            made = self._attempt(partial(bands.make, rows, side, together))
            if made is None:
                side, together = self._halved(runner, side), 1
                continue
            band, count = made
            self.tiles += count
            bands.add(rows, band)
            self.progress(bands.done * width, height * width)

    def _halved(self, runner: TileRunner, side: int) -> int:
        half = side // 2
        if half < sizing.smallest(runner):
            raise TooLittleMemoryError(
                f"There is not enough memory for tiles of {side} pixels, and {sizing.smallest(runner)} is the least "
                f"for {self.technique.name}: free some memory, use hardware with more, or a smaller scale."
            )
        self._note_halving(half)
        return half

    def _note_halving(self, side: int) -> None:
        self.halvings += 1
        log.warning("Memory ran out: going on with tiles of %d pixels.", side)

    def _find_contexts(self, runner: TileRunner) -> None:
        """On the view that the technique wants, or a smaller one where memory runs out."""
        if runner.ready:
            return
        side = runner.tiling.view
        while self._attempt(partial(runner.find_contexts, side)) is None:
            assert side is not None
            side //= 2
            if side < SMALLEST_VIEW:
                raise TooLittleMemoryError(
                    f"There is not enough memory for {self.technique.name} to look at {2 * side}x{2 * side} pixels of "
                    "the image: free some memory, or use hardware with more."
                )
            log.warning("Memory ran out: looking for the blur in %d x %d pixels.", side, side)

    def _without(self, function: Callable[[], _Result], what: str) -> _Result:
        result = self._attempt(function)
        if result is None:
            raise TooLittleMemoryError(
                f"There is not enough memory for {self.technique.name}, not even for {what}: free some memory, or use "
                "hardware with more."
            )
        return result

    def _attempt(self, function: Callable[[], _Result]) -> _Result | None:
        """What a function returns, or None if memory ran out; whatever it held is then free again."""
        try:
            return function()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Only here is the error gone, and with it the frames that hold on to tensors.
        release(self.technique.device)
        return None
