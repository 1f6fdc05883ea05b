"""36 features a block: asymmetric generalised Gaussians fitted to MSCN coefficients and products of neighbours."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.metrics.niqe_engine.arrays import Array, dots, empty, float64, library, signs, total, windows
from octosr.metrics.niqe_engine.variants import Variant

FEATURES = 36
MAPS = 5
"""Fits a block and scale: the coefficients, then their products with the left, upper and two diagonal neighbours."""


class Fits(NamedTuple):
    """Fitted distributions, each float64 or, for the index, int64, of the same shape.

    Attributes:
        left: deviation of the negative coefficients from 0.
        right: deviation of the positive ones.
        shape: index of the shape whose ratio of moments is nearest to that of the coefficients, the lower one of two
            that are as near, and 0 where the coefficients have no such ratio.
        margin: by how much it is nearer than the next one, as a part of the ratio.
    """

    left: Tensor
    right: Tensor
    shape: Tensor
    margin: Tensor


def block_moments(coefficients: Array) -> Array:
    """Sums over each block from which its features follow.

    The neighbour of a block's first column is its last one, and the same with rows. For a product p of neighbours x and
    y, sum|p|, sum p^2, sum p|p|, sum sign(p) and the number of p that are not 0 are the scalar products of |x| and |y|,
    x^2 and y^2, x|x| and y|y|, and so on, so they need no passes of their own over the products.

    Sums are in the type of the coefficients; of float32 coefficients that leaves an error of about 1e-7 of a block's
    sum, and none in the counts, which are whole numbers.

    Args:
        coefficients: contiguous blocks, (..., side, side).

    Returns:
        float64, (..., 5 maps, 5 sums in the order above).
    """
    xp, side = library(coefficients), coefficients.shape[-1]
    size = side * side
    x = coefficients.reshape(*coefficients.shape[:-2], -1)
    powers = empty(x, (4, *x.shape[:-1], size + side + 1))
    magnitude, square, signed, sign = powers[..., :size]
    xp.abs(x, out=magnitude)
    xp.multiply(x, x, out=square)
    xp.multiply(x, magnitude, out=signed)
    signs(x, out=sign)
    sums = _neighbour_sums(powers, side)
    if bool((dots(sign, sign) == size).all()):  # as in nearly all real images: there is no 0 to count
        counts = xp.full_like(sums[:1], size)
    else:
        counts = _neighbour_sums(xp.abs(powers[3:]), side)
    return xp.moveaxis(xp.concatenate([sums, counts]), 0, -1)


def _neighbour_sums(values: Array, side: int) -> Array:
    """Sums over blocks of values, and of their products with the left, upper, upper left and upper right neighbours.

    With the rows of a block one after another in a ring, neighbours lie 1, side, side + 1 and side - 1 places before a
    value, but for those beyond the left or right border, which lie a row further or less far. So each sum is a scalar
    product of a block with itself, moved along the ring, and a correction by the two outer columns.

    Args:
        values: (..., side*side + side+1), rows of a block one after another, and then room for the first values again.
        side: of the blocks.

    Returns:
        float64, (..., 5).
    """
    xp, size = library(values), side * side
    values[..., size:] = values[..., : side + 1]
    ring, first, last = values[..., :size], values[..., 0:size:side], values[..., side - 1 : size : side]

    def around(places: int) -> Array:
        return dots(values[..., places : places + size], ring)

    # Products of the first column with the last one, of which row i - 2, i - 1, i or i + 1 stands beside row i.
    beside_each = windows(xp.concatenate([last[..., -2:], last, last[..., :1]], -1), -1, side, 1)
    products = (beside_each @ first[..., None])[..., 0]
    two_above, above, beside, below = (float64(products[..., place]) for place in range(4))
    sums = (
        total(ring),
        around(1) - above + beside,
        float64(around(side)),
        around(side + 1) - two_above + above,
        around(side - 1) - beside + below,
    )
    return xp.stack(sums, -1)


def fitted(moments: Tensor, sides: tuple[int, ...], variant: Variant) -> Fits:
    """Fit a distribution to each map (eq. 4 to 7 of the paper) by its moments.

    Args:
        moments: float64, (..., scales, 5, 5) as :func:`block_moments` gives them.
        sides: of the blocks at each scale.
        variant: shapes tried, and the meaning of 0.

    Returns:
        Fits of shape (..., scales, 5). A deviation is NaN where no coefficient lies on its side, unless the variant
        takes it as 0.
    """
    sizes = torch.tensor([float(side * side) for side in sides], dtype=torch.float64, device=moments.device)[:, None]
    magnitude, square, signed, sign, nonzero = moments.unbind(-1)
    negative, positive = (nonzero - sign) / 2, (nonzero + sign) / 2
    if variant.zeros_right:
        positive = sizes - negative
    left = rounded(rounded(_one_sided((square - signed) / 2, negative), variant).sqrt(), variant)
    right = rounded(rounded(_one_sided((square + signed) / 2, positive), variant).sqrt(), variant)
    if not variant.skips_undefined:
        left, right = left.nan_to_num(0.0), right.nan_to_num(0.0)
    ratio = rounded(left / right, variant)
    balance = rounded((ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2, variant)
    mean_square = rounded(square / sizes, variant)
    flatness = rounded(rounded(rounded(magnitude / sizes, variant) ** 2, variant) / mean_square, variant)
    wanted = rounded(flatness * balance, variant)
    ratios = _shape_tables(variant, wanted.device)[0]
    above = torch.searchsorted(ratios, wanted.nan_to_num(0.0)).clamp(1, len(ratios) - 1)
    margin = (ratios[above] - wanted) - (wanted - ratios[above - 1])
    shape = torch.where(margin >= 0, above - 1, above)
    return Fits(left, right, torch.where(wanted.isnan(), 0, shape), margin.abs() / wanted)


def _one_sided(squares: Tensor, count: Tensor) -> Tensor:
    """Mean square of the coefficients on one side, NaN where there is none.

    What the sums lose to rounding is clamped; a side without any coefficient is known by its exact count.
    """
    return torch.where(count == 0, torch.nan, squares.clamp_min(0) / count)


def features_of(fits: Fits, variant: Variant) -> Tensor:
    """The features (eq. 8 of the paper), float64, (..., 18 per scale).

    A feature is NaN where a deviation is.
    """
    shape, scale_ratio, mean_ratio = (table[fits.shape] for table in _shape_tables(variant, fits.left.device)[1:])
    left, right = fits.left * scale_ratio, fits.right * scale_ratio
    mean = (right - left) * mean_ratio
    own = torch.stack([shape[..., 0], (left[..., 0] + right[..., 0]) / 2], -1)
    if variant.left_twice:
        right = torch.cat([right[..., :3], left[..., 3:]], -1)
    pairs = torch.stack([shape, mean, left, right], -1)[..., 1:, :]
    return torch.cat([own, pairs.flatten(-2)], -1).flatten(-2)


def rounded(x: Tensor, variant: Variant) -> Tensor:
    """The nearest float32 number where the variant computes in float32, still as float64."""
    return x if variant.rounding == "never" else x.float().double()


def nearest_shape(ratio: float, variant: Variant) -> int:
    """Index of the shape whose ratio of moments is nearest to this one."""
    return int(np.argmin((_shape_arrays(variant)[0] - ratio) ** 2))


@lru_cache(maxsize=8)
def _shape_arrays(variant: Variant) -> tuple[npt.NDArray[np.float64], ...]:
    """Ratio of moments (increasing), shape, sqrt(G(1/a)/G(3/a)) and G(2/a)/G(1/a) of each shape a."""
    from scipy.special import gammaln  # here, since it takes long, and a command with nothing to score needs no table

    exact = np.arange(variant.shapes) * 0.001 + 0.2
    shapes = exact.astype(np.float32 if variant.shapes_float32 else np.float64).astype(np.float64)
    one, two, three = (gammaln(n / shapes) for n in (1, 2, 3))
    return np.exp(2 * two - one - three), shapes, np.exp((one - three) / 2), np.exp(two - one)


@lru_cache(maxsize=8)
def _shape_tables(variant: Variant, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(table).to(device) for table in _shape_arrays(variant))
