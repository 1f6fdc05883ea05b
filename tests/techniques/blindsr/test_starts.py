"""The starts: each kernel once, and the published grid."""

from __future__ import annotations

import pytest
import torch

from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.starts import distinct, published_grid, start_grid


def test_starts_are_different_kernels_of_the_space():
    space = KernelSpace.standard(2)
    starts = start_grid(space, 6, 8)
    assert len(starts) == 6 + 15 * 8
    assert len(distinct(space, starts)) == len(starts)
    assert (starts[:, 0] >= starts[:, 1]).all()
    assert starts[:, :2].min() > space.sigma_min
    assert starts[:, :2].max() < space.sigma_max
    assert (space.canonical(starts) - starts).abs().max() < 1e-9


def test_published_starts_are_144_of_which_106_differ_and_24_are_one_pixel():
    space = KernelSpace.published()
    starts = published_grid(space)
    assert starts.shape == (144, 3)
    assert starts[1].tolist() == pytest.approx([0.001, 0.001, torch.pi / 8])
    assert starts[-1].tolist() == pytest.approx([0.001 + 4 / 6 * 5] * 2 + [torch.pi * 3 / 8])
    kernels = space.kernels(starts.double())
    assert int((kernels.amax((1, 2)) > 1 - 1e-9).sum()) == 24
    first = distinct(space, starts)
    assert len(first) == 106
    # every kernel that is left out equals one before it
    apart = (kernels[:, None] - kernels[first]).abs().amax((2, 3))
    assert (apart.min(1).values < 1e-9).all()
    assert (first[apart.argmin(1)] <= torch.arange(144)).all()
