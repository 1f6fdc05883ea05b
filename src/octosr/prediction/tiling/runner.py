"""What a technique makes of tiles of an image: each with its halo, through all passes, in all wanted symmetries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from octosr.prediction.tiling.ports import Source
from octosr.prediction.tiling.spans import before, inputs, sizes
from octosr.prediction.tiling.symmetry import (
    ALL,
    Rectangle,
    turn,
    turn_back,
    turn_rectangle,
    turn_rectangle_back,
    turn_size,
)
from octosr.prediction.tiling.view import view_of
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.tiling import Place, Tiling


class TileRunner:
    """Runs a technique on parts of one image.

    Args:
        technique: on the device to use.
        source: the image.
        tiling: how it may be cut.
        self_ensemble: the mean over all eight symmetries; a context is found for each, since a turned image has a
            turned blur.
    """

    def __init__(
        self, technique: SingleImageTechnique, source: Source, tiling: Tiling, self_ensemble: bool = False
    ) -> None:
        self.technique, self.source, self.tiling = technique, source, tiling
        self.size = (source.height, source.width)
        self.symmetries = ALL if self_ensemble else ALL[:1]
        self._contexts: list[Any] | None = None

    @property
    def ready(self) -> bool:
        """Whether the contexts have been found."""
        return self._contexts is not None

    def find_contexts(self, side: int | None) -> list[Any]:
        """Find what holds for the whole image, on a view of about ``side`` squared LR pixels; None: there is none.

        Returns:
            a context for each symmetry.
        """
        if side is None:
            self._contexts = [None] * len(self.symmetries)
            return self._contexts
        view = view_of(self.source, side).to(self.technique.device)
        # Contexts may come from an optimisation on the image, which is differentiated whatever mode the caller is in.
        with torch.inference_mode(False), torch.no_grad():
            self._contexts = [self.technique.find_context(turn(view, s).clone()) for s in self.symmetries]
        return self._contexts

    def enlarge(self, parts: Sequence[Rectangle], side: int) -> list[Tensor]:
        """Parts of the result.

        Args:
            parts: rectangles of the LR image with sides of at most ``side``.
            side: in LR pixels.

        Returns:
            for each (3, scale*h, scale*w), float32, on the technique's device.
        """
        assert self._contexts is not None
        total: list[Tensor] = []
        with torch.inference_mode(not self.technique.needs_grad), torch.no_grad():
            for symmetry, context in zip(self.symmetries, self._contexts, strict=True):
                made = [turn_back(image, symmetry) for image in self._turned(parts, side, symmetry, context)]
                total = [a + b for a, b in zip(total, made, strict=True)] if total else made
        return [image / len(self.symmetries) for image in total] if len(self.symmetries) > 1 else total

    def _turned(self, parts: Sequence[Rectangle], side: int, symmetry: int, context: Any) -> list[Tensor]:
        """Parts of what the technique makes of the turned image, not turned back."""
        passes = self.tiling.passes
        height, width = turn_size(self.size, symmetry)
        turned = [turn_rectangle(part, self.size, symmetry) for part in parts]
        wanted = sizes(side, passes)
        rows = [inputs(part.rows, height, passes, wanted) for part in turned]
        columns = [inputs(part.columns, width, passes, wanted) for part in turned]
        tiles = torch.stack([self._read(Rectangle(r[0], c[0]), symmetry) for r, c in zip(rows, columns, strict=True)])
        for number, (one, factor) in enumerate(zip(passes, before(passes), strict=True)):
            places = [
                Place(r[number].start, c[number].start, height * factor, width * factor)
                for r, c in zip(rows, columns, strict=True)
            ]
            made = self.technique.enlarge_tiles(number, tiles, context, places)
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
                return [piece.float() for piece in pieces]
            tiles = torch.stack(pieces)
        raise AssertionError("a tiling has at least one pass")

    def _read(self, part: Rectangle, symmetry: int) -> Tensor:
        rows, columns = turn_rectangle_back(part, self.size, symmetry)
        read = self.source.read(rows.start, rows.stop, columns.start, columns.stop)
        return turn(read.to(self.technique.device), symmetry)
