"""Gradients that several passes and processes add up."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from octosr.techniques import gradients
from octosr.techniques.gradients import GradientSums


def parts(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Gradients of very different sizes, whose sum in 32 bits depends on the order."""
    torch.manual_seed(0)
    sizes = 10 ** torch.linspace(-4, 0, 5).double()
    return [(torch.randn(1000).double() * size).to(dtype) for size in sizes]


def mean(gradients: list[Tensor], processes: int = 1) -> Tensor:
    weight, sums = nn.Parameter(torch.zeros(1000, dtype=gradients[0].dtype)), GradientSums()
    for gradient in gradients:
        weight.grad = gradient.clone()
        sums.add([weight])
        assert weight.grad is None
    sums.give([weight], processes)
    assert weight.grad is not None
    return weight.grad


def test_the_order_of_the_passes_does_not_matter() -> None:
    plain = {tuple(sum(order[1:], order[0]).tolist()) for order in itertools.permutations(parts())}
    assert len(plain) > 1, "or there is nothing to show"
    exact = sum(part.double() for part in parts())
    for order in itertools.permutations(parts()):
        assert torch.equal(mean(list(order)), exact.float())  # type: ignore[union-attr]


def test_processes_give_what_one_gives_with_as_many_micro_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes of two passes each, their losses twice as large since each has half of the images."""
    passes = parts()[:4]
    theirs = sum(part.double() * 2 for part in passes[2:])

    def reduce(flat: Tensor) -> None:
        assert flat.dtype == torch.float64
        flat += theirs

    monkeypatch.setattr(gradients.torch.distributed, "all_reduce", reduce)
    ours = mean([part * 2 for part in passes[:2]], processes=2)
    assert torch.equal(ours, mean(passes))


def test_each_parameter_gets_its_own_and_nothing_is_left_over() -> None:
    first, idle = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    second = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    sums = GradientSums()
    for factor in (1.0, 2.0):
        first.grad, second.grad = torch.ones(2) * factor, torch.ones(3, dtype=torch.float64) * -factor
        sums.add([first, idle, second])
    sums.give([idle, first], processes=1)
    assert idle.grad is None
    assert first.grad is not None
    assert first.grad.dtype == torch.float32
    assert first.grad.tolist() == [3, 3]
    first.grad = None
    sums.give([first], processes=1)
    assert first.grad is None, "given once"
