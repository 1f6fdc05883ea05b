"""Fits whose shape is decided by the last bits of float32 sums, done again in the order of the published code.

The shapes lie 0.001 apart, and one step of one of the 1000 fits of a 1024x1024 image moves the study's score by up to
1e-4 of its value. Code that adds in float32 therefore takes another shape than exact sums wherever two are
almost equally near: about one fit in fifty.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.metrics.niqe_engine.features import Fits, nearest_shape
from octosr.metrics.niqe_engine.variants import Variant

UNDECIDED = 2e-6
"""Margin, as a part of the ratio of moments, below which float32 sums may decide for another shape.

They put the ratio up to 6e-7 from the exact one, which moves the margin by twice as much.
"""
_SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))

Float32Blocks = npt.NDArray[np.float32]


def settle(fits: Fits, coefficients: Sequence[Sequence[Tensor]], variant: Variant) -> Fits:
    """Repeat the undecided fits as the variant's own code adds.

    Args:
        fits: of shape (B, blocks, scales, 5).
        coefficients: for each scale float32 rows of blocks (N, columns, side, side) of the images one after another, in
            tensors of any N.
        variant: whose arithmetic; nothing is done if it does not round to float32.

    Returns:
        The fits, with the repeated ones replaced.
    """
    if variant.rounding == "never":
        return fits
    # A coefficient has no such ratio where a whole side is 0; both ways of adding agree about that.
    undecided = torch.nonzero(fits.margin < UNDECIDED)
    left, right, shape = fits.left.clone(), fits.right.clone(), fits.shape.clone()
    for scale, strips in enumerate(coefficients):
        places = undecided[undecided[:, 2] == scale]
        if len(places):
            values = _values(strips, places, fits.left.shape[1])
            found = torch.tensor(_fit(values, variant), dtype=torch.float64, device=left.device)
            where = tuple(places.T)
            left[where], right[where], shape[where] = found[0], found[1], found[2].long()
    return Fits(left, right, shape, fits.margin)


def _values(strips: Sequence[Tensor], places: Tensor, blocks: int) -> Float32Blocks:
    """Coefficients, or their products with a neighbour, at (image, block, scale, fit): (fits, side*side)."""
    starts = [0, *accumulate(len(part) for part in strips)]
    columns = strips[0].shape[1]
    found = []
    for image, block, _, fit in places.tolist():
        row, column = divmod(image * blocks + block, columns)
        part = bisect_right(starts, row) - 1
        values = strips[part][row - starts[part], column].cpu().numpy()
        found.append(values * np.roll(values, _SHIFTS[fit], axis=(0, 1)) if fit else values)
    return np.stack(found).reshape(len(found), -1)


def _fit(values: Float32Blocks, variant: Variant) -> tuple[list[float], list[float], list[int]]:
    """Left and right deviations and indices of the shapes, every step in float32 as NumPy 2 does it."""
    squares = values * values
    negative = values < 0
    positive = ~negative if variant.zeros_right else values > 0
    left, right = ([_root_mean(*pair) for pair in zip(squares, sides, strict=True)] for sides in (negative, positive))
    flatness = np.abs(values).mean(1) ** 2 / squares.mean(1)
    shapes = []
    for ratio, flat in zip((one / other for one, other in zip(left, right, strict=True)), flatness, strict=True):
        if variant.name == "niqe_study":  # its powers are float64, their products with a float32 number float32
            balance = (math.pow(ratio, 3) + 1) * (ratio + 1) / math.pow(math.pow(ratio, 2) + 1, 2)
            wanted = flat * balance
        else:
            wanted = flat * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
        shapes.append(nearest_shape(float(wanted), variant))
    return [float(value) for value in left], [float(value) for value in right], shapes


def _root_mean(squares: npt.NDArray[np.float32], side: npt.NDArray[np.bool_]) -> np.float32:
    """Deviation of the coefficients on one side, 0 without any; by places, which is faster than by the mask itself."""
    places = np.flatnonzero(side)
    return np.sqrt(squares[places].mean()) if len(places) else np.float32(0)
