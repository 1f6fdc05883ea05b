"""Fits whose shape is decided by the last bits of float32 sums, done again in the order of the published code.

The shapes lie 0.001 apart, and one step of one of the 1000 fits of a 1024x1024 image moves the study's score by up to
1e-4 of its value. Code that adds in float32 therefore takes another shape than exact sums wherever two are
almost equally near: about one fit in fifty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.metrics.niqe_engine.features import Fits, nearest_shape
from octosr.metrics.niqe_engine.variants import Variant

UNDECIDED = 2e-6
"""Margin, as a part of the ratio of moments, below which float32 sums may decide for another shape.

They put the ratio up to 6e-7 from the exact one, which moves the margin by twice as much.
"""
_SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))

Float32Block = npt.NDArray[np.float32]


def settle(fits: Fits, coefficients: Sequence[Sequence[Tensor]], variant: Variant) -> Fits:
    """Repeat the undecided fits as the variant's own code adds.

    Args:
        fits: of shape (B, blocks, scales, 5).
        coefficients: for each scale float32 rows of blocks (N, columns, side, side) of the images one after another, in
            tensors of the same N but for the last.
        variant: whose arithmetic; nothing is done if it does not round to float32.

    Returns:
        The fits, with the repeated ones replaced.
    """
    if variant.rounding == "never":
        return fits
    # A coefficient has no such ratio where a whole side is 0; both ways of adding agree about that.
    undecided = torch.nonzero(fits.margin < UNDECIDED).tolist()
    blocks = fits.left.shape[1]

    def repeat(place: list[int]) -> tuple[float, float, int]:
        image, block, scale, fit = place
        values = _block(coefficients[scale], image * blocks + block)
        if fit:
            values = values * np.roll(values, _SHIFTS[fit], axis=(0, 1))
        return _fit(values.ravel(), variant)

    if not undecided:
        return fits
    found = torch.tensor(
        map_on_cores(repeat, undecided, torch.device("cpu")), dtype=torch.float64, device=fits.left.device
    )
    where = tuple(torch.tensor(undecided, device=fits.left.device).T)
    left, right, shape = fits.left.clone(), fits.right.clone(), fits.shape.clone()
    left[where], right[where], shape[where] = found[:, 0], found[:, 1], found[:, 2].long()
    return Fits(left, right, shape, fits.margin)


def _block(strips: Sequence[Tensor], number: int) -> Float32Block:
    """One block (side, side) of all rows of blocks, counted row by row."""
    together, columns = strips[0].shape[:2]
    row, column = divmod(number, columns)
    return strips[row // together][row % together, column].cpu().numpy()


def _fit(values: Float32Block, variant: Variant) -> tuple[float, float, int]:
    """Left and right deviation and index of the shape, every step in float32 as NumPy 2 does it."""
    squares = values * values
    positive = values >= 0 if variant.zeros_right else values > 0
    sides = (squares[np.flatnonzero(side)] for side in (values < 0, positive))  # faster than by the mask itself
    left, right = (np.sqrt(side.mean()) if len(side) else np.float32(0) for side in sides)
    flatness = np.abs(values).mean() ** 2 / squares.mean()
    ratio = left / right
    if variant.name == "niqe_study":  # its powers are float64, their products with a float32 number float32
        balance = (math.pow(ratio, 3) + 1) * (ratio + 1) / math.pow(math.pow(ratio, 2) + 1, 2)
        wanted = flatness * balance
    else:
        wanted = flatness * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    return float(left), float(right), nearest_shape(float(wanted), variant)
