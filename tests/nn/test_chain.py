"""Chains of convolutions against direct ones, values and gradients, whatever the sizes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.nn import winograd
from octosr.nn.chain import convolve_chain, suits

WIDTHS = [3, 5, 6, 2]


def layers() -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    pairs = list(pairwise(WIDTHS))
    weights = [torch.randn(o, i, 3, 3, dtype=torch.float64, requires_grad=True) for i, o in pairs]
    return weights, [torch.randn(o, dtype=torch.float64, requires_grad=True) for _, o in pairs]


def direct(x: Tensor, weights: list[Tensor], biases: list[Tensor]) -> Tensor:
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = F.relu(F.conv2d(x, weight, bias, padding=1))
    return F.conv2d(x, weights[-1], biases[-1], padding=1)


@pytest.mark.parametrize("band", [None, 36 * 6 * 2])
@pytest.mark.parametrize("input_gradients", [False, True])
def test_equals_direct_convolutions_with_all_gradients(
    band: int | None, input_gradients: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if band is not None:
        monkeypatch.setattr(winograd, "BAND_NUMBERS", band)
        monkeypatch.setattr(winograd, "LEAST_BLOCKS", 1)
    weights, biases = layers()
    sizes = [(2, 3, 8, 12), (1, 3, 7, 9), (3, 3, 10, 4), (1, 3, 1, 2)]
    images = [torch.randn(s, dtype=torch.float64, requires_grad=input_gradients) for s in sizes]
    found = convolve_chain(images, weights, biases)
    expected = [direct(x, weights, biases) for x in images]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    inputs = [*weights, *biases, *(images if input_gradients else [])]
    ours = torch.autograd.grad(sum(x.square().sum() for x in found), inputs)
    theirs = torch.autograd.grad(sum(x.square().sum() for x in expected), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_only_the_gradients_asked_for() -> None:
    weights, biases = layers()
    weights[1].requires_grad_(False)
    biases[0].requires_grad_(False)
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    inputs = [weights[0], weights[2], biases[1], biases[2]]
    ours = torch.autograd.grad(convolve_chain([x], weights, biases)[0].square().sum(), inputs)
    theirs = torch.autograd.grad(direct(x, weights, biases).square().sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


@torch.no_grad()
def test_without_gradients_and_after_inference_mode() -> None:
    weights, biases = layers()
    x = torch.randn(2, 3, 11, 6, dtype=torch.float64)
    with torch.inference_mode():
        inferred = convolve_chain([x], weights, biases)[0]
    for found in (inferred, convolve_chain([x], weights, biases)[0]):
        torch.testing.assert_close(found, direct(x, weights, biases), rtol=1e-10, atol=1e-10)


def test_rounding_stays_near_that_of_direct_convolutions_over_many_layers() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(32, 32, 3, 3) / 12 for _ in range(10)]
    biases = [torch.randn(32) / 10 for _ in weights]
    x = torch.randn(1, 32, 22, 22)
    exact = direct(x.double(), [w.double() for w in weights], [b.double() for b in biases])
    error = (convolve_chain([x], weights, biases)[0] - exact).square().mean().sqrt()
    assert error < 4 * (direct(x, weights, biases) - exact).square().mean().sqrt()
    assert error < 2e-6 * exact.square().mean().sqrt()


def test_narrow_chains_are_left_to_direct_convolution() -> None:
    wide, narrow = torch.zeros(48, 3, 3, 3), torch.zeros(16, 48, 3, 3)
    assert suits(torch.zeros(1, 3, 8, 8), [wide, narrow])
    assert not suits(torch.zeros(1, 3, 8, 8), [narrow, wide])
    assert not suits(torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16), [wide, narrow])
