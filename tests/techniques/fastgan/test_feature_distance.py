"""LPIPS's comparison of feature maps, some pixels at a time and plainly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from octosr.techniques.fastgan import feature_distance as module
from octosr.techniques.fastgan.feature_distance import feature_distance


def plain(maps: Tensor, targets: Tensor, places: list[int], head: Tensor) -> Tensor:
    """As the paper has it, pixel by pixel."""
    x, y = (t / (t.square().sum(1, keepdim=True).sqrt() + 1e-10) for t in (maps, targets))
    return torch.stack([(head[:, None, None] * (x[n] - y[m]) ** 2).sum(0).mean() for n, m in enumerate(places)])


@pytest.mark.parametrize("at_once", [1, 40, 2**15])  # a pixel, some, an image
def test_equals_the_plain_form_with_its_gradient(monkeypatch: pytest.MonkeyPatch, threads: int, at_once: int) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    torch.manual_seed(0)
    maps, targets = (torch.randn(n, 7, 6, 5, dtype=torch.float64) for n in (3, 2))
    head, places, weights = torch.rand(7, dtype=torch.float64), [0, 0, 1], torch.rand(3, dtype=torch.float64)
    for layout in (torch.channels_last, torch.contiguous_format):  # our way, and PyTorch's operations
        x = maps.to(memory_format=layout).requires_grad_()
        found, expected = feature_distance(x, targets, places, head), plain(x, targets, places, head)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        gradients = [torch.autograd.grad((weights * d).sum(), x)[0] for d in (found, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


def test_a_pixel_without_features_gives_a_finite_gradient() -> None:
    maps = torch.zeros(1, 4, 2, 2, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    targets = torch.ones(1, 4, 2, 2, dtype=torch.float64)
    distance = feature_distance(maps, targets, [0], torch.ones(4, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(distance.sum(), maps)
    torch.testing.assert_close(distance, torch.ones(1, dtype=torch.float64), check_dtype=True)
    assert gradient.isfinite().all()
