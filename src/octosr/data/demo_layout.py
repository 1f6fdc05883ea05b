"""Which part of every demo photograph trains and which part is held out, as rectangles chosen by eye.

The rectangles keep the training side and the held-out side of one photograph apart (they never share a pixel), put
something to see on both sides, and stay clear of the black corners of the retina.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

REFERENCE = 1024  # side of a true HR reference at 8x
INPUT = 128  # side of an LR image of the study
TILE = 256  # side of a held-out HR tile
CELL = 160  # training regions are split evenly into crops of at least this side (or the region's, where smaller)


class Box(NamedTuple):
    """A rectangle in pixels: left, top, width, height."""

    left: int
    top: int
    width: int
    height: int

    def overlaps(self, other: Box) -> bool:
        """Whether the two rectangles share a pixel."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )

    def contains(self, other: Box) -> bool:
        """Whether the other rectangle lies wholly inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.left + other.width <= self.left + self.width
            and other.top + other.height <= self.top + self.height
        )

    def cells(self, side: int = CELL) -> Iterator[Box]:
        """Split into equal parts of at least `side` pixels, row by row; no overlap, so no part is seen in another."""
        columns, rows = max(1, self.width // side), max(1, self.height // side)
        width, height = self.width // columns, self.height // rows
        for row in range(rows):
            for column in range(columns):
                yield Box(self.left + column * width, self.top + row * height, width, height)


@dataclass(frozen=True)
class Layout:
    """How a photograph is cut.

    Attributes:
        held_out: the region kept from training.
        train: the regions cut into training crops.
        tiles: left, top of the held-out HR tiles of 256x256.
        inputs: left, top of the native 128x128 crops used as LR images.
        reference: whether `held_out` is itself a 1024x1024 HR reference, whose LR image is its reduction.
    """

    held_out: Box
    train: tuple[Box, ...]
    tiles: tuple[tuple[int, int], ...]
    inputs: tuple[tuple[int, int], ...] = ()
    reference: bool = False


LAYOUTS: dict[str, Layout] = {
    "aero": Layout(Box(256, 0, 256, 512), (Box(0, 0, 256, 512),), ((256, 0), (256, 256)), ((280, 10), (300, 384))),
    "chelsea": Layout(Box(195, 0, 256, 300), (Box(0, 0, 195, 300),), ((195, 22),), ((260, 64), (200, 168))),
    "flower": Layout(Box(310, 0, 330, 427), (Box(0, 0, 310, 427),), ((310, 130),), ((316, 110), (310, 299))),
    "retina": Layout(
        Box(150, 190, 1024, 1024),
        (Box(1174, 400, 190, 610), Box(420, 20, 570, 170), Box(420, 1214, 570, 170)),
        ((150, 446), (406, 190), (662, 702), (406, 958)),
        reference=True,
    ),
    "immunohistochemistry": Layout(
        Box(256, 0, 256, 512), (Box(0, 0, 256, 512),), ((256, 0), (256, 256)), ((330, 60), (262, 320))
    ),
    "miriam": Layout(
        Box(0, 463, 750, 512),
        (Box(0, 0, 750, 463),),
        ((0, 463), (256, 463), (0, 719), (494, 719)),
        ((190, 500), (580, 800)),
    ),
    "astronaut": Layout(Box(256, 0, 256, 512), (Box(0, 0, 256, 512),), ((256, 0), (256, 256)), ((340, 40), (290, 330))),
    "coffee": Layout(Box(300, 0, 300, 400), (Box(0, 0, 300, 400),), ((300, 60),), ((300, 60), (320, 205))),
    "rocket": Layout(Box(300, 0, 340, 427), (Box(0, 0, 300, 427),), ((300, 171),), ((300, 150), (512, 270))),
    "hubble": Layout(
        Box(744, 0, 256, 872), (Box(232, 180, 512, 512),), ((744, 0), (744, 500)), ((770, 60), (800, 480))
    ),
    "china": Layout(Box(220, 0, 420, 427), (Box(0, 0, 220, 427),), ((220, 90),), ((226, 150), (512, 150))),
}
