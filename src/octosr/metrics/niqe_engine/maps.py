"""Luma, its half-size version, and mean-subtracted contrast-normalised (MSCN) coefficients."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pad

from octosr.metrics.niqe_engine.arrays import Array, as_array, as_tensor, empty, float32, float64, library
from octosr.metrics.niqe_engine.filters import filtered
from octosr.metrics.niqe_engine.variants import BLOCK, Variant

RADIUS = 3
ROWS = BLOCK
"""Rows that luma is made of at once: few enough for the cache of a CPU."""
SIGMA = 7 / 6
HALF_TAPS = tuple(n / 256 for n in (-3, -9, 29, 111, 111, 29, -9, -3))
"""The cubic kernel (a = -1/2), widened by 2 against aliasing, at the places it takes when a side is halved."""
_YIQ = (0.299, 0.587, 0.114)
_YCBCR = (65.481, 128.553, 24.966)
_PILLOW_L = (19595 / 2**16, 38470 / 2**16, 7471 / 2**16)


def luma(images: Tensor, color_space: str, variant: Variant) -> Tensor:
    """Luma of 0 to 255 on whole numbers.

    The sums are rounded as each implementation rounds them: a value such as 17.5 is common (a thousandth of all pixels
    of 8-bit images), and which way it goes depends on the last bit.

    Args:
        images: float32 RGB in [0, 1], (B, 3, H, W).
        color_space: ``yiq`` (0.299 R + 0.587 G + 0.114 B), ``ycbcr`` (limited range, 16 to 235, as MATLAB), or
            ``pillow_l`` (as yiq, of 8-bit images, by Pillow's integer arithmetic).
        variant: whose rounding.

    Returns:
        float32, (B, H+6, W+6): with a border of three pixels, see :func:`bordered`.
    """
    height, width = images.shape[-2:]
    bordered = images.new_empty(len(images), height + 2 * RADIUS, width + 2 * RADIUS)
    inside = bordered[:, RADIUS:-RADIUS, RADIUS:-RADIUS]
    for part, to in zip(images.split(ROWS, -2), inside.split(ROWS, -2), strict=True):
        to.copy_(_luma(part, color_space, variant))
    _set_border_(bordered, variant)
    return bordered


def _luma(images: Tensor, color_space: str, variant: Variant) -> Tensor:
    """Luma of some rows, few enough for the cache of a CPU."""
    if color_space == "pillow_l":
        # Products of whole numbers and n/2^16: float32 holds them, and their sums in any order, exactly.
        if images.device.type == "cpu":
            total = torch.from_numpy(_sums_of_levels(images.numpy(), _PILLOW_L))
        else:
            red, green, blue = (images * 255).round_().unbind(1)
            total = _weighted(red, green, blue, _PILLOW_L)
        return total.add_(0.5).floor_()
    red, green, blue = images.unbind(1)
    if color_space == "yiq":
        return _weighted(red, green, blue, _YIQ).mul_(255).round_()
    if variant.name == "niqe_basicsr":
        total = _weighted(red.double(), green.double(), blue.double(), _YCBCR)
        return ((total + 16) / 255).float().mul_(255).round_()
    return _weighted(red, green, blue, _YCBCR).add_(16).div_(255).mul_(255).round_()


def _sums_of_levels(images: npt.NDArray[np.float32], weights: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Weighted sums of the channels' 8-bit values, (B, 3, H, W) -> (B, H, W), as products that read memory in order."""
    side_by_side = images.strides[1] == images.itemsize  # as files are read
    pixels = np.moveaxis(images, 1, -1) if side_by_side else images
    levels = np.empty(pixels.shape, np.float32)
    np.multiply(pixels, np.float32(255), out=levels)
    np.rint(levels, out=levels)
    vector = np.array(weights, np.float32)
    if side_by_side:
        return levels @ vector
    return (vector @ levels.reshape(*levels.shape[:2], -1)).reshape(len(levels), *levels.shape[2:])


def _weighted(red: Tensor, green: Tensor, blue: Tensor, weights: tuple[float, float, float]) -> Tensor:
    total = red * weights[0]
    total += green * weights[1]  # not add(alpha=...): that rounds once where the public code rounds twice
    total += blue * weights[2]
    return total


def halved(image: Tensor, variant: Variant) -> Tensor:
    """Half the size, by the bicubic kernel widened against aliasing.

    All three implementations compute in float32 here. One of a hundred blocks that takes the next shape because of that
    moves a score by up to 1e-4 of its value, so what they round is rounded: ``symmetric`` adds in float32, tap after
    tap, and ``cut`` in float64, rounding the result of each direction.

    Args:
        image: float32 luma of 0 to 255, (B, H, W), sides even.
        variant: ``symmetric`` mirrors the image at its border as MATLAB does; ``cut`` leaves out the taps beyond the
            border and scales up the others as Pillow does.

    Returns:
        (B, H/2, W/2), float64 or, where the variant's maps are, float32.
    """
    if variant.half_size == "symmetric":
        rows = _halve(_mirrored(image / 255, -2), -2)
        half = _halve(_mirrored(rows, -1), -1)
        return half.double() * 255 if variant.rounding == "never" else half * 255
    # Whole numbers times n/256: float32 holds these sums exactly, so only the next ones need float64.
    narrow = filtered(as_array(pad(image, (3, 3, 3, 3))), HALF_TAPS, -1, step=2)
    _over_inside_(as_tensor(narrow), -1)
    rows = as_tensor(filtered(float64(narrow), HALF_TAPS, -2, step=2))
    _over_inside_(rows, -2)
    return rows.float()


def _mirrored(x: Tensor, dim: int) -> Tensor:
    """Three more on either side, mirrored at the border itself: c b a | a b c ... x y z | z y x."""
    size = x.shape[dim]
    return torch.cat([x.narrow(dim, 0, 3).flip(dim), x, x.narrow(dim, size - 3, 3).flip(dim)], dim)


def _halve(x: Tensor, dim: int) -> Tensor:
    """Filter and keep every second along ``dim``; x has three more on either side."""
    n = (x.shape[dim] - 6) // 2
    halves = x.unflatten(dim, (-1, 2)).unbind(dim)  # even and odd places
    if dim == -1:
        halves = tuple(half.contiguous() for half in halves)
    result = halves[0].narrow(dim, 0, n) * HALF_TAPS[0]
    for k in range(1, 8):
        values = halves[k % 2].narrow(dim, k // 2, n)
        if values.dtype == torch.float64:
            result.add_(values, alpha=HALF_TAPS[k])
        else:
            result += values * HALF_TAPS[k]  # rounded twice, as in luma
    return result


def _over_inside_(x: Tensor, dim: int) -> None:
    """Divide by the sum of the taps inside the image, which is not 1 at two places from its border."""
    for place, missing in ((0, HALF_TAPS[:3]), (1, HALF_TAPS[:1]), (-2, HALF_TAPS[-1:]), (-1, HALF_TAPS[-3:])):
        x.select(dim, place).div_(1 - sum(missing))


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


def bordered(image: Tensor, variant: Variant) -> Tensor:
    """Three pixels more on each side, (B, H, W) -> (B, H+6, W+6)."""
    larger = image.new_empty(len(image), *(side + 2 * RADIUS for side in image.shape[-2:]))
    larger[:, RADIUS:-RADIUS, RADIUS:-RADIUS] = image
    _set_border_(larger, variant)
    return larger


def _set_border_(x: Tensor, variant: Variant) -> None:
    """Fill the outer three pixels of (B, H+6, W+6)."""
    for dim in (-1, -2):
        before, after = x.narrow(dim, 0, RADIUS), x.narrow(dim, x.shape[dim] - RADIUS, RADIUS)
        if variant.padding == "edge":
            before.copy_(x.narrow(dim, RADIUS, 1).expand_as(before))
            after.copy_(x.narrow(dim, x.shape[dim] - RADIUS - 1, 1).expand_as(after))
        else:
            before.zero_()
            after.zero_()


def mscn(strips: Array, side: int, variant: Variant, out: Array, with_deviation: bool = True) -> Array | None:
    """Local mean subtracted, divided by local deviation plus 1 (eq. 1 to 3 of the paper).

    Args:
        strips: luma of rows of blocks, with three pixels more on each side, (N, side+6, W+6), W a multiple of ``side``.
        side: of the blocks.
        variant: which taps, and what is rounded to float32.
        out: becomes the coefficients block by block, (N, W/side, side, side), in the variant's precision.
        with_deviation: whether the local deviation is wanted.

    Returns:
        Local standard deviation (N, side, W), in the variant's precision, or None.
    """
    xp = library(strips)
    mean, square = _local_means(strips, variant)
    deviation = xp.multiply(mean, mean)
    xp.subtract(square, deviation, out=deviation)
    xp.abs(deviation, out=deviation)
    xp.sqrt(deviation, out=deviation)
    divisor = xp.add(deviation, 1, out=None if with_deviation else deviation)
    difference = xp.subtract(strips[:, RADIUS:-RADIUS, RADIUS:-RADIUS], mean, out=mean)
    rows = (len(strips), side, -1, side)
    xp.divide(difference.reshape(rows), divisor.reshape(rows), out=out.swapaxes(1, 2))
    return deviation if with_deviation else None


def _local_means(strips: Array, variant: Variant) -> Array:
    """Values and their squares weighted by a Gaussian window, (N, H+6, W+6) -> (2, N, H, W)."""
    taps = gaussian_taps(variant)
    both = empty(strips, (2, *strips.shape), "float64")
    both[0] = strips
    # Squares of the second scale are rounded to float32 with the map; those of whole numbers are exact anyway.
    both[1] = both[0] * both[0] if variant.rounding == "never" else strips * strips
    rows = filtered(both, taps, -2)
    if variant.rounding == "each":
        rows[...] = float32(rows)
    # What is read no more is written over, because it is in the cache.
    means = filtered(rows, taps, -1, memory=both)
    return means if variant.rounding == "never" else float32(means)
