"""Fits whose shape is decided by the last bits of float32 sums, done again in the order of the published code.

The shapes lie 0.001 apart, and one step of one of the 1000 fits of a 1024x1024 image moves the study's score by up to
1e-4 of its value. Code that adds in float32 therefore takes another shape than exact sums wherever two are
almost equally near: about one fit in fifty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from octosr.metrics.niqe_engine.features import SHIFTS, Fits, nearest_shape
from octosr.metrics.niqe_engine.variants import Variant

UNDECIDED = 2e-6
"""Margin, as a part of the ratio of moments, below which float32 sums may decide for another shape.

They put the ratio up to 6e-7 from the exact one, which moves the margin by twice as much.
"""


def settle(fits: Fits, coefficients: Sequence[Tensor], variant: Variant) -> Fits:
    """Repeat the undecided fits as the variant's own code adds.

    Args:
        fits: of shape (B, blocks, scales, 5).
        coefficients: for each scale, float32 rows of blocks (N, columns, side, side) of the images one after another.
        variant: whose arithmetic; nothing is done if it does not round to float32.

    Returns:
        The fits, with the repeated ones replaced.
    """
    if variant.rounding == "never":
        return fits
    # A coefficient has no such ratio where a whole side is 0; both ways of adding agree about that.
    undecided = torch.nonzero(fits.margin < UNDECIDED)
    left, right, shape = fits.left.clone(), fits.right.clone(), fits.shape.clone()
    for image, block, scale, fit in undecided.tolist():
        row, column = divmod(image * fits.left.shape[1] + block, coefficients[scale].shape[1])
        place = image, block, scale, fit
        left[place], right[place], shape[place] = _fit(coefficients[scale][row, column], SHIFTS[fit], variant)
    return Fits(left, right, shape, fits.margin)


def _fit(block: Tensor, shift: tuple[int, int], variant: Variant) -> tuple[float, float, int]:
    """Left and right deviation and index of the shape, every step in float32 as NumPy 2 does it."""
    from octosr.metrics.niqe_engine.loops.sums import block_means  # here, since it imports Numba

    means = np.empty(4, np.float32)
    block_means(block.cpu().numpy(), shift, variant.zeros_right, means)
    magnitude, square = means[:2]
    left, right = np.sqrt(means[2:])
    flatness, ratio = magnitude**2 / square, left / right
    if variant.name == "niqe_study":  # its powers are float64, their products with a float32 number float32
        balance = (math.pow(ratio, 3) + 1) * (ratio + 1) / math.pow(math.pow(ratio, 2) + 1, 2)
        wanted = flatness * balance
    else:
        wanted = flatness * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    return float(left), float(right), nearest_shape(float(wanted), variant)
