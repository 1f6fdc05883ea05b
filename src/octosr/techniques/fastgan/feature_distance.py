"""LPIPS's comparison of feature maps, each pixel's channels as a vector of length 1 (Zhang et al., CVPR 2018, eq. 1).

On CPUs some pixels are done at a time, forwards and backwards, so that nothing between the maps and the result leaves
the cache; operation after operation over whole maps takes longer than half of VGG's convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.cores import map_on_cores
from octosr.nn.winograd import suits

SMALLEST = 1e-10
"""Added to the lengths, as published."""
_AT_ONCE = 2**15
"""Numbers of a map that are done together."""


def feature_distance(maps: Tensor, targets: Tensor, places: Sequence[int], head: Tensor) -> Tensor:
    """Mean over the pixels of the weighted squared difference of unit vectors.

    Args:
        maps: (N, C, H, W).
        targets: (M, C, H, W), without gradient.
        places: the target of each image, N numbers below M.
        head: the weight of each channel, (C,), without gradient.

    Returns:
        (N,); differentiable once with respect to ``maps`` on CPUs.
    """
    if suits(maps) and maps.is_contiguous(memory_format=torch.channels_last):
        found: Tensor = _Distance.apply(maps, targets, places, head)
        return found
    units = [x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + SMALLEST) for x in (maps, targets)]
    difference = (units[0] - units[1][list(places)]).square()
    # Means over pixels first, then the weighted sum over channels, which is linear.
    return (difference.mean((2, 3)) * head).sum(1)


class _Distance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, targets: Tensor, places: Sequence[int], head: Tensor) -> Tensor:
        ctx.save_for_backward(maps, targets, head)
        ctx.places = places

        def one(n: int) -> Tensor:
            sums = [(_difference(x, y)[0].square_() @ head).sum() for x, y in _pixels(maps[n], targets[places[n]])]
            return torch.stack(sums).sum() / maps[0, 0].numel()

        return torch.stack(map_on_cores(one, range(len(maps)), maps.device))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, targets, head = ctx.saved_tensors
        result = torch.empty_like(maps)  # channels_last, as the maps

        def one(n: int) -> None:
            weights = head * (2 * gradients[0][n] / maps[0, 0].numel())
            for x, y, to in _pixels(maps[n], targets[ctx.places[n]], result[n]):
                difference, length = _difference(x, y)
                # r_c = x_c / (|x| + e) has (c = k) / (|x| + e) - x_c x_k / (|x| (|x| + e)^2) for derivatives by x_k;
                # the latter part is 0 at x = 0, as PyTorch has it.
                of_units = difference.mul_(weights)
                along = torch.linalg.vecdot(of_units, x)[:, None] / (length * (length + SMALLEST).square())
                along = torch.where(length == 0, 0, along)
                torch.div(of_units, length + SMALLEST, out=to)
                to.addcmul_(x, along, value=-1)

        map_on_cores(one, range(len(maps)), maps.device)
        return result, None, None, None


def _pixels(*images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some pixels at a time of images (C, H, W), as rows (n, C)."""
    rows = max(1, _AT_ONCE // len(images[0]))
    yield from zip(*(image.permute(1, 2, 0).flatten(0, 1).split(rows) for image in images), strict=True)


def _difference(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Of the rows as unit vectors, (n, C), and the lengths of x's, (n, 1)."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    other = torch.linalg.vector_norm(y, dim=1, keepdim=True) + SMALLEST
    return (x / (length + SMALLEST)).sub_(y / other), length
