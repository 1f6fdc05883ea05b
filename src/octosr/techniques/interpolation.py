"""Baselines with nothing to learn: nearest, bilinear, bicubic and Lanczos enlargement.

Every table needs them: a technique that does not beat bicubic has not super-resolved anything.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from torch import Tensor

from octosr.degradation.resize import resize
from octosr.errors import ConfigError
from octosr.techniques.base import SingleImageTechnique

Filter = Literal["nearest", "bilinear", "bicubic", "lanczos"]


class Interpolation(SingleImageTechnique):
    """Enlarge with a fixed filter, as Pillow's ``resize`` does (but in float, rounded only on saving).

    Args:
        name: the name the results are filed under, e.g. ``bicubic``.
        filter: ``nearest``, ``bilinear``, ``bicubic`` (cubic convolution, a = -0.5) or ``lanczos`` (a = 3).
        scale: the whole upscaling factor.

    Raises:
        ConfigError: an unknown filter.
    """

    trainable: ClassVar[bool] = False

    def __init__(self, name: str, filter: Filter = "bicubic", scale: int = 8) -> None:
        super().__init__(name, stages=(scale,))
        if filter not in get_args(Filter):
            raise ConfigError(f"technique.filter must be one of {', '.join(get_args(Filter))}, but got {filter!r}.")
        self.filter: Filter = filter

    def super_resolve(self, lr: Tensor) -> Tensor:
        """Enlarge (B, 3, h, w) to (B, 3, scale*h, scale*w)."""
        size = (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale)
        return resize(lr, size, filter=self.filter, border="renormalise")
