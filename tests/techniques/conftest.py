"""A training loop without Lightning for techniques that are trained in phases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from octosr.techniques.phased import PhasedTechnique

Batches = Callable[[int], dict[str, Tensor]]


class Loop:
    """What Lightning does in training, and nothing else."""

    world_size = 1
    should_stop = False

    def __init__(self, technique: PhasedTechnique[Any], batches: Batches) -> None:
        self.technique, self.batches = technique, batches
        technique._trainer = self  # type: ignore[assignment]
        technique.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
        optimizer = technique.configure_optimizers()
        assert isinstance(optimizer, torch.optim.Adam)
        self.optimizers = [optimizer]
        self.phases: list[str] = []

    def run(self, first: int, steps: int) -> Loop:
        technique, optimizer = self.technique, self.optimizers[0]
        technique.on_train_start()
        for number in range(first, first + steps):
            if self.should_stop:
                break
            self.phases.append(technique._phase)
            optimizer.zero_grad()
            technique.training_step(self.batches(number)).backward()
            technique.on_before_optimizer_step(optimizer)
            technique.optimizer_step(0, number, optimizer)
            technique.on_train_batch_end(None, None, number)
        return self


@pytest.fixture
def loop_over() -> Callable[[PhasedTechnique[Any], Batches], Loop]:
    """``loop_over(technique, batches)``: its training; ``run`` takes steps, ``phases`` are those of the steps taken."""
    return Loop


@pytest.fixture
def batches(smooth_images: Callable[..., Tensor]) -> Batches:
    """The same two images of 64 pixels in every step, under ids of their own."""
    hr = smooth_images(2, 64, 64)
    return lambda n: {"hr": hr, "sample_id": torch.tensor([2 * n, 2 * n + 1])}
