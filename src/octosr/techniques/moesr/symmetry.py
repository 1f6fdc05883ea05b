"""The four symmetries of the square that MoESR needs, on images and on the filters of a network.

Running a network on a turned image and turning the result back is the same as running it with turned filters, since
zero padding, bicubic enlargement and pointwise functions turn along. With h(f)(x) = T^-1 f(T x), the filters have to
be turned by T^-1. The public code turns them by T in the case ROTATE: its fine-tuned network is the one it has scored
turned by 180 degrees.
"""

from __future__ import annotations

import torch
from torch import Tensor

IDENTITY, FLIP_ROTATE, ROTATE, FLIP = range(4)
"""Nothing; flip left-right, then turn by 90 degrees counter-clockwise; turn alone; flip alone."""


def turn(images: Tensor, symmetry: int) -> Tensor:
    """Apply a symmetry to images (..., H, W); FLIP_ROTATE and ROTATE swap the sides."""
    if symmetry in (FLIP_ROTATE, FLIP):
        images = images.flip(-1)
    if symmetry in (FLIP_ROTATE, ROTATE):
        images = images.rot90(1, (-2, -1))
    return images


def turn_back(images: Tensor, symmetry: int) -> Tensor:
    """Undo :func:`turn`. All but ROTATE undo themselves."""
    return images.rot90(-1, (-2, -1)) if symmetry == ROTATE else turn(images, symmetry)


def turn_filters(weights: Tensor, symmetries: Tensor, official_quirks: bool = False) -> Tensor:
    """Filters for which a network does by itself what turning, running and turning back does.

    Args:
        weights: (N, out, in, k, k), those of N networks.
        symmetries: int64, (N,).
        official_quirks: turn ROTATE the wrong way round, as the public code does.

    Returns:
        A new tensor of the same shape.
    """
    result = weights.clone()
    for symmetry in (FLIP_ROTATE, ROTATE, FLIP):
        chosen = (symmetries == symmetry).nonzero().flatten().to(weights.device)
        if len(chosen):
            wrong_way = official_quirks and symmetry == ROTATE
            function = turn if wrong_way else turn_back
            result[chosen] = function(weights[chosen], symmetry)
    return result


def swaps_sides(symmetry: int) -> bool:
    """Whether height and width change places."""
    return symmetry in (FLIP_ROTATE, ROTATE)


def stack_turned(images: Tensor, symmetries: tuple[int, ...]) -> Tensor:
    """Images turned by several symmetries of equal shape, (N, C, H, W) to (S*N, C, H', W'), symmetry first."""
    return torch.cat([turn(images, symmetry) for symmetry in symmetries])
