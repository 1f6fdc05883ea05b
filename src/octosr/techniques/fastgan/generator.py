"""FastGAN's generator: one latent, features that double from 4 pixels on, two heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from octosr.techniques.fastgan.layers import Excitation, SpectralConv, UpBlock, batch_norm, gate, pixel_by_pixel

LATENT = 256
_MULTIPLES = {4: 16.0, 8: 8.0, 16: 4.0, 32: 2.0, 64: 2.0, 128: 1.0, 256: 0.5, 512: 0.25, 1024: 0.125}
_NOISY = (8, 32, 128, 512)
_GATED_BY = {64: 4, 128: 8, 256: 16, 512: 32}


def small_side(resolution: int) -> int:
    """Side of the second, small image: 128 pixels, below 256 half of the resolution."""
    return min(128, resolution // 2)


class Generator(nn.Module):
    """Latents to pairs of images.

    Args:
        resolution: side R of the large image: 256, 512 or 1024 as published; 128, 64 and 32 leave out the last blocks,
            and with them the excitations that end there.
        width: channels at 128 pixels; 64 as published.
        latent: length of a latent.
        quirks: no tanh at 256 and 512 pixels, as the public code has it (its author calls that a leftover).
    """

    def __init__(self, resolution: int, width: int = 64, latent: int = LATENT, *, quirks: bool = False) -> None:
        super().__init__()
        channels = {side: max(1, int(multiple * width)) for side, multiple in _MULTIPLES.items()}
        self.resolution, self.latent = resolution, latent
        self.bounded = resolution == 1024 or not quirks
        self.sides = [side for side in _MULTIPLES if 4 < side <= resolution]
        self.start = SpectralConv(latent, 2 * channels[4], 4, transposed=True)
        self.start_norm = batch_norm(2 * channels[4])
        self.up, self.gates = nn.ModuleDict(), nn.ModuleDict()
        for side in self.sides:
            self.up[str(side)] = UpBlock(channels[side // 2], channels[side], noisy=side in _NOISY)
            if side in _GATED_BY:
                self.gates[str(side)] = Excitation(channels[_GATED_BY[side]], channels[side])
        self.to_small = SpectralConv(channels[small_side(resolution)], 3, 1)
        self.to_big = SpectralConv(channels[resolution], 3, 3, padding=1)

    @property
    def noise_sides(self) -> list[int]:
        """Sides of the noise maps that a pass needs, in their order."""
        return [side for side in self.sides if side in _NOISY for _ in range(2)]

    def features(self, z: Tensor, noise: Sequence[Tensor]) -> dict[int, Tensor]:
        """Features of every side, (B, C, side, side), gated where they are."""
        maps = iter(noise)
        x = gate(self.start_norm(pixel_by_pixel(self.start(z[:, :, None, None]))))
        found = {4: x}
        for side in self.sides:
            block = self.up[str(side)]
            x = block(x, (next(maps), next(maps)) if side in _NOISY else None)
            if side in _GATED_BY:
                x = self.gates[str(side)](found[_GATED_BY[side]], x)
            found[side] = x
        return found

    def forward(self, z: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Images about [-1, 1].

        Args:
            z: standard normal, (B, latent).
            noise: standard normal maps, (B, 1, s, s) for each s of :attr:`noise_sides`.

        Returns:
            Large image (B, 3, R, R) and small image (B, 3, s, s), s as :func:`small_side` says.
        """
        found = self.features(z, noise)
        big = self.to_big(found[self.resolution])
        small = self.to_small(found[small_side(self.resolution)])
        return (torch.tanh(big), torch.tanh(small)) if self.bounded else (big, small)
