"""The mapping network: from normal latents z to latents w, in which the synthesis network finds its styles."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from octosr.techniques.apa.layers import EqualLinear

LATENT = 512
"""Length of z and w."""
RATE = 0.01
"""Factor on the mapping network's learning rate."""
AVERAGE_DECAY = 0.995
"""Of the moving average of w."""


class Mapping(nn.Module):
    """Normalised z through fully connected layers to w.

    Args:
        layers: how many.
        latent: length of z and w.

    Attributes:
        w_average: moving average of w over training, (latent,): the centre that truncation pulls to.
    """

    w_average: Tensor

    def __init__(self, layers: int, latent: int = LATENT) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(latent, latent, activate=True, rate=RATE) for _ in range(layers))
        self.register_buffer("w_average", torch.zeros(latent))

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) -> (N, latent)."""
        w = z.to(self.w_average.dtype)
        w = w * (w.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            w = layer(w)
        return w

    @torch.no_grad()
    def track(self, mean: Tensor) -> None:
        """Move the average of w towards the mean (latent,) of a batch."""
        self.w_average.lerp_(mean.to(self.w_average.dtype), 1 - AVERAGE_DECAY)

    def truncate(self, w: Tensor, psi: float) -> Tensor:
        """Pull w towards the average: 1 leaves it, 0 gives the average; less variety, fewer failures."""
        return w if psi == 1 else torch.lerp(self.w_average, w, psi)
