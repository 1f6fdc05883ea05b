"""Arithmetic of tiles along one side of an image: what each pass has to see for a stretch of the result."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from octosr.techniques.tiling import TilePass


class Span(NamedTuple):
    """Pixels ``start`` to ``stop - 1``."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many."""
        return self.stop - self.start

    def times(self, factor: int) -> Span:
        """The same stretch of the image enlarged."""
        return Span(self.start * factor, self.stop * factor)

    def within(self, outer: Span) -> slice:
        """As a slice of ``outer``."""
        return slice(self.start - outer.start, self.stop - outer.start)


def cut(length: int, side: int) -> list[Span]:
    """A length in stretches of at most ``side``, of nearly equal size.

    >>> cut(10, 4)
    [Span(start=0, stop=3), Span(start=3, stop=6), Span(start=6, stop=10)]
    """
    count = -(-length // side)
    edges = [number * length // count for number in range(count + 1)]
    return [Span(start, stop) for start, stop in pairwise(edges)]


def grow(span: Span, length: int, halo: int, size: int, multiple: int = 1) -> Span:
    """A stretch with what lies within a halo, never beyond the image.

    Then made as large as ``size`` and as the next ``multiple``, if the image is.

    >>> grow(Span(0, 4), 100, 2, 12), grow(Span(40, 44), 100, 2, 12), grow(Span(96, 100), 100, 2, 12)
    (Span(start=0, stop=12), Span(start=36, stop=48), Span(start=88, stop=100))
    >>> grow(Span(0, 4), 100, 2, 1), grow(Span(0, 4), 100, 2, 1, multiple=4)
    (Span(start=0, stop=6), Span(start=0, stop=8))
    """
    start, stop = max(span.start - halo, 0), min(span.stop + halo, length)
    size = -(-max(size, stop - start) // multiple) * multiple
    missing = min(size, length) - (stop - start)
    if missing <= 0:
        return Span(start, stop)
    before = min(missing // 2, start)
    after = min(missing - before, length - stop)
    return Span(start - (missing - after), stop + after)


def sizes(side: int, passes: Sequence[TilePass]) -> list[int]:
    """Sides of the inputs of all passes for tiles of ``side`` LR pixels that go together: one size, at borders too.

    >>> sizes(8, [TilePass(2, halo=2), TilePass(4, halo=3, multiple=4)])
    [17, 24]
    """
    factors = before(passes)
    found: list[int] = []
    needed = side * factors[-1]
    for number in range(len(passes) - 1, -1, -1):
        one = passes[number]
        if found:
            # The next pass's input may begin and end between pixels of this one's.
            needed = -(-found[0] // one.scale) + (one.scale > 1)
        needed = max(needed + 2 * one.halo, one.least)
        found.insert(0, -(-needed // one.multiple) * one.multiple)
    return found


def before(passes: Sequence[TilePass]) -> list[int]:
    """By how much the image is enlarged before each pass.

    >>> before([TilePass(2, 0), TilePass(4, 0)])
    [1, 2]
    """
    factors = [1]
    for one in passes[:-1]:
        factors.append(factors[-1] * one.scale)
    return factors


def inputs(span: Span, length: int, passes: Sequence[TilePass], wanted: Sequence[int] | None) -> list[Span]:
    """What each pass has to be given for a stretch of the image.

    Args:
        span: of the LR image.
        length: of the LR image.
        passes: in their order.
        wanted: from :func:`sizes`; None: no more than what is needed.

    Returns:
        for each pass a stretch of its own input.
    """
    factors = before(passes)
    needed = span.times(factors[-1])
    found: list[Span] = []
    for number in range(len(passes) - 1, -1, -1):
        one = passes[number]
        if found:
            needed = Span(found[0].start // one.scale, -(-found[0].stop // one.scale))
        size = one.least if wanted is None else wanted[number]
        found.insert(0, grow(needed, length * factors[number], one.halo, size, one.multiple))
    return found
