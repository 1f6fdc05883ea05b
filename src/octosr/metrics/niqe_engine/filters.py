"""Short filters along rows or columns.

PyTorch has no fast float64 convolution on CPUs. What is summed for one place does not depend on how many images or rows
are filtered at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.metrics.niqe_engine.variants import BLOCK


def filtered(x: Tensor, taps: tuple[float, ...], dim: int, step: int = 1) -> Tensor:
    """Weighted sums at every place, or every ``step``-th, along one of the last two dimensions that has them all.

    On a CPU a few neighbouring sums at a time are a product with a small band matrix, whose zeros cost less than what
    sums of shifted slices read and write. NumPy's, because PyTorch's takes twice as long on matrices that small.

    Args:
        x: float32 or float64, (..., H, W).
        taps: the weights of values one after another.
        dim: -2 or -1.
        step: how far the places lie apart.

    Returns:
        of the type of x, (H or W - taps) // step + 1 long in ``dim``.

    >>> filtered(torch.arange(8.0).view(1, 1, 8), (0.5, 0.5), -1, step=2)
    tensor([[[0.5000, 2.5000, 4.5000, 6.5000]]])
    """
    size = (x.shape[dim] - len(taps)) // step + 1
    if x.device.type != "cpu":
        shifted = x.unfold(dim, len(taps), step).unbind(-1)
        result = shifted[0] * taps[0]
        for values, tap in zip(shifted[1:], taps[1:], strict=True):
            result.add_(values, alpha=tap)
        return result
    count = math.gcd(size, 4 if dim == -2 else 8)
    band = _band(taps, count, step, x.dtype)
    windows = x.unfold(dim, band.shape[1], step * count)
    shape = list(x.shape)
    shape[dim] = size
    result = x.new_empty(shape)
    sums = result.unflatten(dim, (-1, count))
    if dim == -2:  # (count, k) @ (..., windows, k, W)
        np.matmul(band, windows.mT.numpy(), out=sums.numpy())
    else:  # (..., parts, windows, rows, k) @ (k, count), in parts because BLAS uses all cores on matrices of many rows
        rows = math.gcd(x.shape[-2], BLOCK)
        windows, sums = (t.unflatten(-3, (-1, rows)).transpose(-3, -2) for t in (windows, sums))
        np.matmul(windows.numpy(), band.T.copy(), out=sums.numpy())
    return result


@lru_cache(maxsize=32)
def _band(taps: tuple[float, ...], count: int, step: int, dtype: torch.dtype) -> npt.NDArray[np.floating]:
    """The matrix (count, all values they take) of neighbouring sums."""
    band = torch.zeros(count, step * (count - 1) + len(taps), dtype=dtype)
    for row in range(count):
        band[row, step * row : step * row + len(taps)] = torch.tensor(taps, dtype=dtype)
    return band.numpy()
