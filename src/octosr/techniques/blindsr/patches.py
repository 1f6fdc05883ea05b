"""Parts of images that the search for a kernel looks at: crops, patches that cover them, the public code's patches."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from octosr.nn.crops import cut, informative_corners


class Pieces(NamedTuple):
    """P parts, all of one size, of each of N images, and what their pixels count in a mean over the image.

    Attributes:
        lr: (N, P, 3, p, q).
        enlarged: (N, P, 3, s*p, s*q), cut from the enlarged images.
        corners: int64, top-left corners in LR pixels, (N, P, 2).
        weights: (P, p, q), sum 1.
    """

    lr: Tensor
    enlarged: Tensor
    corners: Tensor
    weights: Tensor

    def of(self, images: Tensor) -> Pieces:
        """The pieces of some of the images."""
        return Pieces(self.lr[images], self.enlarged[images], self.corners[images], self.weights)

    def only(self, number: int) -> Pieces:
        """One piece of every image, as if there were no other."""
        part = slice(number, number + 1)
        weights = self.weights[part] / self.weights[part].sum()
        return Pieces(self.lr[:, part], self.enlarged[:, part], self.corners[:, part], weights)


def covering(lr: Tensor, enlarged: Tensor, side: int) -> Pieces:
    """Patches that cover the images, a quarter overlapping, each pixel counting the same however many have it.

    Args:
        lr: (N, 3, h, w).
        enlarged: (N, 3, s*h, s*w).
        side: of the patches in LR pixels; smaller along a side on which the image is smaller.
    """
    height, width = lr.shape[-2:]
    size = (min(side, height), min(side, width))
    rows, columns = (_spread(length, side) for length in (height, width))
    corners = torch.tensor([(r, c) for r in rows for c in columns], device=lr.device)
    counts = lr.new_zeros(height, width)
    for top, left in corners.tolist():
        counts[top : top + size[0], left : left + size[1]] += 1
    weights = cut((1 / (counts * height * width))[None, None], corners[None], size)[0, :, 0]
    return _pieces(lr, enlarged, corners.expand(len(lr), -1, -1), size, weights)


def informative(lr: Tensor, enlarged: Tensor, side: int, count: int) -> Pieces:
    """The ``count`` square crops of each image that have most gradient, see ``octosr.nn.crops``."""
    corners = informative_corners(lr, side, count)
    return _pieces(lr, enlarged, corners, (side, side), _even(lr, count, (side, side)))


def published(lr: Tensor, enlarged: Tensor, side: int) -> Pieces:
    """The public code's patches: a quarter overlapping, the last moved inwards; the same twice where it fits so.

    Images with a side below ``side``, on which the public code fails, get patches of their own size along that side.
    """
    height, width = lr.shape[-2:]
    size = (min(side, height), min(side, width))
    corners = torch.tensor(published_corners(height, width, side), device=lr.device).expand(len(lr), -1, -1)
    return _pieces(lr, enlarged, corners, size, _even(lr, corners.shape[1], size))


def published_corners(height: int, width: int, side: int) -> list[tuple[int, int]]:
    """Top-left corners of the public code's patches, row by row.

    >>> published_corners(200, 250, 200)
    [(0, 0), (0, 50), (0, 0), (0, 50)]
    """
    step = side - side // 4
    rows, columns = (
        [max(min(n * step, length - side), 0) for n in range(math.ceil(length / step))] for length in (height, width)
    )
    return [(row, column) for row in rows for column in columns]


def _spread(length: int, side: int) -> list[int]:
    """Where patches begin that cover a length evenly, at least a quarter overlapping, none twice."""
    if length <= side:
        return [0]
    overlap = side // 4
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(n * (length - side) / (count - 1)) for n in range(count)]


def _even(like: Tensor, count: int, size: tuple[int, int]) -> Tensor:
    return like.new_full((count, *size), 1 / (count * size[0] * size[1]))


def _pieces(lr: Tensor, enlarged: Tensor, corners: Tensor, size: tuple[int, int], weights: Tensor) -> Pieces:
    scale = enlarged.shape[-1] // lr.shape[-1]
    large = cut(enlarged, corners * scale, (size[0] * scale, size[1] * scale))
    return Pieces(cut(lr, corners, size), large, corners, weights)
