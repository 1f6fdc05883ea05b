"""The taps of both filters, and how tensors are filtered along rows or columns."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from octosr.metrics.niqe_engine.variants import Variant

RADIUS = 3
SIGMA = 7 / 6
HALF_TAPS = tuple(n / 256 for n in (-3, -9, 29, 111, 111, 29, -9, -3))
"""The cubic kernel (a = -1/2), widened by 2 against aliasing, at the places it takes when a side is halved."""


@lru_cache(maxsize=8)
def gaussian_taps(variant: Variant) -> tuple[float, ...]:
    """The 7 taps of the local mean.

    In exactly flat areas the coefficients are 0 but for the error of the taps' sum, and their signs decide whether a
    block has all features. ``float32_sum`` therefore has the sum of pyiqa's 49 taps, which are rounded to float32.
    """
    offsets = np.arange(-RADIUS, RADIUS + 1)
    if variant.taps == "float32":  # as NumPy 2 computes with float32 scalars
        sigma2 = np.float32(SIGMA) * np.float32(SIGMA)
        taps = np.exp(np.float32(-0.5) * (offsets**2).astype(np.float32) / sigma2)
        total = np.float32(1)
        for tap in taps[RADIUS + 1 :]:
            total = total + np.float32(2) * tap
        return tuple(float(tap / total) for tap in taps)
    taps = np.exp(-0.5 * (offsets / SIGMA) ** 2)
    taps /= taps.sum()
    if variant.taps == "float32_sum":
        taps *= math.sqrt(np.outer(taps, taps).astype(np.float32).astype(np.float64).sum())
    return tuple(float(tap) for tap in taps)


def filtered(x: Tensor, taps: tuple[float, ...], dim: int, step: int = 1) -> Tensor:
    """Weighted sums, tap after tap, at every place, or every ``step``-th, along a dimension that has them all.

    Args:
        x: float32 or float64.
        taps: the weights of values one after another.
        dim: along which.
        step: how far the places lie apart.

    Returns:
        of the type of x, (size - taps) // step + 1 long in ``dim``.

    >>> filtered(torch.arange(8.0), (0.5, 0.5), 0, step=2)
    tensor([0.5000, 2.5000, 4.5000, 6.5000])
    """
    shifted = x.unfold(dim, len(taps), step).unbind(-1)
    result = shifted[0] * taps[0]
    for values, tap in zip(shifted[1:], taps[1:], strict=True):
        if x.dtype == torch.float64:
            result.add_(values, alpha=tap)
        else:
            result += values * tap  # rounded twice, as the public code does
    return result
