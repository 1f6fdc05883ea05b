"""A network as a chain of parts, between which an image can be cut into tiles anew.

The receptive field of a deep network is wider than tiles are, that of each of its blocks is not. Where the result of a
block is kept for the whole image, the next block needs no more of a halo than its own: tiles make exactly what the
whole image would, at hardly more than its cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Link(NamedTuple):
    """A part of a network; all of them, one after the other, are the network.

    Attributes:
        run: (B, C, h, w) -> (B, C', scale*h, scale*w), zero padding where its input ends.
        halo: on how many pixels around a pixel of its input the result there depends.
        scale: by how much it enlarges.
        kept: a good place to cut anew: what it makes is small for the work that comes before and after it.
        work: multiplications for a pixel of its input.
    """

    run: Callable[[Tensor], Tensor]
    halo: int
    scale: int = 1
    kept: bool = False
    work: float = 1.0


def rrdbnet_links(layers: nn.Sequential, channels: int, scale: int) -> list[Link]:
    """The chain of an RRDBNet (ESRGAN, Wang et al., ECCVW 2018, arXiv:1809.00219, section 3.1).

    A convolution; blocks of three dense blocks of five 3x3 convolutions; one more, added to the first one's result; for
    each doubling nearest-neighbour enlargement and a convolution; two at the end. What goes from link to link are the
    image (the first convolution of it is cheaper to repeat than to keep) and features; inside a block also those that
    it began with.

    Args:
        layers: of spandrel's ESRGAN: the first convolution, the blocks with a skip around them, and the rest.
        channels: of the image.
        scale: of the network, 2, 4 or 8.

    Returns:
        (B, channels, h, w) -> (B, channels, scale*h, scale*w), not clamped.
    """
    first, trunk, *rest = layers
    *blocks, last = trunk.sub  # type: ignore[misc]

    def head(images: Tensor) -> Tensor:
        features = first(images)
        return torch.cat((images.to(features.dtype), features), 1)

    def tail(state: Tensor) -> Tensor:
        images, features = state[:, :channels], state[:, channels:]
        features = first(images) + last(features)
        for layer in rest:
            features = layer(features)
        return features

    doublings = int(math.log2(scale))
    # Of pixels at the full size, the last two convolutions see one to each side; that after each doubling, one as well.
    halo = math.ceil(1 + sum(0.5**n for n in range(1, doublings + 1)) + 2 / scale)
    sizes = [4**n for n in range(1, doublings + 1)] + [scale**2] * 2
    convolutions = [layer for layer in rest if isinstance(layer, nn.Conv2d)]
    work = _weights(first) + _weights(last)
    work += sum(_weights(layer) * size for layer, size in zip(convolutions, sizes, strict=True))
    found = [Link(head, halo=1, work=_weights(first))]
    dense = _weights(blocks[0].RDB1) if blocks else 0  # of all: they are of one size
    for block in blocks:
        found += _block_links(block, channels, dense)
    return [*found, Link(tail, halo, scale, work=work)]


def _block_links(block: nn.Module, channels: int, work: int) -> list[Link]:
    """The three dense blocks; between them go the image, what the block began with, and what it has come to."""
    runs = (partial(_begin, block, channels), partial(_go_on, block, channels), partial(_end, block, channels))
    links = [Link(run, halo=5, work=work) for run in runs]
    return [*links[:-1], links[-1]._replace(kept=True)]


def _begin(block: nn.Module, channels: int, state: Tensor) -> Tensor:
    return torch.cat((state, block.RDB1(state[:, channels:])), 1)  # type: ignore[operator]


def _go_on(block: nn.Module, channels: int, state: Tensor) -> Tensor:
    begun, features = _halves(state, channels)
    return torch.cat((state[:, :channels], begun, block.RDB2(features)), 1)  # type: ignore[operator]


def _end(block: nn.Module, channels: int, state: Tensor) -> Tensor:
    begun, features = _halves(state, channels)
    return torch.cat((state[:, :channels], block.RDB3(features) * 0.2 + begun), 1)  # type: ignore[operator]


def _halves(state: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    begun, features = state[:, channels:].chunk(2, 1)
    return begun, features


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() > 1)
