"""The part of an image on which is found what holds for all of it, such as its blur."""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.prediction.tiling.ports import Source
from octosr.prediction.tiling.spans import Span, cut

_LUMA = (0.299, 0.587, 0.114)


def view_of(source: Source, side: int) -> Tensor:
    """The whole image where it has no more pixels than a square of ``side``, else its part with most detail.

    The parts that are compared cover the image and are of equal size, about ``side`` squared; each is read by itself.
    Blur is seen where there is detail: of a part the mean magnitude of its gradient counts, the first of the largest.

    Args:
        source: the image.
        side: see above, in LR pixels.

    Returns:
        (1, 3, h, w).
    """
    if source.height * source.width <= side**2:
        return source.read(0, source.height, 0, source.width)[None]
    height = min(source.height, max(side, side**2 // source.width))
    width = min(source.width, side**2 // height)
    best, most = None, -1.0
    for rows in _windows(source.height, height):
        for columns in _windows(source.width, width):
            part = source.read(rows.start, rows.stop, columns.start, columns.stop)
            found = detail(part)
            if found > most:
                best, most = part, found
    assert best is not None
    return best[None]


def _windows(length: int, side: int) -> list[Span]:
    """Stretches of ``side`` that cover a length; those of :func:`cut`, made equally long."""
    return [Span(min(s.start, length - side), min(s.start, length - side) + side) for s in cut(length, side)]


def detail(part: Tensor) -> float:
    """Mean magnitude of the gradient of the luma of (3, h, w); 0 along sides of one pixel."""
    luma = torch.einsum("chw,c->hw", part.double(), torch.tensor(_LUMA, dtype=torch.float64))
    down, right = luma.diff(dim=0), luma.diff(dim=1)
    return sum(float(step.abs().mean()) for step in (down, right) if step.numel())
