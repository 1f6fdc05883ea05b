"""The eight flips and rotations of the square, on images and on rectangles of images."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from octosr.prediction.tiling.spans import Span

ALL = tuple(range(8))
"""Symmetry n flips left and right if n is 4 or more, then turns counter-clockwise by n % 4 times 90 degrees."""


class Rectangle(NamedTuple):
    """Rows and columns of an image."""

    rows: Span
    columns: Span


def turn(images: Tensor, symmetry: int) -> Tensor:
    """Apply a symmetry to (..., H, W)."""
    if symmetry >= 4:
        images = images.flip(-1)
    return images.rot90(symmetry % 4, (-2, -1))


def turn_back(images: Tensor, symmetry: int) -> Tensor:
    """Undo :func:`turn`."""
    images = images.rot90(-(symmetry % 4), (-2, -1))
    return images.flip(-1) if symmetry >= 4 else images


def turn_size(size: tuple[int, int], symmetry: int) -> tuple[int, int]:
    """Height and width of the turned image."""
    return (size[1], size[0]) if symmetry % 2 else size


def turn_rectangle(part: Rectangle, size: tuple[int, int], symmetry: int) -> Rectangle:
    """Where a rectangle of an image of a height and width lies after :func:`turn`.

    >>> turn_rectangle(Rectangle(Span(0, 1), Span(0, 2)), (5, 7), 1)
    Rectangle(rows=Span(start=5, stop=7), columns=Span(start=0, stop=1))
    """
    height, width = size
    if symmetry >= 4:
        part = Rectangle(part.rows, _mirrored(part.columns, width))
    for _ in range(symmetry % 4):
        part = Rectangle(_mirrored(part.columns, width), part.rows)
        height, width = width, height
    return part


def turn_rectangle_back(part: Rectangle, size: tuple[int, int], symmetry: int) -> Rectangle:
    """Undo :func:`turn_rectangle`; ``size`` is still that of the image before turning."""
    height, width = turn_size(size, symmetry)
    for _ in range(symmetry % 4):
        part = Rectangle(part.columns, _mirrored(part.rows, height))
        height, width = width, height
    return Rectangle(part.rows, _mirrored(part.columns, width)) if symmetry >= 4 else part


def _mirrored(span: Span, length: int) -> Span:
    return Span(length - span.stop, length - span.start)
