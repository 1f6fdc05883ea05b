"""Tiles side by side make a band over the full width; bands make the image, row after row."""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.prediction.tiling.ports import Sink
from octosr.prediction.tiling.runner import TileRunner
from octosr.prediction.tiling.spans import Span, cut
from octosr.prediction.tiling.symmetry import Rectangle


def widened(span: Span, length: int, blend: int) -> Span:
    """A stretch with what it shares with its neighbours on both sides."""
    return Span(max(span.start - blend, 0), min(span.stop + blend, length))


def weights(span: Span, length: int, blend: int, scale: int) -> Tensor | None:
    """How much a tile counts at each pixel of the result along one side; where tiles overlap their weights add up to 1.

    A raised cosine: it begins and ends without a kink, so that nothing is seen of where a tile begins.

    Args:
        span: of the tile in LR pixels, not widened.
        length: of the LR image.
        blend: LR pixels by which it is widened; nothing is blended at the image's own border.
        scale: result pixels for each LR pixel.

    Returns:
        one weight for each pixel of the widened stretch; None: all are 1.
    """
    if not blend or span == Span(0, length):
        return None
    ramp = torch.sin((torch.arange(2 * blend * scale) + 0.5) * (torch.pi / (4 * blend * scale))).square()
    line = torch.ones(widened(span, length, blend).size * scale)
    if span.start > 0:
        line[: len(ramp)] *= ramp
    if span.stop < length:
        line[-len(ramp) :] *= 1 - ramp
    return line


class Bands:
    """Takes bands from the top down and hands the finished rows to a sink, each once.

    Args:
        runner: makes tiles.
        sink: takes rows, float32 on the CPU; those of a stage that is kept as and where they are made.
    """

    def __init__(self, runner: TileRunner, sink: Sink) -> None:
        self.runner, self.sink = runner, sink
        self.scale, self.blend = runner.stage.scale, runner.blend
        self.height, self.width = runner.size
        self.done = 0
        """Rows of the input that are covered."""
        self._begun: Tensor | None = None  # rows that the next band adds to

    def make(self, rows: Span, side: int, together: int) -> tuple[Tensor, int]:
        """A band and its number of tiles; changes nothing, so it may fail and be tried again with smaller tiles.

        Args:
            rows: of the input, at most ``side`` of them.
            side: of the tiles, in pixels of the input.
            together: how many tiles are enlarged as one batch.

        Returns:
            (C, h, scale*width) for the widened rows, weighted by :func:`weights` across but not yet down.
        """
        columns = cut(self.width, side)
        seen_rows = widened(rows, self.height, self.blend)
        # As large as the largest of them, not as ``side``: what a tile has beyond its part and halo is made in vain.
        widest = max(column.size for column in columns) + 2 * self.blend
        band: Tensor | None = None
        for first in range(0, len(columns), together):
            group = columns[first : first + together]
            seen = [widened(column, self.width, self.blend) for column in group]
            made = self.runner.enlarge([Rectangle(seen_rows, s) for s in seen], (seen_rows.size, widest))
            if band is None:
                band = self._empty(made[0], seen_rows)
            for column, s, image in zip(group, seen, made, strict=True):
                place = band[:, :, s.start * self.scale : s.stop * self.scale]
                line = weights(column, self.width, self.blend, self.scale)
                if line is None:
                    place.copy_(image)
                else:
                    place.add_(image.to(band) * line)
        assert band is not None
        return band, len(columns)

    def _empty(self, like: Tensor, rows: Span) -> Tensor:
        height, width = rows.size * self.scale, self.width * self.scale
        if self.runner.stage.kept:
            return like.new_zeros((height, width, like.shape[0])).permute(2, 0, 1)  # as a map has it
        return torch.zeros(like.shape[0], height, width)

    def add(self, rows: Span, band: Tensor) -> None:
        """Take a finished band, the one below the last; write what no other band adds to."""
        line = weights(rows, self.height, self.blend, self.scale)
        if line is not None:
            band.mul_(line[:, None])
        if self._begun is not None:
            band[:, : self._begun.shape[1]] += self._begun
            self._begun = None
        if self.blend and rows.stop < self.height:
            shared = 2 * self.blend * self.scale
            self._begun = band[:, -shared:].clone()
            band = band[:, :-shared]
        self.done = rows.stop
        self.sink.write(band)
