"""The arithmetic of Winograd's minimal filtering for 3x3 convolutions, a band of blocks at a time.

F(4x4, 3x3): a 4x4 block of outputs costs 36 products instead of 144 (S. Winograd, "Arithmetic Complexity of
Computations", 1980; A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016). With single
numbers of the theory, ``Y = A^T [(G g G^T) * (B^T d B)] A`` for a filter g and a 6x6 patch d of the input. The points
0, +-1/sqrt(2), +-sqrt(2) and infinity keep the rounding error at about twice that of the direct sum (the textbook's
+-1, +-2 at four times).

A band is some rows of blocks of one image, or whole images, as a view (4, 4, n, rows, columns, C) whose last four
dimensions lie in memory as one: row and column inside a block, image, block row, block column, channel. So every step
is a product of large matrices. A band's transforms are 36/16 of its size; where they fit in a core's cache, they
never leave it. Two modules do convolutions with this: :mod:`octosr.nn.winograd` on maps that stay in blocks through a
network, :mod:`octosr.nn.convolution` on ordinary maps.
"""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 4
"""Side of a block of outputs."""
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


_DATA, _WEIGHTS, _OUTPUT = _matrices()
FILTER = torch.kron(_WEIGHTS, _WEIGHTS)
"""From the nine taps of a filter to the 36 numbers of G g G^T."""
_BEFORE = float(_DATA[0, 0])


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


class _Stacks(NamedTuple):
    """Stacks of equal matrices, one for each row or column they are applied to: 4, or (wide) 6."""

    data: Tensor
    data_wide: Tensor
    data_adjoint: Tensor
    data_adjoint_wide: Tensor
    output: Tensor
    output_wide: Tensor
    output_adjoint: Tensor
    output_adjoint_wide: Tensor


@lru_cache
def _stacks(dtype: torch.dtype) -> _Stacks:
    inner, output = _DATA[:, 1:5].to(dtype), _OUTPUT.to(dtype)
    single = (inner, inner.T, output, output.T)
    return _Stacks(*(m.contiguous().expand(n, -1, -1) for m in single for n in (BLOCK, BLOCK + 2)))


def transform_data(band: Tensor, above: Tensor | None, below: Tensor | None, work: Workspace) -> Tensor:
    """B^T d B of the 6x6 patch d around every block.

    A patch has one row (column) of the block before and one of the block after. Each enters one of the six
    combinations only, and is added to it by itself: nothing has to be padded or copied.

    Args:
        band: (4, 4, n, rows, columns, C).
        above: the line of pixels above it, (4, n, columns, C); None: zeros.
        below: likewise.
        work: buffers.

    Returns:
        (36, blocks, C), in a buffer.
    """
    shape = tuple(band.shape[2:])
    size = math.prod(shape)
    stacks = _stacks(band.dtype)
    half = work.get("half", (6, BLOCK, *shape), band)
    flat = work.get("half", (6, BLOCK, size), band)
    torch.bmm(stacks.data, band.view(BLOCK, BLOCK, size).transpose(0, 1), out=flat.transpose(0, 1))
    half[0, :, :, 1:].add_(band[3, :, :, :-1], alpha=_BEFORE)
    half[5, :, :, :-1].add_(band[0, :, :, 1:])
    if above is not None:
        half[0, :, :, 0].add_(above, alpha=_BEFORE)
    if below is not None:
        half[5, :, :, -1].add_(below)
    torch.bmm(stacks.data_wide, flat, out=work.get("patches", (6, 6, size), band))
    patches = work.get("patches", (6, 6, *shape), band)
    patches[:, 0, :, :, 1:].add_(half[:, 3, :, :, :-1], alpha=_BEFORE)
    patches[:, 5, :, :, :-1].add_(half[:, 0, :, :, 1:])
    return work.get("patches", (36, size // shape[-1], shape[-1]), band)


def transform_data_adjoint(patches: Tensor, band: Tensor, work: Workspace) -> tuple[Tensor, Tensor]:
    """The adjoint of :func:`transform_data`.

    Args:
        patches: (36, blocks, C).
        band: overwritten.
        work: buffers.

    Returns:
        What the lines above and below get, (4, n, columns, C) each, in a buffer.
    """
    shape = tuple(band.shape[2:])
    size = math.prod(shape)
    stacks = _stacks(patches.dtype)
    half = work.get("half", (6, BLOCK, *shape), patches)
    flat = work.get("half", (6, BLOCK, size), patches)
    torch.bmm(stacks.data_adjoint_wide, patches.view(6, 6, size), out=flat)
    patches = patches.view(6, 6, *shape)
    half[:, 3, :, :, :-1].add_(patches[:, 0, :, :, 1:], alpha=_BEFORE)
    half[:, 0, :, :, 1:].add_(patches[:, 5, :, :, :-1])
    torch.bmm(stacks.data_adjoint, flat.transpose(0, 1), out=band.view(BLOCK, BLOCK, size).transpose(0, 1))
    band[3, :, :, :-1].add_(half[0, :, :, 1:], alpha=_BEFORE)
    band[0, :, :, 1:].add_(half[5, :, :, :-1])
    return half[0, :, :, 0].mul_(_BEFORE), half[5, :, :, -1]


def transform_output(products: Tensor, band: Tensor, work: Workspace) -> None:
    """A^T M A of the products M (36, blocks, O) of every block, into ``band`` (4, 4, n, rows, columns, O)."""
    stacks = _stacks(products.dtype)
    size = products[0].numel()
    half = work.get("half", (BLOCK, 6, size), products)
    torch.mm(stacks.output[0], products.view(6, -1), out=half.view(BLOCK, -1))
    torch.bmm(stacks.output, half, out=band.view(BLOCK, BLOCK, size))


def transform_output_adjoint(band: Tensor, work: Workspace) -> Tensor:
    """The adjoint of :func:`transform_output`: (36, blocks, O), in a buffer."""
    channels = band.shape[-1]
    size = math.prod(band.shape[2:])
    stacks = _stacks(band.dtype)
    half = work.get("half", (6, BLOCK, size), band)
    torch.bmm(stacks.output_adjoint, band.view(BLOCK, BLOCK, size).transpose(0, 1), out=half.transpose(0, 1))
    torch.bmm(stacks.output_adjoint_wide, half, out=work.get("products", (6, 6, size), band))
    return work.get("products", (36, size // channels, channels), band)
