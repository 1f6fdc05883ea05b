"""Samples of a technique in the middle of its training, which must not notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from octosr.data.encode import to_uint8
from octosr.techniques.base import GenerativeTechnique


@torch.no_grad()
def samples(trainer: pl.Trainer, technique: GenerativeTechnique, count: int, batch: int = 4) -> Tensor:
    """The images of seeds 0 .. count - 1, uint8 (count, 3, R, R) on the technique's device.

    In evaluation mode, in the run's precision, and with the random state put back: a run with this callback equals one
    without it.

    Args:
        trainer: knows the precision.
        technique: makes the images.
        count: how many.
        batch: images made at a time.
    """
    devices = [technique.device] if technique.device.type == "cuda" else []
    precision = trainer.precision_plugin.forward_context()
    seeds = torch.arange(count, dtype=torch.int64, device=technique.device)
    with torch.random.fork_rng(devices=devices), evaluating(technique), precision:
        return torch.cat([to_uint8(technique.generate(part)) for part in seeds.split(batch)])


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards each submodule in the mode that it was in."""
    before = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training
