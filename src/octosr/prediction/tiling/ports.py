"""Where images come from and where rows go, so that neither need be in memory as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Source(Protocol):
    """An image that need not fit in memory.

    Attributes:
        height: in LR pixels.
        width: in LR pixels.
    """

    height: int
    width: int

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """The rectangle of rows top to bottom - 1 and columns left to right - 1; float32 RGB in [0, 1], (3, h, w)."""


class Sink(Protocol):
    """Takes the enlarged image, from the top to the bottom."""

    def write(self, rows: Tensor) -> None:
        """The next rows, float32 RGB on the CPU, (3, r, scale*width), not clamped; each row comes once.

        They are the sink's: nobody changes them afterwards, so it may read them until the next ones come, and later.
        """


@dataclass(frozen=True)
class Report:
    """What :func:`~octosr.prediction.tiling.upscale` did.

    Attributes:
        tile: side of the tiles in LR pixels at the end; None: the image was done as a whole.
        tiles: how many tiles were written (1 for a whole image).
        halvings: how often memory ran out and the tile was halved.
        seconds: time in all.
        bound: by how much, at most, a value differs from that of the whole image as measured by those who declared the
            technique's tiling; 0: by rounding only; None: not known.
    """

    tile: int | None
    tiles: int
    halvings: int
    seconds: float
    bound: float | None = 0.0


class ArraySource:
    """An image in memory.

    Args:
        image: float RGB in [0, 1], (3, h, w).
    """

    def __init__(self, image: Tensor) -> None:
        self.image = image
        self.height, self.width = int(image.shape[-2]), int(image.shape[-1])

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """See :class:`Source`."""
        return self.image[:, top:bottom, left:right].float()


class ListSink:
    """Keeps the rows."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []

    def write(self, rows: Tensor) -> None:
        """See :class:`Sink`."""
        self.parts.append(rows.clone())

    def image(self) -> Tensor:
        """All rows so far, (3, H, W)."""
        return torch.cat(self.parts, 1)
