"""The bank of 25 experts of one scale, their weights stacked so that any choice of them runs at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from octosr.techniques.moesr.grid import EXPERTS
from octosr.techniques.moesr.network import bicubic, expert_channels, improve
from octosr.techniques.moesr.symmetry import turn_filters


class Stack(NamedTuple):
    """The weights of N networks: per level (one for each x2) and convolution (N, out, in, 3, 3) and (N, out).

    ``winograd`` allows fast convolution on CPUs.
    """

    weights: list[list[Tensor]]
    biases: list[list[Tensor]]
    winograd: bool = False

    def tensors(self) -> list[Tensor]:
        """All of them in a flat list."""
        return [t for level in (*self.weights, *self.biases) for t in level]

    def map(self, function: Callable[[Tensor], Tensor]) -> Stack:
        """A stack of ``function`` of each tensor."""
        return Stack(
            [[function(t) for t in level] for level in self.weights],
            [[function(t) for t in level] for level in self.biases],
            self.winograd,
        )

    def like(self, tensors: list[Tensor]) -> Stack:
        """A stack of this form from a flat list, as :meth:`tensors` gives it."""
        source = iter(tensors)
        return self.map(lambda _: next(source))

    def enlarge(self, lr: Tensor) -> list[Tensor]:
        """What each level makes, last the result.

        Args:
            lr: (N, B, 3, h, w), or (1, B, 3, h, w): the same images for all networks.

        Returns:
            A tensor (N, B, 3, 2^l h, 2^l w) for each level l.
        """
        return [made for (made,) in self.enlarge_all([lr])]

    def enlarge_all(self, lr: Sequence[Tensor]) -> list[list[Tensor]]:
        """As :meth:`enlarge` for images of several sizes; for each level those of each size."""
        return self.improve_all([double(images) for images in lr])

    def improve_all(self, enlarged: Sequence[Tensor], coarse: bool = False) -> list[list[Tensor]]:
        """As :meth:`enlarge_all` for images that :func:`double` has enlarged, for use with several stacks.

        ``coarse``: an error of some 1e-5 will do, see :func:`octosr.nn.chain.convolve_chain`.
        """
        found: list[list[Tensor]] = []
        for weights, biases in zip(self.weights, self.biases, strict=True):
            if found:
                enlarged = [double(images) for images in found[-1]]
            found.append(improve(enlarged, weights, biases, self.winograd, coarse))
        return found


def double(images: Tensor) -> Tensor:
    """Images (N, B, 3, h, w) enlarged by :func:`~octosr.techniques.moesr.network.bicubic` to twice their sides."""
    return bicubic(images.flatten(0, 1), 2).unflatten(0, images.shape[:2])


class ExpertBank(nn.Module):
    """25 experts of one scale: a network for each of the log2(scale) levels of each.

    Args:
        scale: 2, 4 or 8.
        features: width of every network.
        layers: convolutions of every network.
        winograd: allow fast convolution on CPUs (the same numbers up to rounding, the scores of gating to 1e-5), see
            :mod:`octosr.nn.chain`.
    """

    def __init__(self, scale: int, features: int = 64, layers: int = 12, winograd: bool = True) -> None:
        super().__init__()
        self.scale, self.features, self.layers, self.winograd = scale, features, layers, winograd
        self.levels = round(math.log2(scale))
        count = len(EXPERTS)
        shapes = expert_channels(features, layers)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for _ in range(self.levels):
            for number, (inputs, outputs) in enumerate(shapes):
                weight = torch.randn(count, outputs, inputs, 3, 3) * math.sqrt(2 / (9 * inputs))
                # The published initialisation, but for the last convolution (ours): an expert then begins near
                # bicubic interpolation, and not with noise of the size of the image.
                self.weights.append(weight * 0.01 if number == len(shapes) - 1 else weight)
                self.biases.append(torch.zeros(count, outputs))

    def stack(self, experts: Tensor | Sequence[int] | slice = slice(None)) -> Stack:
        """The weights of some of the experts, in that order; gradients flow back."""
        if isinstance(experts, Tensor):
            experts = experts.to(self.weights[0].device)
        elif not isinstance(experts, slice) and len(experts) == 1:
            experts = slice(experts[0], experts[0] + 1)  # a view, not a copy
        by_level = [slice(level * self.layers, (level + 1) * self.layers) for level in range(self.levels)]
        weights, biases = list(self.weights), list(self.biases)
        return Stack(
            [[w[experts] for w in weights[part]] for part in by_level],
            [[b[experts] for b in biases[part]] for part in by_level],
            self.winograd,
        )

    def turned_stack(self, experts: Tensor, symmetries: Tensor, official_quirks: bool = False) -> Stack:
        """Copies of experts' weights with the filters turned, which serve settings of the grid on unturned images."""
        stack = self.stack(experts)
        weights = [[turn_filters(w.detach(), symmetries, official_quirks) for w in level] for level in stack.weights]
        return Stack(weights, [[b.detach().clone() for b in level] for level in stack.biases], self.winograd)

    @torch.no_grad()
    def broadcast(self, expert: int) -> None:
        """Give all experts the weights of one: the warm start."""
        for tensor in (*self.weights, *self.biases):
            tensor.copy_(tensor[expert].clone().expand_as(tensor))
