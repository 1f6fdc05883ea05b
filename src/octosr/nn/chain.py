"""A chain of 3x3 convolutions with ReLUs between them, by fast convolution on a CPU: one node for autograd.

Filters are transformed once however many images there are, also of several sizes; ReLUs are part of the convolutions,
forwards and backwards; and nothing is computed for inputs that need no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from octosr.nn import winograd
from octosr.nn.chain_forward import convolve_without_gradient
from octosr.nn.convolution import LEAST_CHANNELS
from octosr.nn.workspace import Workspace


def suits(images: Tensor, weights: Sequence[Tensor]) -> bool:
    """Whether a chain of these weights (O, I, 3, 3) is faster this way."""
    return winograd.suits(images) and min(weight.shape[-4] for weight in weights[:-1]) >= LEAST_CHANNELS


def convolve_chain(
    images: Sequence[Tensor], weights: Sequence[Tensor], biases: Sequence[Tensor], coarse: bool = False
) -> list[Tensor]:
    """Convolve with zero padding of 1, ReLU, and so on up to the last convolution.

    Args:
        images: tensors (B, I, h, w), whose B, h and w may differ.
        weights: of each convolution, (O, I, 3, 3).
        biases: of each, (O,).
        coarse: an error of some 1e-5 of the result's size will do, if that is faster on this CPU (:mod:`octosr.nn.amx`)
            and no gradient is wanted.

    Returns:
        For each of the images (B, O, h, w); differentiable once.

    >>> x, weight, bias = torch.rand(1, 3, 6, 5), torch.rand(3, 3, 3, 3), torch.zeros(3)
    >>> expected = torch.conv2d(torch.conv2d(x, weight, padding=1).relu(), weight, padding=1)
    >>> torch.allclose(convolve_chain([x], [weight, weight], [bias, bias])[0], expected, rtol=1e-4)
    True
    """
    if not torch.is_grad_enabled():
        return convolve_without_gradient(images, weights, biases, coarse)
    found = _Chain.apply(len(images), len(weights), *images, *weights, *biases)
    return list(found)


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images_count: int, layers: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        images, rest = tensors[:images_count], tensors[images_count:]
        weights, biases = rest[:layers], rest[layers:]
        ctx.filters, ctx.layers = [winograd.transform_filter(weight) for weight in weights], layers
        keep = any(ctx.needs_input_grad)
        ctx.maps, results = [], []
        for image in images:
            maps = _run(image, ctx.filters, biases, keep)
            results.append(maps[-1].permute(0, 3, 1, 2).contiguous())
            ctx.maps.append(maps[:-1])
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        count, layers = len(gradients), ctx.layers
        needed = ctx.needs_input_grad[2:]
        wanted = [needed[count + n] for n in range(2 * layers)]
        of_filters = [torch.zeros_like(f) if want else None for f, want in zip(ctx.filters, wanted, strict=False)]
        of_biases = [
            f.new_zeros(f.shape[2]) if want else None for f, want in zip(ctx.filters, wanted[layers:], strict=True)
        ]
        work = Workspace.of_this_thread(gradients[0].dtype)
        of_images: list[Tensor | None] = []
        for gradient, maps, need in zip(gradients, ctx.maps, needed[:count], strict=True):
            slope: Tensor | None = gradient.permute(0, 2, 3, 1).contiguous()
            for n in reversed(range(layers)):
                active = maps[n + 1] if n < layers - 1 else None
                onward = work.get(f"gradient {n % 2}", tuple(maps[n].shape), maps[n]) if n or need else None
                assert slope is not None
                winograd.backward(slope, maps[n], ctx.filters[n], active, of_filters[n], of_biases[n], onward)
                slope = onward
            of_images.append(slope.permute(0, 3, 1, 2).contiguous() if need and slope is not None else None)
        del ctx.maps
        of_weights = [winograd.filter_gradient(f) if f is not None else None for f in of_filters]
        return None, None, *of_images, *of_weights, *of_biases


def _run(image: Tensor, filters: Sequence[Tensor], biases: Sequence[Tensor], keep: bool) -> list[Tensor]:
    """The maps (B, h, w, C) that each convolution of the chain read, and the last one's; only the last, unless kept."""
    maps = [image.permute(0, 2, 3, 1).contiguous()]
    spare: Tensor | None = None
    for n, (filter_, bias) in enumerate(zip(filters, biases, strict=True)):
        shape = (*maps[-1].shape[:3], filter_.shape[2])
        result = spare if spare is not None and spare.shape == shape else maps[-1].new_empty(shape)
        winograd.forward(maps[-1], filter_, bias, result, relu=n < len(filters) - 1)
        if not keep:
            spare = maps.pop()
        maps.append(result)
    return maps
