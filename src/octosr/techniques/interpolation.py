"""Baselines with nothing to learn: nearest, bilinear, bicubic and Lanczos enlargement.

Every table needs them: a technique that does not beat bicubic has not super-resolved anything.

With noise added they are a probe of the metrics: one that calls the noisy copy better cannot be trusted with small
differences.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import torch
from torch import Tensor

from octosr.degradation.random import SampleRandom
from octosr.degradation.resize import resize
from octosr.errors import ConfigError
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.tiling import TilePass, Tiling

if TYPE_CHECKING:
    from typing_extensions import Self

SUPPORT = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos": 3}
"""How far the filters reach in LR pixels."""

Filter = Literal["nearest", "bilinear", "bicubic", "lanczos"]


class Interpolation(SingleImageTechnique):
    """Enlarge with a fixed filter, as Pillow's ``resize`` does (but in float, rounded only on saving).

    Args:
        name: the name the results are filed under, e.g. ``bicubic``.
        filter: ``nearest``, ``bilinear``, ``bicubic`` (cubic convolution, a = -0.5) or ``lanczos`` (a = 3).
        scale: the whole upscaling factor.
        noise: standard deviation, in 8-bit units, of Gaussian noise added to every channel of the result. It is a
            function of the LR image and ``noise_seed`` alone, whatever the batch.
        noise_seed: another seed, other noise.

    Raises:
        ConfigError: an unknown filter, or negative noise.
    """

    trainable: ClassVar[bool] = False

    def __init__(
        self, name: str, filter: Filter = "bicubic", scale: int = 8, noise: float = 0.0, noise_seed: int = 0
    ) -> None:
        super().__init__(name, stages=(scale,))
        if filter not in get_args(Filter):
            raise ConfigError(f"technique.filter must be one of {', '.join(get_args(Filter))}, but got {filter!r}.")
        if noise < 0:
            raise ConfigError(f"technique.noise is a standard deviation and cannot be negative, but is {noise}.")
        self.filter: Filter = filter
        self.noise = float(noise)
        self.random = SampleRandom(noise_seed)

    def at_scale(self, scale: int) -> Self:
        """The same filter for another factor, any from 1 on."""
        if scale < 1:
            raise ConfigError(f"{self.name} enlarges by 1 or more, not by {scale}.")
        other = self._shallow_copy()
        other.stages = (scale,)
        return other

    def tiling(self) -> Tiling | None:
        """Exact, with the filter's support around a tile; None with noise, which depends on the whole image."""
        return None if self.noise else Tiling((TilePass(self.scale, SUPPORT[self.filter]),))

    def super_resolve(self, lr: Tensor) -> Tensor:
        """Enlarge (B, 3, h, w) to (B, 3, scale*h, scale*w)."""
        size = (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale)
        sr = resize(lr, size, filter=self.filter, border="renormalise")
        if not self.noise:
            return sr
        ids = torch.tensor([_image_id(image) for image in lr], dtype=torch.int64, device=lr.device)
        noise = self.random.normal(ids, "noise", sr.shape[1:], dtype=sr.dtype)
        return sr.clamp(0, 1) + noise * (self.noise / 255)


def _image_id(lr: Tensor) -> int:
    """A number for an LR image (3, h, w), from its 8-bit pixels."""
    pixels = (lr.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous().numpy()
    return int.from_bytes(blake2b(pixels.tobytes(), digest_size=8).digest(), "little", signed=True)
