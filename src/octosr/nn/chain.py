"""A chain of 3x3 convolutions with ReLUs between them, by fast convolution on a CPU: one node for autograd.

Feature maps stay in tiles from the first convolution to the last; filters are transformed once however many images
there are, also of several sizes; ReLUs are done in place, which an autograd graph of single operations could not; and
nothing is computed for inputs that need no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.nn import winograd
from octosr.nn.winograd_transforms import BLOCK, Workspace

MIN_CHANNELS = 48
"""Below this width direct convolution on a CPU is as fast."""


def suits(images: Tensor, weights: Sequence[Tensor]) -> bool:
    """Whether a chain of these weights (O, I, 3, 3) is faster this way."""
    return winograd.suits(images) and min(weight.shape[-4] for weight in weights[:-1]) >= MIN_CHANNELS


def convolve_chain(images: Sequence[Tensor], weights: Sequence[Tensor], biases: Sequence[Tensor]) -> list[Tensor]:
    """Convolve with zero padding of 1, ReLU, and so on up to the last convolution.

    Args:
        images: tensors (B, I, h, w), whose B, h and w may differ.
        weights: of each convolution, (O, I, 3, 3).
        biases: of each, (O,).

    Returns:
        For each of the images (B, O, h, w); differentiable once.

    >>> x, weight, bias = torch.rand(1, 3, 6, 5), torch.rand(3, 3, 3, 3), torch.zeros(3)
    >>> expected = torch.conv2d(torch.conv2d(x, weight, padding=1).relu(), weight, padding=1)
    >>> torch.allclose(convolve_chain([x], [weight, weight], [bias, bias])[0], expected, rtol=1e-4)
    True
    """
    found = _Chain.apply(len(images), len(weights), *images, *weights, *biases)
    return list(found)


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images_count: int, layers: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        images, rest = tensors[:images_count], tensors[images_count:]
        weights, biases = rest[:layers], rest[layers:]
        work = Workspace.of_this_thread(images[0].dtype)
        filters = [winograd.transform_filter(weight) for weight in weights]
        ctx.filters, ctx.sizes, ctx.layers = filters, [i.shape[-2:] for i in images], layers
        keep = any(ctx.needs_input_grad)
        ctx.inputs, results = [], []
        for image in images:
            result, inputs = _run(image, filters, biases, work, keep)
            results.append(result)
            ctx.inputs.append(inputs)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count, layers = len(gradients), ctx.layers
        needed = ctx.needs_input_grad[2:]
        work = Workspace.of_this_thread(gradients[0].dtype)
        wanted = [n for n, need in enumerate(needed[count : count + layers]) if need]
        grad_filters = {n: torch.zeros_like(ctx.filters[n]) for n in wanted}
        grad_biases: list[Tensor | None] = [None] * layers
        grad_images: list[Tensor | None] = []
        for gradient, inputs, size, need in zip(gradients, ctx.inputs, ctx.sizes, needed[:count], strict=True):
            tiles = winograd.to_tiles(_pad(gradient))
            for n in reversed(range(layers)):
                if n < layers - 1:
                    _relu_backward(tiles, inputs[n + 1])
                if needed[count + layers + n]:
                    total = tiles.view(-1, tiles.shape[-1]).sum(0)
                    before = grad_biases[n]
                    grad_biases[n] = total if before is None else before + total
                onward = work.get(f"gradient {n % 2}", tuple(inputs[n].shape), tiles) if n or need else None
                winograd.backward(tiles, inputs[n], ctx.filters[n], work, grad_filters.get(n), onward)
                if onward is not None:
                    tiles = onward
            grad_images.append(winograd.from_tiles(tiles)[..., : size[0], : size[1]].contiguous() if need else None)
        del ctx.inputs
        grad_weights = [winograd.filter_gradient(grad_filters[n]) if n in grad_filters else None for n in range(layers)]
        return None, None, *grad_images, *grad_weights, *grad_biases


def _run(
    image: Tensor, filters: Sequence[Tensor], biases: Sequence[Tensor], work: Workspace, keep: bool
) -> tuple[Tensor, list[Tensor]]:
    """The chain on one tensor of images; the tiles that each convolution read, if they are kept."""
    height, width = image.shape[-2:]
    tiles = winograd.to_tiles(_pad(image))
    inputs, spare = [tiles], None
    last = len(filters) - 1
    for n, (filter_, bias) in enumerate(zip(filters, biases, strict=True)):
        shape = (*tiles.shape[:5], filter_.shape[2])
        out = spare if spare is not None and spare.shape == shape and not keep else None
        result = winograd.forward(tiles, filter_, bias, work, relu=n < last, out=out)
        if n < last:
            _clear_outside(result, height, width)
        spare, tiles = tiles, result
        if keep:
            inputs.append(result)
    return winograd.from_tiles(tiles)[..., :height, :width].contiguous(), inputs[: len(filters)] if keep else []


def _pad(images: Tensor) -> Tensor:
    """Zeros to the right and below up to multiples of 4."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % BLOCK, 0, -height % BLOCK)) if height % BLOCK or width % BLOCK else images


def _clear_outside(tiles: Tensor, height: int, width: int) -> None:
    """Zeros where the blocks reach over the image: the next convolution's padding."""
    if height % BLOCK:
        tiles[height % BLOCK :, :, :, -1] = 0
    if width % BLOCK:
        tiles[:, width % BLOCK :, :, :, -1] = 0


def _relu_backward(gradient: Tensor, output: Tensor) -> None:
    """Zero a gradient in place where the ReLU gave zero, which is also so outside the image."""
    torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=gradient)
