"""A network of one scale as :class:`~octosr.techniques.fixed_scale.FixedScale` runs it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from octosr.errors import ConfigError
from octosr.techniques.links import Link


class FixedScaleNetwork(nn.Module):
    """A network as :class:`~octosr.techniques.fixed_scale.FixedScale` runs it.

    Attributes:
        scale: by which it enlarges.
        reach: on how many pixels around a pixel of its input the result there depends; None: not known, or all, or
            :meth:`links` make it of no interest.
        multiple: the sides of its input that it needs no padding for are multiples of this.
        least: sides from which on it needs no padding either; smaller images are not cut.
        tiled: whether its input may be cut into tiles at all.
        half_precisions: the half precisions in which it gives usable images.
        facts: what there is to say of it, for the record of a run.
    """

    scale: int
    reach: int | None = None
    multiple: int = 1
    least: int = 1
    tiled: bool = True
    half_precisions: frozenset[torch.dtype] = frozenset({torch.float16, torch.bfloat16})
    facts: Mapping[str, Any] = {}

    @abstractmethod
    def enlarge(self, images: Tensor) -> Tensor:
        """RGB in [0, 1], (B, 3, h, w) of the network's dtype -> (B, 3, scale*h, scale*w)."""

    def links(self) -> Sequence[Link]:
        """The network as a chain of parts, for images that are cut into tiles; none: it is not known as one."""
        return ()

    def forward(self, images: Tensor) -> Tensor:
        """:meth:`enlarge`; see :meth:`run`."""
        return self.run(self.enlarge, images).float()

    def run(self, part: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """The network or a part of it, in half precision only where the network allows it.

        Raises:
            ConfigError: the weights themselves were made half, and the network does not allow it.
        """
        own = next(self.parameters()).dtype
        if own in (torch.float16, torch.bfloat16) and own not in self.half_precisions:
            raise ConfigError(f"This network gives no usable images in {own}: set trainer.precision=32-true.")
        kind = images.device.type
        mixed = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) in self.half_precisions
        with torch.autocast(kind, dtype=torch.get_autocast_dtype(kind), enabled=mixed):
            return part(images.to(own))
