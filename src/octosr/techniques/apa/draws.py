"""Every random number of a training step, as a function of seed, image and purpose.

So a resumed run draws what an uninterrupted one would, and several processes, or one that does its images in parts,
what one process would that does all at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from octosr.degradation.random import SampleRandom


class Draws:
    """Random numbers of the images of one micro-batch in one phase.

    Args:
        random: of the run.
        ids: of the images, int64 (N,).
        phase: its name; phases draw different numbers.
        dtype: of what is drawn.
    """

    def __init__(self, random: SampleRandom, ids: Tensor, phase: str, dtype: torch.dtype) -> None:
        self.random, self.ids, self.phase, self.dtype = random, ids, phase, dtype

    def latents(self, length: int, purpose: str = "z") -> Tensor:
        """Standard normal, (N, length)."""
        return self.random.normal(self.ids, f"{self.phase}/{purpose}", (length,)).to(self.dtype)

    def chance(self) -> Tensor:
        """Uniform in [0, 1), (N,) float64."""
        return self.random.uniform(self.ids, f"{self.phase}/chance")

    def maps(self, shape: Sequence[int], purpose: str) -> Tensor:
        """Standard normal, (N, *shape): many numbers, so Box and Muller's formula in 32-bit floats.

        Of their 24 random bits follow values of up to 5.8 standard deviations.
        """
        half = (math.prod(shape) + 1) // 2
        u = self.random.uniform(self.ids, f"{self.phase}/{purpose}", (2 * half,), dtype=torch.float32)
        radius = torch.log1p(-u[:, :half]).mul_(-2).sqrt_()
        angle = u[:, half:] * (2 * math.pi)
        both = torch.cat((radius * angle.cos(), angle.sin_().mul_(radius)), 1)
        return both[:, : math.prod(shape)].reshape(len(self.ids), *shape).to(self.dtype)


def style_cut(random: SampleRandom, images: int, phase: str, layers: int, probability: float) -> int:
    """Where style mixing changes over to a second latent: a layer from 1, or ``layers`` where there is no mixing.

    One for the whole batch, as published, whatever its division.

    Args:
        random: of the run.
        images: shown so far, by which steps differ.
        phase: its name.
        layers: w of an image.
        probability: of mixing.
    """
    step = torch.tensor([images], dtype=torch.int64)
    mixed, where = random.uniform(step, f"{phase}/mix", (2,))[0].tolist()
    return 1 + int(where * (layers - 1)) if mixed < probability else layers
