"""36 features a block: asymmetric generalised Gaussians fitted to MSCN coefficients and products of neighbours."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import gammaln
from torch import Tensor

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


def block_moments(coefficients: Tensor, side: int) -> Tensor:
    """Sums over each block from which its features follow.

    The neighbour of a block's first column is its last one, and the same with rows. For a product p of neighbours x and
    y, sum|p|, sum p^2, sum p|p|, sum sign(p) and the number of p that are not 0 are the scalar products of |x| and |y|,
    x^2 and y^2, x|x| and y|y|, and so on, so they need no passes of their own over the products.

    Columns are summed in the type of the coefficients, their sums in float64; of float32 coefficients that leaves an
    error of about 1e-8 of a block's sum. Sums of signs over a column are whole numbers that fit into a byte.

    Args:
        coefficients: one row of blocks a strip, (N, side, W), W a multiple of ``side``.
        side: height and width of a block.

    Returns:
        float64, (N, W/side, 5 maps, 5 sums in the order above).
    """
    x = coefficients
    strips, _, width = x.shape
    powers = x.new_empty(3, strips, side + 1, width)
    magnitude, square, signed = powers[:, :, 1:].unbind()
    torch.abs(x, out=magnitude)
    torch.mul(x, x, out=square)
    torch.mul(x, magnitude, out=signed)
    signs = x.new_empty(2, strips, side + 1, width, dtype=torch.int8)
    signs[0, :, 1:] = x.sign()
    if x.device.type == "cpu" and bool(signs[0, :, 1:].numpy().all()):  # as in nearly all real images: nothing to count
        sums = [_neighbour_sums(values, side) for values in (powers, signs[:1])]
        sums.append(torch.full_like(sums[1], side * side))
    else:
        torch.abs(signs[0, :, 1:], out=signs[1, :, 1:])
        sums = [_neighbour_sums(values, side) for values in (powers, signs)]
    return torch.cat(sums).permute(2, 3, 1, 0)


def _neighbour_sums(values: Tensor, side: int) -> Tensor:
    """Sums of each value, and of its products with four neighbours, over blocks.

    Args:
        values: (K, N, side+1, W), the first row not yet set.
        side: of the blocks.

    Returns:
        float64, (K, 5, N, W/side).
    """
    kinds, strips, _, width = values.shape
    values[:, :, 0] = values[:, :, side]
    left = torch.empty_like(values)
    left[..., 1:] = values[..., :-1]
    left[..., ::side] = values[..., side - 1 :: side]
    here, above = values[:, :, 1:], values[:, :, :-1]
    left_here, left_above = left[:, :, 1:], left[:, :, :-1]
    pairs = ((here, left_here), (here, above), (here, left_above), (left_here, above))
    sums = [here.sum(-2, dtype=here.dtype), *(_column_dots(one, other) for one, other in pairs)]
    return torch.stack(sums, 1).view(kinds, MAPS, strips, width // side, side).sum(-1, dtype=torch.float64)


def _column_dots(one: Tensor, other: Tensor) -> Tensor:
    """Scalar products of columns, (K, N, H, W) -> (K, N, W), of the same type.

    On CPUs NumPy needs no memory for the products of float numbers; of bytes it multiplies and adds many at once.
    """
    if one.device.type != "cpu":
        return (one * other).sum(-2, dtype=one.dtype)
    if one.dtype == torch.int8:
        return torch.from_numpy(np.multiply(one.numpy(), other.numpy()).sum(-2, dtype=np.int8))
    return torch.from_numpy(np.einsum("knij,knij->knj", one.numpy(), other.numpy()))


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
    # What one-sided sums lose to rounding is clamped; a side without any coefficient is known by its exact count.
    left = rounded(rounded(((square - signed) / 2).clamp_min(0) / negative, variant).sqrt(), variant)
    right = rounded(rounded(((square + signed) / 2).clamp_min(0) / positive, variant).sqrt(), variant)
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
    exact = np.arange(variant.shapes) * 0.001 + 0.2
    shapes = exact.astype(np.float32 if variant.shapes_float32 else np.float64).astype(np.float64)
    one, two, three = (gammaln(n / shapes) for n in (1, 2, 3))
    return np.exp(2 * two - one - three), shapes, np.exp((one - three) / 2), np.exp(two - one)


@lru_cache(maxsize=8)
def _shape_tables(variant: Variant, device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(table).to(device) for table in _shape_arrays(variant))
