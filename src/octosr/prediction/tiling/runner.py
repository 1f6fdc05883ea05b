"""What a technique makes of tiles of an image: each with its halo, through all passes of a stage, in all symmetries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from octosr.prediction.tiling.ports import Source
from octosr.prediction.tiling.spans import Span, before, inputs, sizes
from octosr.prediction.tiling.stages import Stage
from octosr.prediction.tiling.symmetry import Rectangle, turn_back, turn_rectangle, turn_size
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.tiling import Place


class Look(NamedTuple):
    """A way of looking at the image: the symmetry by which ``source`` is turned, and what was found once for it."""

    symmetry: int
    source: Source
    context: Any = None


class TileRunner:
    """Runs a stage on parts of its input.

    Args:
        technique: on the device to use.
        stage: its passes.
        looks: the same input turned in one or several ways; the result is the mean over all.
        blend: pixels by which tiles are widened to fade into their neighbours.
    """

    def __init__(self, technique: SingleImageTechnique, stage: Stage, looks: Sequence[Look], blend: int = 0) -> None:
        self.technique, self.stage, self.looks, self.blend = technique, stage, looks, blend
        first = looks[0]
        self.size = turn_size((first.source.height, first.source.width), first.symmetry)
        """Height and width of the input, not turned."""

    def enlarge(self, parts: Sequence[Rectangle], sides: tuple[int, int]) -> list[Tensor]:
        """Parts of the result.

        Args:
            parts: rectangles of the input.
            sides: height and width that none of them exceeds.

        Returns:
            for each (C, scale*h, scale*w), on the technique's device.
        """
        total: list[Tensor] = []
        with torch.inference_mode(not self.technique.needs_grad), torch.no_grad():
            for look in self.looks:
                made = [turn_back(image, look.symmetry) for image in self._turned(parts, sides, look)]
                if len(self.looks) > 1:
                    made = [image.float() for image in made]
                total = [a + b for a, b in zip(total, made, strict=True)] if total else made
        return [image / len(self.looks) for image in total] if len(self.looks) > 1 else total

    def whole(self) -> Tensor:
        """All of the result."""
        height, width = self.size
        return self.enlarge([Rectangle(Span(0, height), Span(0, width))], self.size)[0]

    def _turned(self, parts: Sequence[Rectangle], sides: tuple[int, int], look: Look) -> list[Tensor]:
        """Parts of what is made of the turned input, not turned back."""
        passes, first = self.stage.passes, self.stage.first
        height, width = turn_size(self.size, look.symmetry)
        turned = [turn_rectangle(part, self.size, look.symmetry) for part in parts]
        high, wide = (sizes(s, passes) if len(parts) > 1 else None for s in turn_size(sides, look.symmetry))
        rows = [inputs(part.rows, height, passes, high) for part in turned]
        columns = [inputs(part.columns, width, passes, wide) for part in turned]
        tiles = _batch([self._read(look.source, r[0], c[0]) for r, c in zip(rows, columns, strict=True)])
        for number, (one, factor) in enumerate(zip(passes, before(passes), strict=True)):
            places = [
                Place(r[number].start, c[number].start, height * factor, width * factor)
                for r, c in zip(rows, columns, strict=True)
            ]
            made = self.technique.enlarge_tiles(first + number, tiles, look.context, places)
            last = number == len(passes) - 1
            wholes = [
                (r[number].times(one.scale), c[number].times(one.scale)) for r, c in zip(rows, columns, strict=True)
            ]
            if last:
                factor *= one.scale
                wanted_parts = [(part.rows.times(factor), part.columns.times(factor)) for part in turned]
            else:
                wanted_parts = [(r[number + 1], c[number + 1]) for r, c in zip(rows, columns, strict=True)]
            pieces = [
                image[:, want[0].within(whole[0]), want[1].within(whole[1])]
                for image, want, whole in zip(made, wanted_parts, wholes, strict=True)
            ]
            if last:
                return pieces
            tiles = _batch(pieces)
        raise AssertionError("a stage has at least one pass")

    def _read(self, source: Source, rows: Span, columns: Span) -> Tensor:
        return source.read(rows.start, rows.stop, columns.start, columns.stop).to(self.technique.device)


def _batch(tiles: Sequence[Tensor]) -> Tensor:
    """Several tiles together; one by itself is not copied."""
    return tiles[0][None] if len(tiles) == 1 else torch.stack(list(tiles))
