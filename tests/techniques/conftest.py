"""What the tests of several techniques share: a folder of images, and a training loop without Lightning for phases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
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


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 small images: a coloured gradient each."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 32)
    for number in range(12):
        colour, slope = rng.uniform(60, 200, 3), rng.uniform(-60, 60, 3)
        pixels = colour + slope * (ramp[:, None, None] if number % 2 else ramp[None, :, None]) * np.ones((32, 32, 1))
        Image.fromarray(pixels.round().astype(np.uint8)).save(folder / f"im{number:02d}.png")
    return folder
