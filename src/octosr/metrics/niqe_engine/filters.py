"""Short filters along rows or columns.

PyTorch has no fast float64 convolution on CPUs. What is summed for one place does not depend on how many images or rows
are filtered at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from octosr.metrics.niqe_engine.arrays import Array, windows
from octosr.metrics.niqe_engine.variants import BLOCK

MOST_ROWS = 1024
"""BLAS uses all cores on matrices of more rows, which here only makes them wait for each other."""


def filtered(x: Array, taps: tuple[float, ...], dim: int, step: int = 1, memory: Array | None = None) -> Array:
    """Weighted sums at every place, or every ``step``-th, along one of the last two dimensions that has them all.

    On a CPU a few neighbouring sums at a time are a product with a small band matrix, whose zeros cost less than what
    sums of shifted slices read and write. NumPy's, because PyTorch's takes twice as long on matrices that small.

    Args:
        x: float32 or float64, (..., H, W), contiguous.
        taps: the weights of values one after another.
        dim: -2 or -1.
        step: how far the places lie apart.
        memory: contiguous, of the type of x and large enough: may be written over instead of memory of its own.

    Returns:
        of the type of x, (H or W - taps) // step + 1 long in ``dim``.

    >>> filtered(np.arange(8.0)[None], (0.5, 0.5), -1, step=2)
    array([[0.5, 2.5, 4.5, 6.5]])
    """
    if not isinstance(x, np.ndarray):
        shifted = x.unfold(dim, len(taps), step).unbind(-1)
        result = shifted[0] * taps[0]
        for values, tap in zip(shifted[1:], taps[1:], strict=True):
            result.add_(values, alpha=tap)
        return result
    size = (x.shape[dim] - len(taps)) // step + 1
    count = math.gcd(size, 4 if dim == -2 else 8)
    band = _band(taps, count, step, x.dtype.name)
    parts = windows(x, dim, band.shape[1], step * count)
    shape = list(x.shape)
    shape[dim] = size
    result = np.empty(shape, x.dtype) if memory is None else memory.ravel()[: math.prod(shape)].reshape(shape)
    if dim == -2:  # (count, k) @ (..., parts, k, W)
        np.matmul(band, parts.swapaxes(-1, -2), out=result.reshape(*shape[:-2], -1, count, shape[-1]))
    else:  # (groups, parts, rows, k) @ (k, count)
        rows = math.prod(shape[:-1])
        rows = rows if rows <= MOST_ROWS else math.gcd(shape[-2], BLOCK)
        sums = result.reshape(-1, rows, size // count, count)
        np.matmul(parts.reshape(-1, rows, *parts.shape[-2:]).swapaxes(1, 2), band.T.copy(), out=sums.swapaxes(1, 2))
    return result


@lru_cache(maxsize=32)
def _band(taps: tuple[float, ...], count: int, step: int, dtype: str) -> npt.NDArray[np.floating]:
    """The matrix (count, all values they take) of neighbouring sums."""
    band = np.zeros((count, step * (count - 1) + len(taps)), dtype)
    for row in range(count):
        band[row, step * row : step * row + len(taps)] = taps
    return band
