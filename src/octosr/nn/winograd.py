"""3x3 convolutions by Winograd's minimal filtering, for CPUs.

F(4x4, 3x3): a 4x4 block of outputs costs 36 products instead of 144 (S. Winograd, "Arithmetic Complexity of
Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016). GPU libraries
choose such algorithms by themselves, PyTorch's CPU library has none. The points 0, +-1/sqrt(2), +-sqrt(2) and infinity
keep the rounding error at about twice that of the direct sum (the textbook's +-1, +-2 at four times).

Images are kept as "tiles", (4, 4, B, h/4, w/4, C): row and column inside a block, image, block row, block column,
channel. So every step is a product of large contiguous matrices. Arithmetic with single numbers of the theory:
``Y = A^T [(G g G^T) * (B^T d B)] A`` for a filter g and a 6x6 patch d of the input. All steps are done for a band of
block rows after the other, whose transforms, 36/16 the size of their tiles, so never leave the core's cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCK = 4
"""Side of a block of outputs."""
BAND_NUMBERS = 600_000
"""Size of a band's transform (2.4 MB in float32): about what a core's own cache holds; smaller means more calls."""
_NODES = (0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0))


def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """B^T (6, 6), G (6, 3) and A^T (4, 6) of the Toom-Cook construction, the last node being infinity."""
    nodes = torch.tensor(_NODES, dtype=torch.float64)
    powers = nodes[:, None] ** torch.arange(4, dtype=torch.float64)
    infinity = torch.zeros(1, 4, dtype=torch.float64)
    infinity[0, 3] = 1
    output = torch.cat([powers, infinity]).T
    weights = torch.zeros(6, 3, dtype=torch.float64)
    data = torch.zeros(6, 6, dtype=torch.float64)
    for i, node in enumerate(nodes):
        others = torch.cat([nodes[:i], nodes[i + 1 :]])
        weights[i] = powers[i, :3] / (node - others).prod()
        data[i, :5] = _expand(others)
    weights[5, 2] = 1
    data[5] = _expand(nodes)
    return data, weights, output


def _expand(roots: Tensor) -> Tensor:
    """Coefficients, constant first, of the monic polynomial with these roots."""
    coefficients = torch.ones(1, dtype=roots.dtype)
    zero = torch.zeros(1, dtype=roots.dtype)
    for root in roots:
        coefficients = torch.cat([zero, coefficients]) - root * torch.cat([coefficients, zero])
    return coefficients


DATA, _WEIGHTS, OUTPUT = _matrices()
FILTER = torch.kron(_WEIGHTS, _WEIGHTS)


def suits(images: Tensor) -> bool:
    """Whether fast convolution is for such images: on a CPU, in full precision, not compiled."""
    if images.device.type != "cpu" or images.dtype not in (torch.float32, torch.float64):
        return False
    return not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")


_own = threading.local()


class Workspace:
    """Buffers used by one convolution after the other: fresh ones cost more than the arithmetic done in them."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    @staticmethod
    def of_this_thread(dtype: torch.dtype) -> Workspace:
        """The one for all work of this thread that is done before the next begins."""
        found: dict[torch.dtype, Workspace] = _own.__dict__.setdefault("workspaces", {})
        return found.setdefault(dtype, Workspace())

    def get(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """An uninitialised tensor; what was got under this name before is overwritten."""
        view = self._views.get((name, shape))
        if view is not None:
            return view
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            with torch.inference_mode(False):  # a tensor made in that mode could not be used outside it
                buffer = self._buffers[name] = like.new_empty(size)
            self._views = {key: old for key, old in self._views.items() if key[0] != name}
        view = self._views[name, shape] = buffer[:size].view(shape)
        return view


class _Matrices(NamedTuple):
    """Stacks of equal matrices, one for each row or column they are applied to."""

    before: float
    data: Tensor
    data_wide: Tensor
    data_adjoint: Tensor
    data_adjoint_wide: Tensor
    output: Tensor
    output_wide: Tensor
    output_adjoint: Tensor
    output_adjoint_wide: Tensor


@lru_cache
def _matrices_of(dtype: torch.dtype) -> _Matrices:
    """For the steps on 4 and (wide) on 6 rows or columns."""
    inner, output = DATA[:, 1:5].to(dtype), OUTPUT.to(dtype)
    single = (inner, inner.T, output, output.T)
    stacks = [m.contiguous().expand(n, -1, -1) for m in single for n in (BLOCK, BLOCK + 2)]
    return _Matrices(float(DATA[0, 0]), *stacks)


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
    matrices = _matrices_of(tiles.dtype)
    for images, rows in _bands(tiles, channels):
        patches = _transform_data(tiles, images, rows, work)
        blocks = patches.shape[1]
        products = work.get("products", (36, blocks, channels), tiles)
        torch.bmm(patches, filters, out=products)
        half = work.get("half", (BLOCK, 6, blocks * channels), tiles)
        torch.mm(matrices.output[0], products.view(6, -1), out=half.view(BLOCK, -1))
        band = result[:, :, images, rows]
        torch.bmm(matrices.output, half, out=band.flatten(2))
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
        products = _transform_output_transposed(gradient[:, :, images, rows], work)
        if grad_filters is not None:
            grad_filters.baddbmm_(_transform_data(tiles, images, rows, work).transpose(1, 2), products)
        if grad_tiles is not None:
            patches = work.get("patches", (36, products.shape[1], filters.shape[1]), tiles)
            torch.bmm(products, filters.transpose(1, 2), out=patches)
            _transform_data_transposed(patches, grad_tiles, images, rows, work)


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


def _transform_data(tiles: Tensor, images: slice, part: slice, work: Workspace) -> Tensor:
    """B^T d B of the 6x6 patch around every block of a band, (36, blocks, C).

    A patch has one row (column) of the block before and one of the block after. Each enters one of the six
    combinations only, and is added to it by itself: nothing has to be padded or copied.
    """
    band = tiles[:, :, images, part]
    shape = tuple(band.shape[2:])
    size = math.prod(shape)
    matrices = _matrices_of(tiles.dtype)
    half = work.get("half", (6, BLOCK, *shape), tiles)
    flat = work.get("half", (6, BLOCK, size), tiles)
    torch.bmm(matrices.data, band.flatten(2).transpose(0, 1), out=flat.transpose(0, 1))
    top, bottom = part.start, part.stop
    above, below = max(top - 1, 0), min(bottom + 1, tiles.shape[3])
    half[0, :, :, above + 1 - top :].add_(tiles[3, :, images, above : bottom - 1], alpha=matrices.before)
    half[5, :, :, : below - 1 - top].add_(tiles[0, :, images, top + 1 : below])
    torch.bmm(matrices.data_wide, flat, out=work.get("patches", (6, 6, size), tiles))
    patches = work.get("patches", (6, 6, *shape), tiles)
    patches[:, 0, :, :, 1:].add_(half[:, 3, :, :, :-1], alpha=matrices.before)
    patches[:, 5, :, :, :-1].add_(half[:, 0, :, :, 1:])
    return work.get("patches", (36, size // shape[-1], shape[-1]), tiles)


def _transform_data_transposed(patches: Tensor, result: Tensor, images: slice, part: slice, work: Workspace) -> None:
    """The adjoint of :func:`_transform_data` for one band after the other, from the top, into ``result``.

    A band gives to the last row of the band above, which is there, and to the first of the one below, which is not: a
    copy of that is kept until it is.
    """
    band = result[:, :, images, part]
    shape = tuple(band.shape[2:])
    size = math.prod(shape)
    matrices = _matrices_of(patches.dtype)
    half = work.get("half", (6, BLOCK, *shape), patches)
    flat = work.get("half", (6, BLOCK, size), patches)
    torch.bmm(matrices.data_adjoint_wide, patches.view(6, 6, size), out=flat)
    patches = patches.view(6, 6, *shape)
    half[:, 3, :, :, :-1].add_(patches[:, 0, :, :, 1:], alpha=matrices.before)
    half[:, 0, :, :, 1:].add_(patches[:, 5, :, :, :-1])
    torch.bmm(matrices.data_adjoint, flat.transpose(0, 1), out=band.flatten(2).transpose(0, 1))
    top, bottom = part.start, part.stop
    above = max(top - 1, 0)
    result[3, :, images, above : bottom - 1].add_(half[0, :, :, above + 1 - top :], alpha=matrices.before)
    result[0, :, images, top + 1 : bottom].add_(half[5, :, :, :-1])
    below = work.get("below", (BLOCK, shape[0], *shape[2:]), patches)
    if top > 0:
        result[0, :, images, top].add_(below)
    if bottom < result.shape[3]:
        below.copy_(half[5, :, :, -1])


def _transform_output_transposed(band: Tensor, work: Workspace) -> Tensor:
    """The adjoint of the last step, A^T M A, on a band: (4, 4, B, rows, w/4, O) to (36, blocks, O)."""
    channels = band.shape[-1]
    size = math.prod(band.shape[2:])
    matrices = _matrices_of(band.dtype)
    half = work.get("half", (6, BLOCK, size), band)
    torch.bmm(matrices.output_adjoint, band.flatten(2).transpose(0, 1), out=half.transpose(0, 1))
    torch.bmm(matrices.output_adjoint_wide, half, out=work.get("products", (6, 6, size), band))
    return work.get("products", (36, size // channels, channels), band)
