"""An image flipped and rotated, without turning more of it than is read."""

from __future__ import annotations

from torch import Tensor

from octosr.prediction.tiling.ports import Source
from octosr.prediction.tiling.spans import Span
from octosr.prediction.tiling.symmetry import Rectangle, turn, turn_rectangle_back, turn_size


class TurnedSource:
    """See :class:`~octosr.prediction.tiling.Source`.

    Args:
        source: the image.
        symmetry: by which it is turned.
    """

    def __init__(self, source: Source, symmetry: int) -> None:
        self._source, self._symmetry = source, symmetry
        self._size = (source.height, source.width)
        self.height, self.width = turn_size(self._size, symmetry)

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """See :class:`~octosr.prediction.tiling.Source`."""
        part = Rectangle(Span(top, bottom), Span(left, right))
        rows, columns = turn_rectangle_back(part, self._size, self._symmetry)
        return turn(self._source.read(rows.start, rows.stop, columns.start, columns.stop), self._symmetry)
