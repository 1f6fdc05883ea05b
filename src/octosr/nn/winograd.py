"""3x3 convolutions by Winograd's minimal filtering, for CPUs, on maps that stay in blocks through a network.

GPU libraries choose such algorithms by themselves, PyTorch's CPU library has none. The arithmetic is in
:mod:`octosr.nn.winograd_transforms`.

Images are kept as "tiles", (4, 4, B, h/4, w/4, C): row and column inside a block, image, block row, block column,
channel. All steps are done for a band of block rows after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

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

__all__ = [
    "BLOCK", "Workspace", "backward", "convolve", "filter_gradient", "forward", "from_tiles", "suits", "to_tiles",
    "transform_filter", "transform_size",
]  # fmt: skip

BAND_NUMBERS = 600_000
"""Size of a band's transform (2.4 MB in float32): about what a core's own cache holds; smaller means more calls."""


def to_tiles(images: Tensor) -> Tensor:
    """(B, C, h, w), h and w multiples of 4, to (4, 4, B, h/4, w/4, C)."""
    b, c, h, w = images.shape
    blocks = images.reshape(b, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    return blocks.permute(3, 5, 0, 2, 4, 1).contiguous()


def from_tiles(tiles: Tensor) -> Tensor:
    """(4, 4, B, h/4, w/4, C) to (B, C, h, w) in channels_last memory."""
    _, _, b, rows, columns, c = tiles.shape
    return tiles.permute(2, 3, 0, 4, 1, 5).reshape(b, rows * BLOCK, columns * BLOCK, c).permute(0, 3, 1, 2)


def transform_filter(weight: Tensor) -> Tensor:
    """G g G^T of all filters, (O, I, 3, 3) to (36, I, O); differentiable."""
    out_channels, in_channels = weight.shape[:2]
    taps = weight.permute(2, 3, 1, 0).reshape(9, in_channels * out_channels)
    return (FILTER.to(weight.dtype) @ taps).view(36, in_channels, out_channels)


def filter_gradient(gradient: Tensor) -> Tensor:
    """The adjoint of :func:`transform_filter`, (36, I, O) to (O, I, 3, 3)."""
    taps = FILTER.T.to(gradient.dtype) @ gradient.flatten(1)
    return taps.view(3, 3, *gradient.shape[1:]).permute(3, 2, 0, 1).contiguous()


def convolve(tiles: Tensor, filters: Tensor, bias: Tensor, workspace: Workspace) -> Tensor:
    """3x3 convolution with zero padding of 1.

    Args:
        tiles: (4, 4, B, h/4, w/4, I).
        filters: from :func:`transform_filter`.
        bias: (O,).
        workspace: shared by calls that do not run at the same time, neither forward nor backward.

    Returns:
        (4, 4, B, h/4, w/4, O).
    """
    if torch.is_grad_enabled():
        result: Tensor = _Convolution.apply(tiles, filters, bias, workspace)
        return result
    return forward(tiles, filters, bias, workspace)


def transform_size(tiles: Tensor, out_channels: int) -> int:
    """Numbers in the larger of the two transforms a convolution needs."""
    blocks = math.prod(tiles.shape[2:5])
    return 36 * blocks * max(tiles.shape[5], out_channels)


class _Convolution(torch.autograd.Function):
    """Keeps the tiles, not their transform, which is twice as large and quickly made again."""

    @staticmethod
    def forward(ctx: Any, tiles: Tensor, filters: Tensor, bias: Tensor, workspace: Workspace) -> Tensor:
        ctx.save_for_backward(tiles, filters)
        ctx.workspace = workspace
        return forward(tiles, filters, bias, workspace)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tiles, filters = ctx.saved_tensors
        grad_filters = torch.zeros_like(filters) if ctx.needs_input_grad[1] else None
        grad_tiles = torch.empty_like(tiles) if ctx.needs_input_grad[0] else None
        backward(gradient.contiguous(), tiles.contiguous(), filters, ctx.workspace, grad_filters, grad_tiles)
        grad_bias = gradient.sum((0, 1, 2, 3, 4)) if ctx.needs_input_grad[2] else None
        return grad_tiles, grad_filters, grad_bias, None


def forward(
    tiles: Tensor, filters: Tensor, bias: Tensor, work: Workspace, relu: bool = False, out: Tensor | None = None
) -> Tensor:
    """:func:`convolve` without autograd, on request with a ReLU behind it and into a tensor given."""
    tiles = tiles.contiguous()
    channels = filters.shape[2]
    # Not a view: callers may overwrite it under autograd.
    result = tiles.new_empty(*tiles.shape[:5], channels) if out is None else out
    for images, rows in _bands(tiles, channels):
        patches = transform_data(*_surrounded(tiles, images, rows), work)
        products = work.get("products", (36, patches.shape[1], channels), tiles)
        torch.bmm(patches, filters, out=products)
        band = result[:, :, images, rows]
        transform_output(products, band, work)
        band.add_(bias)
        if relu:
            band.relu_()
    return result


def backward(
    gradient: Tensor,
    tiles: Tensor,
    filters: Tensor,
    work: Workspace,
    grad_filters: Tensor | None,
    grad_tiles: Tensor | None,
) -> None:
    """The gradients of :func:`convolve`, but for the bias's.

    Args:
        gradient: of the result, contiguous.
        tiles, filters: what was convolved, contiguous.
        work: see :func:`convolve`.
        grad_filters: (36, I, O), to which the filters' gradient is added; None: not wanted.
        grad_tiles: overwritten with the tiles' gradient; None: not wanted.
    """
    for images, rows in _bands(tiles, filters.shape[2]):
        products = transform_output_adjoint(gradient[:, :, images, rows], work)
        if grad_filters is not None:
            grad_filters.baddbmm_(transform_data(*_surrounded(tiles, images, rows), work).transpose(1, 2), products)
        if grad_tiles is not None:
            patches = work.get("patches", (36, products.shape[1], filters.shape[1]), tiles)
            torch.bmm(products, filters.transpose(1, 2), out=patches)
            _give_back(patches, grad_tiles, images, rows, work)


def _bands(tiles: Tensor, out_channels: int) -> Iterator[tuple[slice, slice]]:
    """Images and block rows that are done together: several small images, or a part of the rows of one."""
    _, _, count, rows, columns, channels = tiles.shape
    blocks = max(1, BAND_NUMBERS // (36 * max(channels, out_channels)))
    together = max(1, blocks // (rows * columns))
    height = rows if rows * columns <= blocks else max(1, blocks // columns)
    for images in _evenly(count, together):
        for part in _evenly(rows, height):
            yield images, part


def _evenly(count: int, most: int) -> Iterator[slice]:
    """The numbers up to ``count`` in as few slices of at most ``most`` as possible, of nearly equal size."""
    parts = math.ceil(count / most)
    for n in range(parts):
        yield slice(n * count // parts, (n + 1) * count // parts)


def _surrounded(tiles: Tensor, images: slice, part: slice) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """A band, and the lines of pixels above and below it; None at the rims of the image."""
    above = tiles[3, :, images, part.start - 1] if part.start > 0 else None
    below = tiles[0, :, images, part.stop] if part.stop < tiles.shape[3] else None
    return tiles[:, :, images, part], above, below


def _give_back(patches: Tensor, result: Tensor, images: slice, part: slice, work: Workspace) -> None:
    """The adjoint of the data's transform for one band after the other, from the top, into ``result``.

    A band gives to the last row of the band above, which is there, and to the first of the one below, which is not: a
    copy of that is kept until it is.
    """
    above, below = transform_data_adjoint(patches, result[:, :, images, part], work)
    top, bottom = part.start, part.stop
    kept = work.get("below", tuple(below.shape), patches)
    if top > 0:
        result[3, :, images, top - 1].add_(above)
        result[0, :, images, top].add_(kept)
    if bottom < result.shape[3]:
        kept.copy_(below)
