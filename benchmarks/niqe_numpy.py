"""NIQE step by step in NumPy and SciPy, one patch after another: what the fast engine is compared with.

Written from the description of each implementation's steps, for one image at a time. ``study`` computes in float32
where the study's code does, ``basicsr`` where BasicSR does, and ``official`` in float64 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image
from scipy.linalg import pinv
from scipy.ndimage import convolve, correlate1d
from scipy.special import gamma

PATCH = 96
Array = Any


def study(rgb: Array, mean: Array, covariance: Array) -> float:
    """The study's NIQE of an 8-bit RGB image (H, W, 3), square and at least 194 pixels."""
    luma = np.array(Image.fromarray(rgb).convert("L"))
    side = luma.shape[0] // PATCH * PATCH
    image = luma[:side, : luma.shape[1] // PATCH * PATCH].astype(np.float32)
    half = np.array(Image.fromarray(image).resize((side // 2, side // 2), Image.Resampling.BICUBIC))
    shapes = _with_ratios(9800)
    tables = []
    for scale, patch in ((image, PATCH), (half, PATCH // 2)):
        coefficients = _mscn_float32(scale)
        tables.append([_patch_features(p, shapes, zeros_right=True, slip=True) for p in _patches(coefficients, patch)])
    features = np.hstack(tables)
    difference = features.mean(0) - mean
    return float(np.sqrt(difference @ pinv((np.cov(features.T) + covariance) / 2) @ difference))


def official(rgb: Array, mean: Array, covariance: Array, border: int = 0) -> float:
    """The authors' NIQE of an 8-bit RGB image (H, W, 3), everything in float64."""
    luma = np.round(rgb.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])).astype(np.float64)
    return _two_scales(_cropped(luma, border), mean, covariance, np.float64)


def basicsr(rgb: Array, mean: Array, covariance: Array, border: int = 0) -> float:
    """BasicSR's NIQE of an 8-bit RGB image (H, W, 3): limited-range luma, float32 maps."""
    unit = rgb.astype(np.float32) / np.float32(255)
    luma = ((unit @ np.array([65.481, 128.553, 24.966]) + 16) / 255).astype(np.float32)
    return _two_scales(_cropped(np.round(luma * np.float32(255)), border), mean, covariance, np.float32)


def _cropped(luma: Array, border: int) -> Array:
    height, width = (size - 2 * border for size in luma.shape)
    return luma[border : border + height // PATCH * PATCH, border : border + width // PATCH * PATCH]


def _two_scales(image: Array, mean: Array, covariance: Array, dtype: Any) -> float:
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    if dtype == np.float64:
        window = window.astype(np.float32).astype(np.float64)
    half_rows, half_columns = (half_matrix(size).astype(dtype) for size in image.shape)
    half = half_rows @ (image / dtype(255)).astype(dtype) @ half_columns.T * dtype(255)
    shapes = _with_ratios(9801)
    tables = []
    for scale, patch in ((image, PATCH), (half, PATCH // 2)):
        local = convolve(scale, window, mode="nearest")
        deviation = np.sqrt(np.abs(convolve(scale * scale, window, mode="nearest") - local * local))
        coefficients = (scale - local) / (deviation + 1)
        tables.append(
            [_patch_features(p, shapes, zeros_right=False, slip=False) for p in _patches(coefficients, patch)]
        )
    features = np.hstack(tables)
    complete = features[~np.isnan(features).any(1)]
    own = np.cov(complete.T) if len(complete) > 1 else np.zeros_like(covariance)
    difference = np.nanmean(features, 0) - mean
    return float(np.sqrt(difference @ pinv((own + covariance) / 2) @ difference))


def half_matrix(size: int) -> Array:
    """MATLAB's imresize to half the size along one axis, as a matrix (size/2, size)."""

    def cubic(x: Array) -> Array:
        x = np.abs(x)
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x <= 1, near, np.where(x < 2, far, 0))

    matrix = np.zeros((size // 2, size))
    for row in range(size // 2):
        centre = 2 * row + 0.5
        places = np.arange(math.floor(centre) - 4, math.floor(centre) + 6)
        weights = cubic((places - centre) / 2)
        mirrored = np.mod(places, 2 * size)
        np.add.at(matrix[row], np.minimum(mirrored, 2 * size - 1 - mirrored), weights / weights.sum())
    return matrix


def _mscn_float32(image: Array) -> Array:
    variance = np.float32(7 / 6) ** 2
    taps = [np.exp(np.float32(-0.5) * np.float32(k * k) / variance) for k in (3, 2, 1, 0, 1, 2, 3)]
    total = np.float32(1)
    for tap in taps[4:]:
        total += np.float32(2) * tap
    taps = [tap / total for tap in taps]

    def blurred(x: Array) -> Array:
        return correlate1d(correlate1d(x, taps, 0, mode="constant"), taps, 1, mode="constant")

    local = blurred(image)
    deviation = np.sqrt(np.abs(blurred(image**2) - local**2))
    return (image - local) / (deviation + 1)


def _patches(coefficients: Array, side: int) -> list[Array]:
    rows, columns = (size // side for size in coefficients.shape)
    return [
        coefficients[r * side : (r + 1) * side, c * side : (c + 1) * side].copy()
        for r in range(rows)
        for c in range(columns)
    ]


@lru_cache
def _with_ratios(count: int) -> tuple[Array, Array]:
    """So many shapes, and the ratio of moments that belongs to each; made once, as there."""
    shapes = np.arange(0.2, 10.001, 0.001)[:count]
    return shapes, gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))


def _patch_features(patch: Array, shapes: tuple[Array, Array], zeros_right: bool, slip: bool) -> list[float]:
    fit: Callable[[Array], tuple[float, float, float]] = lambda x: _fit(x.ravel(), shapes, zeros_right)  # noqa: E731
    shape, left, right = fit(patch)
    features = [shape, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = fit(patch * np.roll(patch, shift, (0, 1)))
        mean = (right - left) * gamma(2 / shape) / gamma(1 / shape)
        features += [shape, mean, left, left if slip and shift[0] and shift[1] else right]
    return features


def _fit(values: Array, shapes: tuple[Array, Array], zeros_right: bool) -> tuple[float, float, float]:
    """Shape, left and right scale of an asymmetric generalised Gaussian."""
    squares = values * values
    sides = squares[values < 0], squares[values >= 0 if zeros_right else values > 0]
    if zeros_right:
        left, right = (np.sqrt(np.average(side)) if len(side) else np.float32(0) for side in sides)
        ratio = left / right if right else np.inf
        flatness = np.average(np.abs(values)) ** 2 / np.average(squares) if squares.any() else np.inf
        with np.errstate(invalid="ignore"):
            balance = (math.pow(ratio, 3) + 1) * (ratio + 1) / np.float64(math.pow(math.pow(ratio, 2) + 1, 2))
            wanted = flatness * type(flatness)(balance)
    else:
        left, right = (np.sqrt(side.mean()) if len(side) else values.dtype.type(np.nan) for side in sides)
        ratio = left / right
        wanted = np.abs(values).mean() ** 2 / squares.mean() * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = shapes[0][np.argmin((shapes[1] - wanted) ** 2)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale
