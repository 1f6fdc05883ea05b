"""One image on the CPU: rows of blocks, or of pixels, shared out among the cores and given to compiled loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.metrics.niqe_engine.features import Strips
from octosr.metrics.niqe_engine.filters import RADIUS, gaussian_taps
from octosr.metrics.niqe_engine.loops.half import halve_cut, halve_mirrored
from octosr.metrics.niqe_engine.loops.luma import PILLOW_L, YCBCR, YCBCR_FLOAT64, YIQ, luma_rows
from octosr.metrics.niqe_engine.loops.moments import block_sums
from octosr.metrics.niqe_engine.loops.strips import BLOCK_PITCH, strip
from octosr.metrics.niqe_engine.maps import fused_products, set_border_
from octosr.metrics.niqe_engine.variants import Variant

CPU = torch.device("cpu")
ROWS = 48
"""Of pixels that a core makes at once; every map has a multiple of it."""


def image_strips(
    image: Tensor, sides: tuple[int, int], variant: Variant, color_space: str, sharpness: bool
) -> list[Strips]:
    """Everything about both scales of an image.

    Args:
        image: float32 RGB in [0, 1], (3, H, W), multiples of the larger side.
        sides: of the blocks at full and at half size.
        variant: what is computed.
        color_space: see :func:`octosr.metrics.niqe_engine.maps.luma`.
        sharpness: whether that of the blocks at full size is wanted.
    """
    full = luma_map(image, variant, color_space)
    half = half_map(full, variant)
    return [_strips(full, sides[0], variant, sharpness), _strips(half, sides[1], variant, False)]


def luma_map(image: Tensor, variant: Variant, color_space: str) -> Tensor:
    """Luma of 0 to 255, (3, H, W) -> (H+6, W+6), as :func:`octosr.metrics.niqe_engine.maps.luma` gives it."""
    way = {"pillow_l": PILLOW_L, "yiq": YIQ, "ycbcr": YCBCR_FLOAT64 if variant.name == "niqe_basicsr" else YCBCR}
    result = torch.empty([size + 2 * RADIUS for size in image.shape[1:]])
    # Any layout, without a copy: all the memory from the first value to the last one.
    extent = 1 + sum((size - 1) * stride for size, stride in zip(image.shape, image.stride(), strict=True))
    memory, out = image.as_strided((extent,), (1,)).numpy(), result.numpy()
    channel, row, column = image.stride()
    fused = fused_products() if color_space == "yiq" else 0

    def work(first: int, last: int) -> None:
        luma_rows(memory, (channel, row, column), first, last, way[color_space], fused, out)

    _by_rows(work, image.shape[1])
    set_border_(result[None], variant)
    return result


def half_map(full: Tensor, variant: Variant) -> Tensor:
    """Half the size, (2h+6, 2w+6) -> (h+6, w+6), as :func:`octosr.metrics.niqe_engine.maps.halved` gives it."""
    height, width = (size // 2 - RADIUS for size in full.shape)
    result = torch.empty(height + 2 * RADIUS, width + 2 * RADIUS, dtype=getattr(torch, variant.precision))
    image, out = full.numpy(), result.numpy()
    halve = halve_mirrored if variant.half_size == "symmetric" else halve_cut
    _by_rows(lambda first, last: halve(image, first, last, out), height)
    set_border_(result[None], variant)
    return result


def _strips(scale: Tensor, side: int, variant: Variant, sharpness: bool) -> Strips:
    """Everything about one scale, (H+6, W+6)."""
    rows, columns = ((size - 2 * RADIUS) // side for size in scale.shape)
    between = np.dtype("float32" if variant.rounding == "each" else "float64")
    # Float64 coefficients are not asked for again.
    kept = variant.rounding != "never"
    blocks = np.empty((rows if kept else 0, columns, (side + 1) * BLOCK_PITCH), variant.precision)
    moments, means = np.empty((rows, columns, 5, 5)), np.empty((rows, columns if sharpness else 0))
    luma, (far, middle, near, own) = scale.numpy(), gaussian_taps(variant)[: RADIUS + 1]

    def work(row: int) -> None:
        coefficients = blocks[row] if kept else np.empty(blocks.shape[1:], blocks.dtype)
        strip(luma, row * side, side, (far, middle, near, own), between, coefficients, means[row])
        block_sums(coefficients, side, moments[row])

    map_on_cores(work, range(rows), CPU)
    coefficients = torch.from_numpy(blocks).unflatten(-1, (side + 1, BLOCK_PITCH))[..., 1:, 1 : side + 1]
    return Strips(torch.from_numpy(moments), torch.from_numpy(means), coefficients)


def _by_rows(work: Callable[[int, int], None], rows: int) -> None:
    map_on_cores(lambda first: work(first, min(first + ROWS, rows)), range(0, rows, ROWS), CPU)
