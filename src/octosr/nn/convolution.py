"""3x3 convolutions of feature maps as they are, by Winograd's filtering, for training on CPUs.

The arithmetic is in :mod:`octosr.nn.winograd_transforms`. In :mod:`octosr.nn.winograd` feature maps stay tiles
through a whole network; here they come and go as (B, C, H, W), so that a network may have other layers in between. It
is done in bands, a few rows of blocks each, and each core works on images of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.cores import map_on_cores
from octosr.nn.winograd_transforms import (
    BLOCK,
    FILTER,
    Workspace,
    suits,
    transform_data,
    transform_data_adjoint,
    transform_output,
    transform_output_adjoint,
)

BAND_NUMBERS = 2**16
"""Blocks of a band times channels: its transform has 36 numbers for each, 9 MB in float32."""
LEAST_CHANNELS, LEAST_SIDE = 48, 32
"""What makes it worth the transforms; ``benchmarks/convolution.py`` measures it."""
LEAST_SIDE_FROZEN, LEAST_BLOCKS_FROZEN = 16, 128
"""Likewise where filters have no gradient: the least side, and the least number of blocks of all images together."""


def worthwhile(x: Tensor, outputs: int, frozen: bool = False) -> bool:
    """Whether :func:`conv3x3` can do it and is faster than PyTorch's convolution.

    Args:
        x: (B, C, H, W).
        outputs: channels that come out.
        frozen: the filters have no gradient.
    """
    height, width = x.shape[-2:]
    if height % BLOCK or width % BLOCK or min(x.shape[1], outputs) < LEAST_CHANNELS:
        return False
    many = len(x) * height * width >= LEAST_BLOCKS_FROZEN * BLOCK**2
    least = LEAST_SIDE_FROZEN if frozen and many else LEAST_SIDE
    return min(height, width) >= least and suits(x)


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)``, differentiable once.

    Args:
        x: (B, I, H, W), H and W multiples of 4; fastest in channels_last memory.
        weight: (O, I, 3, 3).
        bias: (O,).

    Returns:
        (B, O, H, W), in channels_last memory.

    >>> x, weight = torch.randn(2, 3, 8, 12).double(), torch.randn(5, 3, 3, 3).double()
    >>> torch.allclose(conv3x3(x, weight), torch.nn.functional.conv2d(x, weight, padding=1))
    True
    """
    result: Tensor = _Conv3x3.apply(x, weight, bias)
    return result


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)``, by :func:`conv3x3` where that is :func:`worthwhile`.

    Args:
        x: (B, I, H, W).
        weight: (O, I, 3, 3).
        bias: (O,).
    """
    if worthwhile(x, len(weight), not weight.requires_grad):
        return conv3x3(x, weight, bias)
    return F.conv2d(x, weight, bias, padding=1)


class _Conv3x3(torch.autograd.Function):
    """Keeps the maps and the transformed filters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        filters = _transform_filters(weight)
        ctx.filters = filters
        ctx.save_for_backward(x, weight)
        count, _, height, width = x.shape
        maps = x.permute(0, 2, 3, 1)
        shape = (count, len(weight), height, width)
        # Not a view: callers may overwrite it under autograd.
        result = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        out = result.permute(0, 2, 3, 1)

        def some(images: slice) -> None:
            for band in _bands(maps[images], max(weight.shape[:2])):
                patches = _patches(band, maps[images])
                products = Workspace.of_this_thread(x.dtype).get("products", (36, band.blocks, len(weight)), x)
                torch.bmm(patches, filters.mT, out=products)
                _finish(products, band, out[images], bias)

        map_on_cores(some, _shares(count), x.device)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        maps, gradient = x.permute(0, 2, 3, 1), gradients[0].permute(0, 2, 3, 1)
        of_maps = maps.new_empty(maps.shape) if wants_x else None

        def some(images: slice) -> Tensor | None:
            total: Tensor | None = None
            for band in _bands(maps[images], max(weight.shape[:2])):
                products = _finish_transposed(band, gradient[images])
                if wants_weight:
                    patches = _patches(band, maps[images])
                    if total is None:
                        total = torch.bmm(products.mT, patches)
                    else:
                        torch.baddbmm(total, products.mT, patches, out=total)
                if of_maps is not None:
                    patches = Workspace.of_this_thread(x.dtype).get("patches", (36, band.blocks, maps.shape[3]), x)
                    torch.bmm(products, ctx.filters, out=patches)
                    _patches_transposed(patches, band, of_maps[images])
            return total

        sums = [total for total in map_on_cores(some, _shares(len(x)), x.device) if total is not None]
        of_weight = None
        if wants_weight:
            for other in sums[1:]:
                sums[0].add_(other)
            of_weight = _transform_filters_transposed(sums[0])
        of_bias = gradient.sum((0, 1, 2)) if wants_bias else None
        return None if of_maps is None else of_maps.permute(0, 3, 1, 2), of_weight, of_bias


@dataclass(frozen=True)
class _Band:
    """Blocks of some images, and of some rows of blocks.

    Attributes:
        images: which.
        top: first row of blocks.
        bottom: the row after the last.
        shape: images, rows and columns of blocks.
        last: whether no rows follow.
    """

    images: slice
    top: int
    bottom: int
    shape: tuple[int, int, int]
    last: bool

    @property
    def blocks(self) -> int:
        """How many."""
        return math.prod(self.shape)

    def pixels(self, maps: Tensor) -> Tensor:
        """Block by block, a view: (N, H, W, C) to (4, 4, n, rows, columns, C)."""
        part = maps[self.images, BLOCK * self.top : BLOCK * self.bottom]
        return part.unflatten(2, (-1, BLOCK)).unflatten(1, (-1, BLOCK)).permute(2, 4, 0, 1, 3, 5)

    def line(self, maps: Tensor, row: int) -> Tensor:
        """One line of pixels, a view: (N, H, W, C) to (4, n, columns, C)."""
        return maps[self.images, row].unflatten(1, (-1, BLOCK)).permute(2, 0, 1, 3)


def _shares(count: int) -> list[slice]:
    """Consecutive images for each core."""
    parts = min(torch.get_num_threads(), count)
    edges = [count * part // parts for part in range(parts + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _bands(maps: Tensor, channels: int) -> Iterator[_Band]:
    """Some rows of an image, or where images are small some whole images, (N, H, W, C)."""
    count, rows, columns = len(maps), maps.shape[1] // BLOCK, maps.shape[2] // BLOCK
    most = max(BAND_NUMBERS // channels, 1)
    images, height = max(most // (rows * columns), 1), min(max(most // columns, 1), rows)
    for first in range(0, count, images):
        last = min(first + images, count)
        for top in range(0, rows, height):
            bottom = min(top + height, rows)
            yield _Band(slice(first, last), top, bottom, (last - first, bottom - top, columns), bottom == rows)


def _transform_filters(weight: Tensor) -> Tensor:
    """G g G^T of all filters, (O, I, 3, 3) to (36, O, I)."""
    outputs, inputs = weight.shape[:2]
    filter_, alike = FILTER.to(weight.dtype), weight.is_contiguous()
    taps = weight.view(-1, 9).T if alike else weight.permute(2, 3, 0, 1).reshape(9, -1)
    return (filter_ @ taps).view(36, outputs, inputs)


def _transform_filters_transposed(filters: Tensor) -> Tensor:
    """The adjoint of :func:`_transform_filters`; in channels_last memory, as the filters' rows lie."""
    _, outputs, inputs = filters.shape
    taps = (FILTER.T.to(filters.dtype) @ filters.view(36, -1)).view(3, 3, outputs, inputs)
    return taps.permute(2, 0, 1, 3).contiguous().permute(0, 3, 1, 2)


def _tiles(band: _Band, maps: Tensor) -> tuple[Tensor, Workspace]:
    """A buffer (4, 4, n, rows, columns, C) for the band of such maps, and what it is from."""
    work = Workspace.of_this_thread(maps.dtype)
    return work.get("tiles", (BLOCK, BLOCK, *band.shape, maps.shape[3]), maps), work


def _patches(band: _Band, maps: Tensor) -> Tensor:
    """The data's transform, (36, blocks, C)."""
    tiles, work = _tiles(band, maps)
    tiles.copy_(band.pixels(maps))
    above = band.line(maps, BLOCK * band.top - 1) if band.top else None
    below = None if band.last else band.line(maps, BLOCK * band.bottom)
    return transform_data(tiles, above, below, work)


def _patches_transposed(patches: Tensor, band: _Band, maps: Tensor) -> None:
    """The adjoint of :func:`_patches`; bands come from top to bottom, and this one's rims go to its neighbours."""
    tiles, work = _tiles(band, maps)
    above, below = transform_data_adjoint(patches, tiles, work)
    if band.top:
        line = band.line(maps, BLOCK * band.top)  # the band above left its share there
        tiles[0, :, :, 0].add_(line)
        band.line(maps, BLOCK * band.top - 1).add_(above)
    band.pixels(maps).copy_(tiles)
    if not band.last:
        band.line(maps, BLOCK * band.bottom).copy_(below)


def _finish(products: Tensor, band: _Band, maps: Tensor, bias: Tensor | None) -> None:
    """A^T M A of the products (36, blocks, O), and the bias, to their place in ``maps`` (N, H, W, O)."""
    tiles, work = _tiles(band, maps)
    transform_output(products, tiles, work)
    place = band.pixels(maps)
    if bias is None:
        place.copy_(tiles)
    else:
        torch.add(tiles, bias, out=place)


def _finish_transposed(band: _Band, maps: Tensor) -> Tensor:
    """The adjoint of :func:`_finish` without its bias: maps (N, H, W, O) to products (36, blocks, O)."""
    tiles, work = _tiles(band, maps)
    tiles.copy_(band.pixels(maps))
    return transform_output_adjoint(tiles, work)
