"""How far a training is, in the unit its technique is measured in: steps, or thousands of images shown (kimg)."""

from __future__ import annotations

import math

import pytorch_lightning as pl

from octosr.techniques.base import GenerativeTechnique


def kimg_of(module: pl.LightningModule) -> float | None:
    """Thousands of images shown so far; None for techniques that count steps."""
    return module.kimg if isinstance(module, GenerativeTechnique) else None


def position(trainer: pl.Trainer) -> str:
    """Where training is, for a message: ``step 12``, or ``2.4 kimg`` for a generative technique."""
    kimg = kimg_of(trainer.lightning_module)
    return f"step {trainer.global_step}" if kimg is None else f"{kimg:g} kimg"


class KimgInterval:
    """Says when another so many thousand images have been shown.

    Args:
        every: thousands of images; 0: never.

    >>> interval = KimgInterval(0.5)
    >>> interval.start(0.4)
    >>> [interval.due(kimg) for kimg in (0.45, 0.51, 0.9, 1.7)]
    [False, True, False, True]
    """

    def __init__(self, every: float) -> None:
        self.every = every
        self._passed = 0

    def start(self, kimg: float) -> None:
        """Count from here."""
        self._passed = self._count(kimg)

    def due(self, kimg: float) -> bool:
        """Whether a multiple of the interval was passed since the last time that this was true."""
        count = self._count(kimg)
        passed, self._passed = count > self._passed, count
        return passed

    def _count(self, kimg: float) -> int:
        return math.floor(kimg / self.every + 1e-9) if self.every > 0 else 0
