"""36 features a block: asymmetric generalised Gaussians fitted to MSCN coefficients and products of neighbours."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.metrics.niqe_engine.variants import Variant

FEATURES = 36
MAPS = 5
"""Fits a block and scale: the coefficients, then their products with the left, upper and two diagonal neighbours."""
SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns by which the neighbours of each fit are moved."""


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


class Strips(NamedTuple):
    """What is known of N rows of blocks at one scale.

    Attributes:
        moments: float64 (N, columns, 5, 5), see :func:`block_moments`.
        sharpness: float64 (N, columns), or (N, 0).
        coefficients: (N, columns, side, side), or (0, ...) where nobody asks for them.
    """

    moments: Tensor
    sharpness: Tensor
    coefficients: Tensor


def block_moments(coefficients: Tensor) -> Tensor:
    """Sums over each block from which its features follow.

    The neighbour of a block's first column is its last one, and the same with rows.

    Sums are in the type of the coefficients; of float32 coefficients that leaves an error of about 1e-7 of a block's
    sum, and none in the counts, which are whole numbers.

    Args:
        coefficients: blocks, (..., side, side).

    Returns:
        float64, (..., 5 maps, 5 sums): of each map p sum|p|, sum p^2, sum p|p|, sum sign(p), and the number of p that
        are not 0.
    """
    sums = []
    for shift in SHIFTS:
        p = coefficients * coefficients.roll(shift, (-2, -1)) if any(shift) else coefficients
        magnitude = p.abs()
        maps = (magnitude, p * p, p * magnitude, p.sign(), p != 0)
        sums.append(torch.stack([values.flatten(-2).sum(-1).double() for values in maps], -1))
    return torch.stack(sums, -2)


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
