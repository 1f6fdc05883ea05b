"""Resampling on MATLAB's sampling grid: pixel i of a row of n covers [i, i+1) / n of the picture.

Two treatments of the border: ``symmetric`` mirrors the picture with the edge pixel repeated and is
MATLAB's ``imresize``; ``renormalise`` leaves out the taps beyond the border and rescales the others,
and is Pillow's ``Image.resize``. Cubic: Keys, IEEE TASSP 1981, a = -0.5.

Everything is elementwise arithmetic on shifted rows (no matrix product, no convolution), so neither
autocast nor TF32 lowers its precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from octosr.errors import ConfigError

Filter = Literal["bicubic", "nearest", "bilinear", "lanczos"]
Border = Literal["symmetric", "renormalise"]
_Array = NDArray[np.float64]


def resize(
    images: Tensor,
    size: tuple[int, int],
    filter: Filter = "bicubic",  # the name Pillow and torchvision users know
    border: Border = "symmetric",
    antialias: bool = True,
) -> Tensor:
    """Resize to any size.

    Args:
        images: floating point, (..., H, W).
        size: height and width of the result in pixels.
        filter: ``bicubic`` (a = -0.5), ``bilinear``, ``lanczos`` (3 lobes) or ``nearest`` (half-way positions go to the
            later pixel, where Pillow's accumulated rounding errors decide).
        border: see the module.
        antialias: widen the filter when shrinking; ``nearest`` is never widened.

    Returns:
        (..., height, width), the dtype and device of ``images``; cubic and Lanczos overshoot [0, 1].

    Raises:
        ConfigError: unknown filter or border, or a size below one pixel.
    """
    if filter not in (*_FILTERS, "nearest"):
        raise ConfigError(f"unknown resampling filter {filter!r}: choose one of {', '.join(_FILTERS)}, nearest")
    if border not in ("symmetric", "renormalise"):
        raise ConfigError(f"unknown border {border!r}: choose symmetric (MATLAB) or renormalise (Pillow)")
    if min(*size, *images.shape[-2:]) < 1:
        raise ConfigError(f"cannot resize images of {tuple(images.shape[-2:])} pixels to {tuple(size)}")
    _check_floating(images)
    if images.dtype in (torch.float16, torch.bfloat16):
        return resize(images.float(), size, filter, border, antialias).to(images.dtype)
    # The order changes nothing but the cost: gathering along rows is cheap, along columns it is not,
    # so columns are gathered while the picture is small.
    dims = (-1, -2) if size[0] > images.shape[-2] else (-2, -1)
    for dim in dims:
        n_in, n_out = images.shape[dim], int(size[dim])
        if n_in != n_out:
            index, weight = _taps(n_in, n_out, filter, border, antialias, images.device, images.dtype)
            images = _gather_axis(images, index, weight, dim)
    return images


def downsample(images: Tensor, scale: int) -> Tensor:
    """Shrink by an integer factor with MATLAB's antialiased bicubic, as one fixed filter of 4*scale taps.

    At an integer factor every output pixel has the same weights, so this is a strided FIR filter on
    each axis, H first. It equals :func:`resize` to ``ceil(size / scale)`` where the sides are divisible.

    Args:
        images: floating point, (..., H, W), any sides.
        scale: 1 or more.

    Returns:
        (..., ceil(H / scale), ceil(W / scale)), the dtype and device of ``images``.
    """
    _check_floating(images)
    if scale < 1:
        raise ConfigError(f"the scale must be at least 1, not {scale}")
    if scale == 1:
        return images
    if images.dtype in (torch.float16, torch.bfloat16):
        return downsample(images.float(), scale).to(images.dtype)
    for dim in (-2, -1):
        images = _strided_axis(images, int(scale), dim)
    return images


def _strided_axis(images: Tensor, scale: int, dim: int) -> Tensor:
    """Filter one axis with stride ``scale``: every phase of the axis meets four of the taps."""
    n_in = images.shape[dim]
    n_out = -(-n_in // scale)
    left, taps = _integer_filter(scale)
    padded = _symmetric_pad(images, left, (n_out + 3) * scale - left - n_in, dim)
    phases = padded.unflatten(dim, (n_out + 3, scale)).unbind(dim)
    out = phases[0].narrow(dim, 0, n_out) * taps[0]
    for position in range(1, 4 * scale):
        pixels = phases[position % scale].narrow(dim, position // scale, n_out)
        out.add_(pixels, alpha=taps[position])
    return out


def _symmetric_pad(images: Tensor, before: int, after: int, dim: int) -> Tensor:
    """Mirror with the edge repeated, as often as it takes where the picture is smaller than the padding."""
    while before or after:
        n = images.shape[dim]
        b, a = min(before, n), min(after, n)
        head, tail = images.narrow(dim, 0, b).flip(dim), images.narrow(dim, n - a, a).flip(dim)
        images = torch.cat((head, images, tail), dim)
        before, after = before - b, after - a
    return images


def _gather_axis(images: Tensor, index: Tensor, weight: Tensor, dim: int) -> Tensor:
    """Sum over taps k of weight[k] times the rows index[k]; index and weight are (taps, n_out)."""
    if dim == -2:
        weight = weight[..., None]
    out = images.index_select(dim, index[0]) * weight[0]
    for k in range(1, len(index)):
        out.addcmul_(images.index_select(dim, index[k]), weight[k])
    return out


def _check_floating(images: Tensor) -> None:
    if not images.is_floating_point():
        raise TypeError(f"images must be floating point, not {images.dtype}")


def _triangle(x: _Array) -> _Array:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: _Array) -> _Array:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _lanczos3(x: _Array) -> _Array:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_FILTERS: dict[str, tuple[Callable[[_Array], _Array], float]] = {
    "bicubic": (_cubic, 2.0),
    "bilinear": (_triangle, 1.0),
    "lanczos": (_lanczos3, 3.0),
}


@lru_cache(maxsize=64)
def _integer_filter(scale: int) -> tuple[int, tuple[float, ...]]:
    """Pixels needed before the first output pixel's block, and the 4*scale taps of :func:`downsample`."""
    centre = (scale - 1) / 2
    first = math.floor(centre - 2 * scale) + 1  # the first pixel strictly inside the support
    weight = _cubic((np.arange(4 * scale) + first - centre) / scale)
    return -first, tuple((weight / weight.sum()).tolist())


@lru_cache(maxsize=128)
def _taps(
    n_in: int, n_out: int, filter: str, border: str, antialias: bool, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Source rows (int64) and weights of every output row, both (taps, n_out)."""
    if filter == "nearest":
        index = (2 * np.arange(n_out) + 1)[None] * n_in // (2 * n_out)
        return _constant(index, device, torch.int64), _constant(np.ones((1, n_out)), device, dtype)
    function, support = _FILTERS[filter]
    step = n_in / n_out
    stretch = step if antialias and step > 1 else 1.0
    centre = (np.arange(n_out) + 0.5) * step - 0.5
    first = np.floor(centre - support * stretch).astype(np.int64)
    index = first + np.arange(math.ceil(2 * support * stretch) + 2)[:, None]
    weight = function((index - centre) / stretch)
    if border == "renormalise":
        weight = np.where((index >= 0) & (index < n_in), weight, 0.0)
        index = np.clip(index, 0, n_in - 1)
    else:
        index = np.mod(index, 2 * n_in)
        index = np.minimum(index, 2 * n_in - 1 - index)
    used = weight.any(axis=1)
    weight = weight[used] / weight.sum(axis=0)
    return _constant(index[used], device, torch.int64), _constant(weight, device, dtype)


def _constant(array: NDArray[np.generic], device: torch.device, dtype: torch.dtype) -> Tensor:
    # Cached across calls, so it must not be an inference tensor, which autograd would refuse later.
    with torch.inference_mode(False):
        return torch.as_tensor(array).to(device=device, dtype=dtype)
