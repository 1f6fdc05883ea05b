"""A chain of 3x3 convolutions without gradients, each done as is best on this CPU.

Maps lie in two buffers in turn. Convolutions from or to a few channels, where matrices of fast convolution would be too
narrow, are done directly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from octosr.nn import winograd
from octosr.nn.convolution import LEAST_CHANNELS
from octosr.nn.workspace import Workspace


def convolve_without_gradient(
    images: Sequence[Tensor], weights: Sequence[Tensor], biases: Sequence[Tensor], coarse: bool
) -> list[Tensor]:
    """As :func:`octosr.nn.chain.convolve_chain`, which calls it where no gradient is wanted."""
    layers = _layers(weights, biases, coarse and winograd.suits_tiles(images[0]))
    work, results = Workspace.of_this_thread(images[0].dtype), []
    for x in images:
        maps = x.permute(0, 2, 3, 1).contiguous()
        for n, layer in enumerate(layers):
            maps = layer(maps, n < len(layers) - 1, work, f"maps {n % 2}")
        results.append(maps.permute(0, 3, 1, 2).contiguous())
    return results


_Layer = Callable[[Tensor, bool, Workspace, str], Tensor]
"""A convolution: from maps (B, h, w, I), with a ReLU or not, to maps (B, h, w, O), perhaps in a buffer of that name."""


def _layers(weights: Sequence[Tensor], biases: Sequence[Tensor], tiles: bool) -> list[_Layer]:
    """How each convolution is done best; its filters are ready."""
    found: list[_Layer] = []
    for weight, bias in zip(weights, biases, strict=True):
        outputs, inputs = weight.shape[:2]
        if tiles and inputs % 32 == 0:
            found.append(_in_tiles(weight, bias))
        elif min(outputs, inputs) >= LEAST_CHANNELS:
            found.append(_fast(weight, bias, winograd.transform_filter, winograd.forward))
        else:
            found.append(_direct(weight, bias))
    return found


def _in_tiles(weight: Tensor, bias: Tensor) -> _Layer:
    from octosr.nn import winograd_amx

    outputs = len(weight)
    more = -outputs % 32
    if more:
        weight, bias = F.pad(weight, (0, 0) * 3 + (0, more)), F.pad(bias, (0, more))
    wide = _fast(weight, bias, winograd_amx.transform_filter, winograd_amx.forward)
    return (lambda *arguments: wide(*arguments)[..., :outputs].contiguous()) if more else wide


def _fast(weight: Tensor, bias: Tensor, transform: Callable[[Tensor], Tensor], forward: Callable[..., None]) -> _Layer:
    filters = transform(weight)

    def layer(maps: Tensor, relu: bool, work: Workspace, name: str) -> Tensor:
        result = work.get(name, (*maps.shape[:3], len(bias)), maps)
        forward(maps, filters, bias, result, relu)
        return result

    return layer


def _direct(weight: Tensor, bias: Tensor) -> _Layer:
    convolve = to_few if len(weight) < LEAST_CHANNELS else partial(F.conv2d, padding=1)

    def layer(maps: Tensor, relu: bool, work: Workspace, name: str) -> Tensor:
        result = convolve(maps.permute(0, 3, 1, 2), weight, bias)
        return (F.relu_(result) if relu else result).permute(0, 2, 3, 1).contiguous()

    return layer


def to_few(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``conv2d(x, weight, bias, padding=1)`` for few outputs: one product of matrices for all taps, whose parts then go
    where they belong. Maps are read once, and not for each tap.

    Args:
        x: (B, I, H, W), in channels_last memory.
        weight: (O, I, 3, 3).
        bias: (O,).

    Returns:
        (B, O, H, W).

    >>> x, weight = torch.rand(2, 5, 4, 7), torch.rand(3, 5, 3, 3)
    >>> torch.allclose(to_few(x, weight, torch.zeros(3)), torch.conv2d(x, weight, padding=1), rtol=1e-4)
    True
    """
    taps = weight.flip(2, 3).permute(0, 2, 3, 1).flatten(0, 2)
    parts = taps @ x.flatten(2)
    return F.fold(parts, x.shape[2:], kernel_size=3, padding=1).add_(bias[:, None, None])
