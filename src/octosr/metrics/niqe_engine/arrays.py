"""What strips are computed with: NumPy arrays on CPUs, PyTorch's tensors on other devices.

A 1024x1024 image is some thousand short operations, and a call of NumPy takes half the time of one of PyTorch. Both
libraries call most operations the same; this module holds those that they do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Any
"""A NumPy array or a tensor."""


def as_array(x: Tensor) -> Array:
    """The array to compute with; it shares the tensor's memory."""
    return x.numpy() if x.device.type == "cpu" else x


def as_tensor(x: Array) -> Tensor:
    """The tensor of an array; both share memory."""
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def library(x: Array) -> Any:
    """The module with the functions for this array: ``numpy`` or ``torch``."""
    return np if isinstance(x, np.ndarray) else torch


def empty(like: Array, shape: Sequence[int], dtype: str | None = None) -> Array:
    """An array beside ``like``, not filled; of its type unless ``dtype`` (``float64``) says another."""
    if isinstance(like, np.ndarray):
        return np.empty(shape, dtype or like.dtype)
    return like.new_empty(shape, dtype=getattr(torch, dtype) if dtype else None)


def float32(x: Array) -> Array:
    """Rounded to float32."""
    return x.astype(np.float32) if isinstance(x, np.ndarray) else x.float()


def float64(x: Array) -> Array:
    """As float64."""
    return x.astype(np.float64) if isinstance(x, np.ndarray) else x.double()


def windows(x: Array, dim: int, size: int, step: int) -> Array:
    """Views of ``size`` values every ``step``, the values in a new last dimension: ``torch.Tensor.unfold``."""
    if not isinstance(x, np.ndarray):
        return x.unfold(dim, size, step)
    shape, strides = list(x.shape), list(x.strides)
    shape[dim] = (shape[dim] - size) // step + 1
    strides[dim] *= step
    return np.lib.stride_tricks.as_strided(x, [*shape, size], [*strides, x.strides[dim]])


def signs(x: Array, out: Array) -> None:
    """-1, 0 or 1; by PyTorch in any case, which is three times faster at it."""
    torch.sign(as_tensor(x), out=as_tensor(out))


def dots(one: Array, other: Array) -> Array:
    """Scalar products along the last dimension, of the same type; on CPUs by BLAS, which writes no products down."""
    if isinstance(one, np.ndarray):
        return np.matmul(one[..., None, :], other[..., None])[..., 0, 0]
    return (one * other).sum(-1)


def total(x: Array) -> Array:
    """Sums along the last dimension, float64 of sums of the same type; by PyTorch, whose vectors are wider."""
    sums = as_tensor(x).sum(-1).double()
    return sums.numpy() if isinstance(x, np.ndarray) else sums
