"""Recorded passes on a GPU: what the plain ones compute, with weights that change between."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from octosr.nn.graphs import RecordedPasses

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1)).cuda()


def train(module: nn.Module, passes: Callable[[Tensor], tuple[Tensor, ...]], mixed: bool) -> list[float]:
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    generator, losses = torch.Generator().manual_seed(1), []
    for step in range(6):
        side = 16 if step % 3 else 24
        batch = torch.rand(2, 3, side, side, generator=generator).cuda()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            image, mean = passes(batch)
            loss = (image.float() - batch).abs().mean() + mean.float().square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("mixed", [False, True])
def test_training_is_that_of_plain_passes(mixed: bool) -> None:
    plain = network()
    recorded = copy.deepcopy(plain)

    def passes_of(module: nn.Module) -> Callable[[Tensor], tuple[Tensor, ...]]:
        def passes(batch: Tensor) -> tuple[Tensor, ...]:
            image = module(batch)
            return image, image.mean((2, 3))

        return passes

    expected = train(plain, passes_of(plain), mixed)
    found = train(recorded, RecordedPasses(recorded, passes_of(recorded)), mixed)
    assert found == pytest.approx(expected, rel=2e-2 if mixed else 1e-4)
    assert expected[-1] < expected[0]
    for one, other in zip(recorded.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-2 if mixed else 1e-4)
