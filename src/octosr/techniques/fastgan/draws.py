"""The random numbers of training and sampling, each a function of seed, image and purpose."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from octosr.degradation.random import SampleRandom


def noise_maps(
    random: SampleRandom, ids: Tensor, sides: Sequence[int], purpose: str, dtype: torch.dtype
) -> list[Tensor]:
    """Standard normal maps for the generator, by Box and Muller's formula in 32-bit floats.

    Args:
        random: of the run.
        ids: of the images, int64 (N,).
        sides: of the maps.
        purpose: maps for different purposes are unrelated.
        dtype: of the maps.

    Returns:
        A map (N, 1, s, s) for each side s. Values reach 5.8 standard deviations.
    """
    maps = []
    for number, side in enumerate(sides):
        half = side * side // 2
        u = random.uniform(ids, f"{purpose}/{number}", (2, half), dtype=torch.float32)
        radius, angle = torch.log1p(-u[:, 0]).mul_(-2).sqrt_(), u[:, 1] * (2 * math.pi)
        both = torch.cat((radius * angle.cos(), radius * angle.sin()), 1)
        maps.append(both.view(len(ids), 1, side, side).to(dtype))
    return maps


def quadrant(random: SampleRandom, images: int) -> int:
    """Which quarter of the images is reconstructed in this step, 0 to 3: one for all, as published.

    Args:
        random: of the run.
        images: shown so far, by which steps differ.
    """
    return int(random.uniform(torch.tensor([images]), "quadrant") * 4)
