"""The judge of many images against ISE itself."""

from __future__ import annotations

import pytest
import torch

from octosr.nn import amx
from octosr.techniques.moesr.judge import Judge
from octosr.techniques.moesr.sharpness import SharpnessEvaluator

needs_tiles = pytest.mark.skipif(not amx.available(), reason="needs a CPU with AMX")


def maps(features: int, sides: tuple[int, int], coarse: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Those of three images made of each of two, from the judge and from ISE in float64."""
    torch.manual_seed(0)
    evaluator = SharpnessEvaluator(features)
    enlarged, sr = torch.rand(2, 3, *sides), torch.rand(6, 3, *sides)
    with torch.no_grad():
        found = Judge(evaluator, enlarged, coarse)(sr, slice(0, 2))
        one = Judge(evaluator, enlarged, coarse)(sr[3:4], slice(1, 2))
        torch.testing.assert_close(one, found[3:4])
        expected = evaluator.double()(sr.double(), enlarged.double().repeat(3, 1, 1, 1))
    return found, expected


@pytest.mark.parametrize("sides", [(49, 64), (75, 51)])
def test_equals_ise(sides: tuple[int, int]) -> None:
    found, expected = maps(5, sides, coarse=True)  # not a width for tiles
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5 * float(expected.std()))
    exact, expected = maps(32, sides, coarse=False)
    torch.testing.assert_close(exact.double(), expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


@needs_tiles
@pytest.mark.parametrize("sides", [(49, 64), (75, 51), (130, 58), (128, 128)])
def test_in_tiles_to_1e_4_of_the_maps_deviation(sides: tuple[int, int]) -> None:
    found, expected = maps(32, sides, coarse=True)
    error = (found - expected).square().mean().sqrt() / expected.std()
    assert 0 < error < 1e-4


def test_the_evaluator_is_left_as_it_was() -> None:
    evaluator = SharpnessEvaluator(4)
    Judge(evaluator, torch.rand(1, 3, 49, 49))
    assert all(conv.weight.is_contiguous() and conv.weight.requires_grad for conv in evaluator.convs)
