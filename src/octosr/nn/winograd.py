"""3x3 convolutions by Winograd's minimal filtering, for CPUs.

F(4x4, 3x3): a 4x4 block of outputs costs 36 products instead of 144 (S. Winograd, "Arithmetic Complexity of
Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016). GPU libraries
choose such algorithms by themselves, PyTorch's CPU library has none. The points 0, +-1/sqrt(2), +-sqrt(2) and infinity
keep the rounding error at about twice that of the direct sum (the textbook's +-1, +-2 at four times).

Images are kept as "tiles", (4, 4, B, h/4, w/4, C): row and column inside a block, image, block row, block column,
channel. So every step is a product of large contiguous matrices. Arithmetic with single numbers of the theory:
``Y = A^T [(G g G^T) * (B^T d B)] A`` for a filter g and a 6x6 patch d of the input.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

BLOCK = 4
"""Side of a block of outputs."""
BAND_NUMBERS = 2**24
"""Size of a band's transform (64 MB in float32) in inference on large images."""
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


class Workspace:
    """Buffers used by one convolution after the other: fresh ones cost more than the arithmetic done in them."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """An uninitialised tensor; what was got under this name before is overwritten."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = like.new_empty(size)
        return buffer[:size].view(shape)


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
    return _forward_in_bands(tiles, filters, bias, workspace)


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
        return _forward(tiles, filters, bias, workspace)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tiles, filters = ctx.saved_tensors
        work: Workspace = ctx.workspace
        gradient = gradient.contiguous()
        products = _transform_output_transposed(gradient, work)
        grad_filters = grad_tiles = grad_bias = None
        if ctx.needs_input_grad[1]:
            grad_filters = torch.bmm(_transform_data(tiles, work).transpose(1, 2), products)
        if ctx.needs_input_grad[0]:
            patches = work.get("patches", (36, products.shape[1], filters.shape[1]), gradient)
            torch.bmm(products, filters.transpose(1, 2), out=patches)
            grad_tiles = _transform_data_transposed(patches, tiles.shape, work)
        if ctx.needs_input_grad[2]:
            grad_bias = gradient.view(-1, gradient.shape[-1]).sum(0)
        return grad_tiles, grad_filters, grad_bias, None


def _forward_in_bands(tiles: Tensor, filters: Tensor, bias: Tensor, work: Workspace) -> Tensor:
    """Large images in bands of block rows, so that memory stays small; a band reads one block row more on each side."""
    count = math.ceil(transform_size(tiles, filters.shape[2]) / BAND_NUMBERS)
    rows = tiles.shape[3]
    height = max(4, math.ceil(rows / count))
    if height >= rows:
        return _forward(tiles, filters, bias, work)
    result = tiles.new_empty(*tiles.shape[:5], filters.shape[2])
    for top in range(0, rows, height):
        bottom, first, last = min(top + height, rows), max(top - 1, 0), min(top + height + 1, rows)
        band = _forward(tiles[:, :, :, first:last], filters, bias, work)
        result[:, :, :, top:bottom] = band[:, :, :, top - first : bottom - first]
    return result


def _forward(tiles: Tensor, filters: Tensor, bias: Tensor, work: Workspace) -> Tensor:
    tiles = tiles.contiguous()
    patches = _transform_data(tiles, work)
    shape = (*tiles.shape[2:5], filters.shape[2])
    products = work.get("products", (36, patches.shape[1], filters.shape[2]), tiles)
    torch.bmm(patches, filters, out=products)
    half = work.get("half", (BLOCK, 6, *shape), tiles)
    matrix = OUTPUT.to(tiles.dtype)
    torch.mm(matrix, products.view(6, -1), out=half.view(BLOCK, -1))
    result = tiles.new_empty(BLOCK, BLOCK, *shape)  # not a view: callers may overwrite it under autograd
    torch.matmul(matrix, half.view(BLOCK, 6, -1), out=result.view(BLOCK, BLOCK, -1))
    return result.add_(bias)


def _transform_data(tiles: Tensor, work: Workspace) -> Tensor:
    """B^T d B of the 6x6 patch around every block, (36, B*h/4*w/4, C).

    A patch has one row (column) of the block before and one of the block after. Each enters one of the six
    combinations only, and is added to it by itself: nothing has to be padded or copied.
    """
    shape = tuple(tiles.shape[2:])
    matrix = DATA.to(tiles.dtype)
    inner, before = matrix[:, 1:5].contiguous(), float(matrix[0, 0])
    rows = work.get("half", (6, BLOCK, *shape), tiles)
    torch.mm(inner, tiles.view(BLOCK, -1), out=rows.view(6, -1))
    rows[0, :, :, 1:].add_(tiles[3, :, :, :-1], alpha=before)
    rows[5, :, :, :-1].add_(tiles[0, :, :, 1:])
    patches = work.get("patches", (6, 6, *shape), tiles)
    torch.matmul(inner, rows.view(6, BLOCK, -1), out=patches.view(6, 6, -1))
    patches[:, 0, :, :, 1:].add_(rows[:, 3, :, :, :-1], alpha=before)
    patches[:, 5, :, :, :-1].add_(rows[:, 0, :, :, 1:])
    return patches.view(36, -1, shape[-1])


def _transform_data_transposed(patches: Tensor, tiles_shape: torch.Size, work: Workspace) -> Tensor:
    """The adjoint of :func:`_transform_data`."""
    shape = tuple(tiles_shape[2:])
    matrix = DATA.to(patches.dtype)
    inner, before = matrix[:, 1:5].T.contiguous(), float(matrix[0, 0])
    patches = patches.view(6, 6, *shape)
    rows = work.get("half", (6, BLOCK, *shape), patches)
    torch.matmul(inner, patches.view(6, 6, -1), out=rows.view(6, BLOCK, -1))
    rows[:, 3, :, :, :-1].add_(patches[:, 0, :, :, 1:], alpha=before)
    rows[:, 0, :, :, 1:].add_(patches[:, 5, :, :, :-1])
    tiles = torch.mm(inner, rows.view(6, -1)).view(tiles_shape)
    tiles[3, :, :, :-1].add_(rows[0, :, :, 1:], alpha=before)
    tiles[0, :, :, 1:].add_(rows[5, :, :, :-1])
    return tiles


def _transform_output_transposed(gradient: Tensor, work: Workspace) -> Tensor:
    """The adjoint of the last step, A^T M A: (4, 4, B, h/4, w/4, O) to (36, B*h/4*w/4, O)."""
    shape = tuple(gradient.shape[2:])
    matrix = OUTPUT.to(gradient.dtype).T.contiguous()
    half = work.get("half", (BLOCK, 6, *shape), gradient)
    torch.matmul(matrix, gradient.view(BLOCK, BLOCK, -1), out=half.view(BLOCK, 6, -1))
    products = work.get("products", (6, 6, *shape), gradient)
    torch.mm(matrix, half.view(BLOCK, -1), out=products.view(6, -1))
    return products.view(36, -1, shape[-1])
