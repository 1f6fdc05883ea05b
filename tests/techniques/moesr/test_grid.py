"""The grid of kernels: numbers, order, symmetry, and the choice of the nearest."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from octosr.degradation.aligned import aligned_kernels, covariances
from octosr.techniques.moesr.grid import (
    BASE_LAMBDAS,
    EXPERTS,
    KERNEL_SIZES,
    MIDDLE,
    THETAS,
    ExpertGrid,
    canonical,
    variance_factor,
)
from octosr.techniques.moesr.symmetry import ROTATE, turn


def test_variances_are_the_centres_of_even_bins_of_standard_deviation() -> None:
    edges = np.linspace(math.sqrt(0.6), math.sqrt(5), 6)
    np.testing.assert_allclose(((edges[1:] + edges[:-1]) / 2) ** 2, BASE_LAMBDAS, atol=0.006)
    assert [variance_factor(s) for s in (2, 4, 8)] == [1, 5, 21]
    assert ExpertGrid(4).lambdas == (4.25, 7.35, 11.35, 16.15, 21.85)
    assert ExpertGrid(8).range == pytest.approx((12.6, 105))


def test_25_networks_serve_85_settings_in_the_published_order() -> None:
    grid = ExpertGrid(2)
    assert len(EXPERTS) == 25
    expected = []
    for first in BASE_LAMBDAS:
        for second in BASE_LAMBDAS:
            if second < first:
                expected += [(first, second, theta) for theta in THETAS]
            elif second == first:
                expected.append((first, second, 0.0))
    assert [(s.lambda_1, s.lambda_2, s.theta) for s in grid.settings] == expected
    assert len(expected) == 85
    assert sorted(set(grid.experts.tolist())) == list(range(25))
    # every network of a direction serves four angles, every round one itself alone
    assert sorted(np.bincount(grid.experts).tolist()) == [1] * 5 + [4] * 20
    assert grid.expert_parameters[MIDDLE].tolist() == [2.27, 2.27, 0.0]


@pytest.mark.parametrize("scale", [2, 4])
def test_turning_the_image_turns_the_blur_to_the_network_s(scale: int) -> None:
    """The kernel of a setting, turned as the image is, is the kernel of the network that serves it."""
    grid = ExpertGrid(scale)
    # without the shift of the mean a kernel turns about its centre
    covariance = covariances(grid.parameters)
    axes = {0: ((1, 0), (0, 1)), 1: ((0, 1), (1, 0)), 2: ((0, 1), (-1, 0)), 3: ((-1, 0), (0, 1))}
    for setting, matrix in zip(grid.settings, covariance, strict=True):
        t = torch.tensor(axes[setting.symmetry], dtype=torch.float64)
        served = covariances(grid.expert_parameters[setting.expert][None])[0]
        assert torch.allclose(t @ matrix @ t.T, served, atol=1e-9), setting


def test_turned_pixels_agree_with_turned_coordinates() -> None:
    """What the table calls a turn is what turns an image: on a picture of a slanted blur."""
    grid = ExpertGrid(2)
    size = KERNEL_SIZES[2]
    for setting in grid.settings:
        here, there = (
            aligned_kernels(torch.tensor([p], dtype=torch.float64), 25, 2)[0]
            for p in (
                (setting.lambda_1, setting.lambda_2, setting.theta),
                grid.expert_parameters[setting.expert].tolist(),
            )
        )
        # the mean lies half a pixel off the centre, so compare 24 x 24 pixels around it
        here, there = here[1:, 1:], there[1:, 1:]
        assert torch.allclose(turn(here, setting.symmetry), there, atol=1e-6), setting
    assert size == 13


def test_names_are_the_published_ones() -> None:
    names = {ExpertGrid(2).key(e) for e in range(25)}
    assert {"U_0.85_0.85_0.00", "U_1.47_0.85_0.20", "U_4.37_3.23_0.59"} <= names
    assert len(names) == 25
    assert "U_21.85_4.25_0.59" in {ExpertGrid(4).key(e) for e in range(25)}


def test_the_nearest_of_every_setting_is_itself() -> None:
    for scale in (2, 4, 8):
        grid = ExpertGrid(scale)
        assert grid.nearest(grid.parameters).tolist() == list(range(85))
        assert grid.nearest(grid.parameters, official_quirks=True).tolist() == list(range(85))


def test_angles_wrap_and_variances_are_ordered_unless_as_published() -> None:
    grid = ExpertGrid(2)
    just_below_pi = torch.tensor([[4.37, 0.85, math.pi * 31.5 / 32], [4.37, 0.85, math.pi * 1.05]])
    places = grid.nearest(just_below_pi)
    assert [grid.settings[n].theta for n in places] == pytest.approx([15 * math.pi / 16, math.pi / 16])
    assert grid.settings[grid.nearest(just_below_pi, True)[1]].theta == pytest.approx(15 * math.pi / 16)
    swapped = torch.tensor([[0.9, 4.3, 0.2]])
    chosen = grid.settings[grid.nearest(swapped)[0]]
    assert (chosen.lambda_1, chosen.lambda_2) == (4.37, 0.85)
    assert chosen.theta == pytest.approx(9 * math.pi / 16)
    chosen = grid.settings[grid.nearest(swapped, True)[0]]
    assert (chosen.lambda_1, chosen.lambda_2, chosen.theta) == (4.37, 4.37, 0.0)


def test_public_choice_turns_round_networks_too() -> None:
    grid = ExpertGrid(2)
    round_one = torch.tensor([[2.2, 2.3, 9 * math.pi / 16]])
    assert grid.choose(round_one, True) == (torch.tensor([MIDDLE]), torch.tensor([ROTATE]))
    assert grid.choose(round_one) == (torch.tensor([MIDDLE]), torch.tensor([0]))


def test_canonical_kernels_are_the_same_kernels() -> None:
    given = torch.tensor([[1.0, 4.0, 2.9], [4.0, 1.0, -0.4], [2.0, 2.0, 7.0]], dtype=torch.float64)
    found = canonical(given)
    assert torch.allclose(covariances(found), covariances(given))
    assert (found[:, 0] >= found[:, 1]).all()
    assert ((found[:, 2] >= 0) & (found[:, 2] < math.pi)).all()
