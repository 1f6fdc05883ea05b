"""3x3 convolutions by Winograd's minimal filtering, for CPUs.

GPU libraries choose such algorithms by themselves, PyTorch's CPU library has none. F(4x4, 3x3): a 4x4 block of outputs
costs 36 products instead of 144 (S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin, S. Gray, "Fast
Algorithms for Convolutional Neural Networks", CVPR 2016). With single numbers of the theory, ``Y = A^T [(G g G^T) *
(B^T d B)] A`` for a filter g and a 6x6 patch d of the input. The points 0, +-1/sqrt(2), +-sqrt(2) and infinity keep the
rounding error at about twice that of the direct sum (the textbook's +-1, +-2 at four times).

Maps are (N, H, W, C), contiguous, as the values of a channels_last tensor lie. Some blocks are done at a time: their
patches are transformed by compiled loops (:mod:`octosr.nn.winograd_kernels`), 36 matrix products follow, and the
results are transformed, all in what a core's own cache holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod, sqrt

import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.nn.workspace import Workspace

BLOCK = 4
"""Side of a block of outputs."""
NODES = (0.0, sqrt(0.5), -sqrt(0.5), sqrt(2.0), -sqrt(2.0))
BAND_NUMBERS, LEAST_BLOCKS = 2**19, 64
"""Blocks done at a time: as many as have so many numbers in their transforms (2 MB in float32), but not fewer than
make the products of their matrices worthwhile."""


def _generator() -> Tensor:
    """G of the Toom-Cook construction, (6, 3)."""
    nodes = torch.tensor(NODES, dtype=torch.float64)
    powers = nodes[:, None] ** torch.arange(3, dtype=torch.float64)
    others = torch.stack([prod((node - nodes[nodes != node]).unbind(), start=torch.ones(())) for node in nodes])
    infinity = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    return torch.cat([powers / others[:, None], infinity])


GENERATOR = _generator()
FILTER = torch.kron(GENERATOR, GENERATOR)
"""From the nine taps of a filter to the 36 numbers of G g G^T."""


def suits(images: Tensor) -> bool:
    """Whether fast convolution is for such images: on a CPU, in full precision, not compiled."""
    if images.device.type != "cpu" or images.dtype not in (torch.float32, torch.float64):
        return False
    return not torch.compiler.is_compiling() and not torch.is_autocast_enabled("cpu")


def suits_tiles(images: Tensor) -> bool:
    """Whether products for such images can be done in tile registers (:mod:`octosr.nn.amx`): on a CPU that has them, in
    single precision."""
    if not suits(images) or images.dtype != torch.float32:
        return False
    from octosr.nn import amx

    return amx.available()


def transform_filter(weight: Tensor) -> Tensor:
    """G g G^T of all filters, (O, I, 3, 3) to (36, I, O); differentiable."""
    matrix = FILTER.to(weight.dtype)
    if torch.is_grad_enabled():
        # As backward passes want it. Forward ones take it as it is, too, which costs less than to reorder it for them.
        return (matrix @ weight.reshape(-1, 9).T).view(36, *weight.shape[:2]).mT
    return (matrix @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, weight.shape[1], weight.shape[0])


def filter_gradient(gradient: Tensor) -> Tensor:
    """The adjoint of :func:`transform_filter`, (36, I, O) to (O, I, 3, 3)."""
    taps = gradient.mT.flatten(1).T @ FILTER.to(gradient.dtype)
    return taps.view(gradient.shape[2], gradient.shape[1], 3, 3)


def forward(maps: Tensor, filters: Tensor, bias: Tensor | None, result: Tensor, relu: bool = False) -> None:
    """3x3 convolution with zero padding of 1, on all cores.

    Args:
        maps: (N, H, W, I), contiguous.
        filters: from :func:`transform_filter`, (36, I, O).
        bias: (O,).
        result: (N, H, W, O), contiguous, overwritten.
        relu: with a ReLU behind it.
    """
    from octosr.nn import winograd_kernels as kernels  # Numba takes a third of a second to import

    source, to = maps.detach().numpy(), result.detach().numpy()
    added = torch.zeros(filters.shape[2], dtype=maps.dtype) if bias is None else bias.detach().contiguous()

    def some(blocks: range) -> None:
        for first, count in _bands(blocks, filters):
            patches, products = _buffers(count, filters, maps)
            kernels.data(source, first, count, patches.numpy())
            torch.bmm(patches, filters, out=products)
            kernels.output(products.numpy(), first, count, added.numpy(), relu, to)

    with torch.no_grad():
        map_on_cores(some, parts(block_count(maps)), maps.device)


def backward(
    gradient: Tensor,
    maps: Tensor,
    filters: Tensor,
    active: Tensor | None,
    filters_gradient: Tensor | None,
    bias_gradient: Tensor | None,
    maps_gradient: Tensor | None,
) -> None:
    """The gradients of :func:`forward`; each core does images of its own.

    Args:
        gradient: of the result, (N, H, W, O), contiguous.
        maps, filters: what was convolved; maps contiguous.
        active: the result, where it had a ReLU.
        filters_gradient: (36, I, O), to which the filters' gradient is added; None: not wanted.
        bias_gradient: (O,), likewise.
        maps_gradient: (N, H, W, I), contiguous, overwritten; None: not wanted.
    """
    each, shares = block_count(maps[:1]), parts(len(maps))
    sums = [(filters_gradient, bias_gradient)]
    sums += [tuple(None if t is None else torch.zeros_like(t) for t in sums[0]) for _ in shares[1:]]  # type: ignore[misc]

    def some(part: tuple[range, tuple[Tensor | None, Tensor | None]]) -> None:
        images, (of_filters, of_bias) = part
        blocks = range(images.start * each, images.stop * each)
        _backward_blocks(blocks, gradient, maps, filters, active, of_filters, of_bias, maps_gradient)

    with torch.no_grad():
        map_on_cores(some, list(zip(shares, sums, strict=True)), maps.device)
        for other in sums[1:]:
            for total, one in zip(sums[0], other, strict=True):
                if total is not None and one is not None:
                    total.add_(one)


def _backward_blocks(
    blocks: range,
    gradient: Tensor,
    maps: Tensor,
    filters: Tensor,
    active: Tensor | None,
    filters_gradient: Tensor | None,
    bias_gradient: Tensor | None,
    maps_gradient: Tensor | None,
) -> None:
    """:func:`backward` for the blocks of some images."""
    from octosr.nn import winograd_kernels as kernels
    from octosr.nn import winograd_kernels_back as adjoints

    of_bias = maps.new_zeros(filters.shape[2]) if bias_gradient is None else bias_gradient
    outputs = gradient.new_empty(0, 0, 0, 0) if active is None else active.detach()
    for first, count in _bands(blocks, filters):
        patches, products = _buffers(count, filters, maps)
        adjoints.output_back(gradient.numpy(), outputs.numpy(), first, products.numpy(), of_bias.numpy())
        if filters_gradient is not None:
            kernels.data(maps.detach().numpy(), first, count, patches.numpy())
            filters_gradient.baddbmm_(patches.mT, products)
        if maps_gradient is not None:
            torch.bmm(products, filters.detach().mT, out=patches)
            adjoints.data_back(patches.numpy(), first, maps_gradient.numpy())


def _buffers(count: int, filters: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """This thread's for the patches and products of some blocks, (36, count, I) and (36, count, O)."""
    work, (_, inputs, outputs) = Workspace.of_this_thread(like.dtype), filters.shape
    return work.get("patches", (36, count, inputs), like), work.get("products", (36, count, outputs), like)


def block_count(maps: Tensor) -> int:
    """How many blocks maps (N, H, W, C) have."""
    count, height, width, _ = maps.shape
    return count * -(-height // BLOCK) * -(-width // BLOCK)


def parts(count: int) -> list[range]:
    """The numbers up to ``count``, for each core some."""
    shares = max(1, min(torch.get_num_threads(), count))
    edges = [count * n // shares for n in range(shares + 1)]
    return [range(a, b) for a, b in pairwise(edges)]


def _bands(blocks: range, filters: Tensor) -> Iterator[tuple[int, int]]:
    """First and number of blocks that are done together, in bands of nearly equal size."""
    most = max(LEAST_BLOCKS, BAND_NUMBERS // (36 * sum(filters.shape[1:])))
    bands = -(-len(blocks) // most)
    for n in range(bands):
        first, last = (blocks.start + len(blocks) * m // bands for m in (n, n + 1))
        yield first, last - first
