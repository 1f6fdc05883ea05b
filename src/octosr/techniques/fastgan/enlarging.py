"""Nearest-neighbour enlargement by 2 and the 3x3 convolution after it, with a quarter of the multiplications, on CPUs.

Along one dimension, let a, b, c be the taps and x_i a pixel. After enlargement it is there twice, and

    y_2i = a x_(i-1) + (b + c) x_i = S x_i - a (x_i - x_(i-1)),
    y_2i+1 = (a + b) x_i + c x_(i+1) = S x_i + c (x_(i+1) - x_i),    S = a + b + c:

three products for two results, where the plain form has six and a transposed convolution four. In two dimensions that
is nine for four results: S and S with x, S with the differences along rows and along columns, and the other four
pairs with the differences of differences. All are products of large matrices, and nothing is divided or scaled: the
rounding error is that of the plain form.

Pixels lie in "strips": the rows of an image one after the other, each followed by a zero, which is the pixel left of
the next row as well; so a difference along rows is one between neighbours in a strip, and one along columns between
pixels a row apart. A row of zeros, or of the image where it goes on, is before the first and after the last row.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.cores import map_on_cores
from octosr.nn.winograd import suits
from octosr.nn.workspace import Workspace

BAND_NUMBERS = 2**18
"""Pixels of a band times channels of the result; there are nine products for each."""
LEAST_CHANNELS, LEAST_SIDE = 48, 8
"""What makes it worth the passes over products and filters; ``benchmarks/fastgan_layers.py`` measures it."""
_TAPS = torch.tensor([[1.0, 1.0, 1.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
_PAIRS = torch.kron(_TAPS, _TAPS)[[0, 1, 2, 3, 6, 4, 5, 7, 8]]
"""From the nine taps to the nine filters: for x, for differences along rows (2), along columns (2), along both (4)."""
_GROUPS = (1, 2, 2, 4)


def worthwhile(x: Tensor, outputs: int) -> bool:
    """Whether :func:`doubling_conv` is for such maps (B, C, H, W), with so many channels that come out."""
    return min(x.shape[1], outputs) >= LEAST_CHANNELS and min(x.shape[2:]) >= LEAST_SIDE and suits(x)


def doubling_conv(x: Tensor, weight: Tensor) -> Tensor:
    """``conv2d(interpolate(x, scale_factor=2), weight, padding=1)``, differentiable once.

    Args:
        x: (B, I, H, W).
        weight: (O, I, 3, 3).

    Returns:
        (B, O, 2H, 2W), in channels_last memory.

    >>> x, weight = torch.randn(2, 3, 4, 5).double(), torch.randn(7, 3, 3, 3).double()
    >>> plain = torch.nn.functional.conv2d(torch.nn.functional.interpolate(x, scale_factor=2), weight, padding=1)
    >>> torch.allclose(doubling_conv(x, weight), plain, atol=1e-12)
    True
    """
    inputs, outputs = weight.shape[1], len(weight)
    taps = weight.permute(2, 3, 1, 0).reshape(9, -1)
    filters = (_PAIRS.to(weight) @ taps).view(9, inputs, outputs)
    result: Tensor = _DoublingConv.apply(x, filters)
    return result


class _DoublingConv(torch.autograd.Function):
    """Keeps the maps, and makes their differences again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Tensor) -> Tensor:
        ctx.save_for_backward(x, filters)
        count, _, height, width = x.shape
        shape = (count, filters.shape[2], 2 * height, 2 * width)
        # Not a view: callers may overwrite it under autograd.
        result = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        maps, out, matrices = x.permute(0, 2, 3, 1), result.permute(0, 2, 3, 1), _side_by_side(filters)

        def some(images: slice) -> None:
            for band in _bands(maps[images], filters.shape[2]):
                strips = _strips(band, maps[images])
                products = [
                    torch.mm(strip, matrix, out=_buffer(f"product {number}", (len(strip), matrix.shape[1]), x))
                    for number, (strip, matrix) in enumerate(zip(strips, matrices, strict=True))
                ]
                _join(products, band, band.doubled(out[images]))

        map_on_cores(some, _shares(count), x.device)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, filters = ctx.saved_tensors
        wants_x, wants_filters = ctx.needs_input_grad
        maps, gradient = x.permute(0, 2, 3, 1), gradients[0].permute(0, 2, 3, 1)
        of_maps, matrices = torch.zeros_like(maps) if wants_x else None, _side_by_side(filters)

        def some(images: slice) -> list[Tensor] | None:
            total: list[Tensor] | None = None
            for band in _bands(maps[images], filters.shape[2]):
                products = _join_transposed(band, band.doubled(gradient[images]))
                if wants_filters:
                    strips = _strips(band, maps[images])
                    if total is None:
                        total = [strip.T @ product for strip, product in zip(strips, products, strict=True)]
                    else:
                        for share, strip, product in zip(total, strips, products, strict=True):
                            share.addmm_(strip.T, product)
                if of_maps is not None:
                    strips = [
                        torch.mm(product, matrix.T, out=_buffer(f"strip {number}", (len(product), len(matrix)), x))
                        for number, (product, matrix) in enumerate(zip(products, matrices, strict=True))
                    ]
                    _strips_transposed(strips, band, of_maps[images])
            return total

        totals = [total for total in map_on_cores(some, _shares(len(x)), x.device) if total is not None]
        of_filters = None
        if wants_filters:
            for other in totals[1:]:
                torch._foreach_add_(totals[0], other)
            inputs = filters.shape[1]
            parts = [part.view(inputs, n, -1) for part, n in zip(totals[0], _GROUPS, strict=True)]
            of_filters = torch.cat(parts, 1).transpose(0, 1)
        return None if of_maps is None else of_maps.permute(0, 3, 1, 2), of_filters


class _Band(NamedTuple):
    """Some rows of an image, or several whole images.

    Attributes:
        images: which.
        rows: from each.
        height: of an image.
        width: of an image.
    """

    images: slice
    rows: slice
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Images, rows with the one after the last, columns with the zero."""
        return self.images.stop - self.images.start, self.rows.stop - self.rows.start + 1, self.width + 1

    def doubled(self, maps: Tensor) -> Tensor:
        """Its part of enlarged maps, a view: (N, 2H, 2W, O) to (n, rows, 2, W, 2, O)."""
        part = maps[self.images, 2 * self.rows.start : 2 * self.rows.stop]
        return part.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))


def _bands(maps: Tensor, channels: int) -> Iterator[_Band]:
    """Bands of maps (N, H, W, C), from top to bottom."""
    count, height, width = maps.shape[:3]
    most = max(BAND_NUMBERS // channels, 1)
    images, rows = max(most // (height * width), 1), max(min(most // width, height), 1)
    for first in range(0, count, images):
        for top in range(0, height, rows):
            part = slice(top, min(top + rows, height))
            yield _Band(slice(first, min(first + images, count)), part, height, width)


def _shares(count: int) -> list[slice]:
    """Consecutive images for each core."""
    parts = min(torch.get_num_threads(), count)
    return [slice(a, b) for a, b in pairwise(count * part // parts for part in range(parts + 1))]


def _buffer(name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory that each thread uses again and again."""
    return Workspace.of_this_thread(like.dtype).get(name, shape, like)


def _side_by_side(filters: Tensor) -> list[Tensor]:
    """(9, I, O) to the four matrices (I, O), (I, 2 O), (I, 2 O), (I, 4 O)."""
    return [part.transpose(0, 1).flatten(1) for part in filters.split(_GROUPS)]


def _strips(band: _Band, maps: Tensor) -> list[Tensor]:
    """Pixels, their differences along rows, along columns, and along both: four matrices (pixels of strips, C)."""
    count, rows, columns = band.shape
    size, channels = count * rows * columns, maps.shape[3]
    # In front the zero left of the first pixel; then the row before the first.
    whole = _buffer("strip", (1 + columns + size, channels), maps)
    whole[: 1 + columns].zero_()
    body = whole[1 + columns :].view(count, rows, columns, channels)
    body[:, :-1, :-1].copy_(maps[band.images, band.rows])
    body[:, :, -1].zero_()
    if band.rows.start:
        whole[1:columns].copy_(maps[band.images.start, band.rows.start - 1])
    if band.rows.stop < band.height:
        body[0, -1, :-1].copy_(maps[band.images.start, band.rows.stop])
    else:
        body[:, -1].zero_()
    down = torch.sub(whole[columns:], whole[:-columns], out=_buffer("down", (1 + size, channels), maps))
    right = torch.sub(whole[1 + columns :], whole[columns:-1], out=_buffer("right", (size, channels), maps))
    both = torch.sub(down[1:], down[:-1], out=_buffer("both", (size, channels), maps))
    return [whole[1 + columns :], right, down[1:], both]


def _strips_transposed(strips: list[Tensor], band: _Band, maps: Tensor) -> None:
    """The adjoint of :func:`_strips`, added to ``maps``."""
    count, rows, columns = band.shape
    pixels, right, down, both = strips
    size, channels = pixels.shape
    down.add_(both)
    whole = _buffer("strip", (1 + columns + size, channels), maps)
    whole[: 1 + columns].zero_()
    body = torch.add(pixels, right, out=whole[1 + columns :])
    whole[columns:-1].sub_(right)
    body.add_(down)
    whole[1 : 1 + size].sub_(down)
    whole[columns:-1].sub_(both)
    whole[:size].add_(both)
    inner = body.view(count, rows, columns, channels)
    maps[band.images, band.rows].add_(inner[:, :-1, :-1])
    if band.rows.start:
        maps[band.images.start, band.rows.start - 1].add_(whole[1:columns])
    if band.rows.stop < band.height:
        maps[band.images.start, band.rows.stop].add_(inner[0, -1, :-1])


def _join(products: list[Tensor], band: _Band, place: Tensor) -> None:
    """Add the nine products up, each where it belongs: to ``place`` (n, rows, 2, W, 2, O)."""
    shape, width = band.shape, band.width
    pixels = products[0].view(*shape, -1)[:, :-1, :-1]
    right, down = (product.view(*shape, 2, -1) for product in products[1:3])
    both = products[3].view(*shape, 2, 2, -1)
    rows = shape[1] - 1
    for column in range(2):
        columns = slice(column, column + width)
        here = right[:, :-1, columns, column]
        here.add_(pixels)
        there = both[:, :, columns, :, column]
        there.add_(down[:, :, :-1])
        for row in range(2):
            torch.add(here, there[:, row : row + rows, :, row], out=place[:, :, row, :, column])


def _join_transposed(band: _Band, gradient: Tensor) -> list[Tensor]:
    """The adjoint of :func:`_join`: from (n, rows, 2, W, 2, O) to matrices as those of the products."""
    count, rows, columns = shape = band.shape
    size, channels = count * rows * columns, gradient.shape[-1]
    both = _buffer("both products", (*shape, 2, 2, channels), gradient)
    for row in range(2):
        both[:, -1 if row == 0 else 0, :, row].zero_()
        for column in range(2):
            mine = both[:, row : row + rows - 1, :, row, column]
            mine[:, :, -1 if column == 0 else 0].zero_()
            mine[:, :, column : column + columns - 1].copy_(gradient[:, :, row, :, column])
    down = _buffer("down products", (*shape, 2, channels), gradient)
    right = _buffer("right products", (*shape, 2, channels), gradient)
    pixels = _buffer("pixel products", (*shape, channels), gradient)
    torch.add(both[:, :, :-1, :, 0], both[:, :, 1:, :, 1], out=down[:, :, :-1])
    down[:, :, -1].zero_()
    torch.add(both[:, :-1, :, 0], both[:, 1:, :, 1], out=right[:, :-1])
    right[:, -1].zero_()
    torch.add(right[:, :, :-1, 0], right[:, :, 1:, 1], out=pixels[:, :, :-1])
    pixels[:, :, -1].zero_()
    return [part.view(size, -1) for part in (pixels, right, down, both)]
