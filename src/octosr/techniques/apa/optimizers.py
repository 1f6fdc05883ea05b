"""How the networks move: Adam with regularisers of their own steps, and the generator's moving average."""

from __future__ import annotations

import torch
from torch import nn

BETAS = (0.0, 0.99)
"""Adam's decays, before they are corrected."""


def average_decay(batch: int, shown: int, half_life_kimg: float, rampup: float | None) -> float:
    """Decay of the generator's moving average for one iteration.

    Args:
        batch: images an iteration.
        shown: images shown before it.
        half_life_kimg: in thousands of images.
        rampup: see :class:`~octosr.techniques.apa.presets.Preset`.

    >>> average_decay(1000, 0, 1.0, None)
    0.5
    >>> average_decay(1000, 0, 1.0, 0.05)
    0.0
    """
    half_life = 1000 * half_life_kimg
    if rampup is not None:
        half_life = min(half_life, shown * rampup)
    return float(0.5 ** (batch / max(half_life, 1e-8)))


def corrected(learning_rate: float, interval: int) -> tuple[float, tuple[float, float]]:
    """Learning rate and decays of Adam where a regulariser takes a step of its own every ``interval`` iterations.

    Karras et al., CVPR 2020, section 3.1 "lazy regularization": with c = k / (k + 1), lr * c and beta^c.

    >>> rate, betas = corrected(0.002, 4)
    >>> round(rate, 6), round(betas[1], 6)
    (0.0016, 0.991992)
    """
    part = interval / (interval + 1)
    return learning_rate * part, (BETAS[0] ** part, BETAS[1] ** part)


def lazy_adam(network: nn.Module, learning_rate: float, interval: int) -> torch.optim.Optimizer:
    """Adam for all parameters of a network, which are set to be trained; see :func:`corrected`."""
    rate, betas = corrected(learning_rate, interval)
    network.requires_grad_(True)
    return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=1e-8, fused=True)
