"""Networks that were trained elsewhere for one scale, brought to the scale of the run."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.errors import ConfigError, MissingWeightsError, WrongWeightsError
from octosr.techniques import checks
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.scale_steps import Pass, Step, ToScale, passes, steps
from octosr.techniques.tiling import UNKNOWN_BLEND, UNKNOWN_HALO, Place, TilePass, Tiling

if TYPE_CHECKING:
    from typing_extensions import Self


Reach: TypeAlias = int | Literal["exact"] | None
CHEAP = 64
"""A reach, in pixels, with which tiles of usual sizes are still mostly their own."""
RESIZE_REACH = 4
"""Pixels on either side that bicubic resizing looks at: 2, or up to twice as many where it shrinks to half."""


class FixedScaleNetwork(nn.Module):
    """A network as :class:`FixedScale` runs it.

    Attributes:
        scale: by which it enlarges.
        reach: on how many pixels around a pixel of its input the result there depends; None: not known, or all.
        multiple: the sides of its input that it needs no padding for are multiples of this.
        tiled: whether its input may be cut into tiles at all.
        half_precisions: the half precisions in which it gives usable images.
        facts: what there is to say of it, for the record of a run.
    """

    scale: int
    reach: int | None = None
    multiple: int = 1
    tiled: bool = True
    half_precisions: frozenset[torch.dtype] = frozenset({torch.float16, torch.bfloat16})
    facts: Mapping[str, Any] = {}

    @abstractmethod
    def enlarge(self, images: Tensor) -> Tensor:
        """RGB in [0, 1], (B, 3, h, w) of the network's dtype -> (B, 3, scale*h, scale*w)."""

    def forward(self, images: Tensor) -> Tensor:
        """:meth:`enlarge`, in half precision only where the network allows it.

        Raises:
            ConfigError: the weights themselves were made half, and the network does not allow it.
        """
        own = next(self.parameters()).dtype
        if own in (torch.float16, torch.bfloat16) and own not in self.half_precisions:
            raise ConfigError(f"This network gives no usable images in {own}: set trainer.precision=32-true.")
        kind = images.device.type
        mixed = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) in self.half_precisions
        with torch.autocast(kind, dtype=torch.get_autocast_dtype(kind), enabled=mixed):
            return self.enlarge(images.to(own)).float()


class FixedScale(SingleImageTechnique):
    """Brings a network of a fixed scale to the scale of the run; between the steps the image is clamped to [0, 1].

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        scale: the whole upscaling factor.
        to_scale: see :func:`octosr.techniques.scale_steps.steps`.
        reach: on how many pixels around a pixel of its input the network's result there depends. Large images are cut
            into tiles that overlap by it, exactly, but at a price where it is large. ``exact``: as computed from the
            network's layers, where that is known here; None: the same if it is at most :data:`CHEAP`, otherwise tiles
            see 32 pixels around them and are blended, which is not exact.

    Raises:
        ConfigError: an unknown ``to_scale``, or a ``reach`` that is none.
    """

    trainable: ClassVar[bool] = False
    pretrained: ClassVar[bool] = True

    def __init__(self, name: str, scale: int = 8, to_scale: ToScale = "bicubic", reach: Reach = None) -> None:
        super().__init__(name, stages=(scale,))
        checks.choice("to_scale", to_scale, get_args(ToScale))
        if reach is not None and reach != "exact" and (not isinstance(reach, int) or reach < 0):
            raise ConfigError(f"technique.reach is a number of pixels, exact or null, but is {reach!r}.")
        self.to_scale: ToScale = to_scale
        self.reach: Reach = reach
        self.network: FixedScaleNetwork | None = None

    @abstractmethod
    def read_network(self, paths: Sequence[Path]) -> FixedScaleNetwork:
        """The network that weight files hold.

        Raises:
            WrongWeightsError: they do not fit; the message says what was expected and found.
        """

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Read the network; returns one line that says which it is and what it does to reach the scale.

        Raises:
            WrongWeightsError: the files do not fit, or the network does not enlarge.
        """
        network = self.read_network(paths)
        files = ", ".join(str(path) for path in paths)
        if network.scale < 2:
            raise WrongWeightsError(
                f"{files} restores images at their own size (x{network.scale}): it enlarges nothing."
            )
        self.network = network.eval().requires_grad_(False)
        known = ("network", "architecture", "size", "licence")
        what = ", ".join(str(network.facts[key]) for key in known if network.facts.get(key))
        way = " -> ".join(step.kind + (f" x{step.factor}" if step.kind == "network" else "") for step in self.steps)
        return f"weights {files} ({what}); x{self.scale} by {way}"

    @property
    def steps(self) -> list[Step]:
        """The steps from the LR image to the scale."""
        return steps(self._loaded().scale, self.scale, self.to_scale)

    def described(self) -> dict[str, Any]:
        """The network's facts and the steps, for the record of a run."""
        return {**self._loaded().facts, "steps": [list(step) for step in self.steps]}

    def networks(self) -> list[nn.Module]:
        """The network itself, without what stands around it."""
        return [] if self.network is None else list(self.network.children())

    def super_resolve(self, lr: Tensor) -> Tensor:
        """Enlarge (B, 3, h, w) to (B, 3, scale*h, scale*w).

        Raises:
            MissingWeightsError: none were loaded.
        """
        return self._run(self.steps, lr, self.scale)

    def at_scale(self, scale: int) -> Self:
        """The same network for another factor, any from 2 on."""
        if scale < 2:
            raise ConfigError(f"{self.name} enlarges by 2 or more, not by {scale}.")
        other = self._shallow_copy()
        other.stages = (scale,)
        return other

    def tiling(self) -> Tiling | None:
        """One pass a network, with its reach; networks of unknown reach are blended. None: it must not be cut."""
        network = self._loaded()
        if not network.tiled:
            return None
        reach = self._reach()
        if reach is None:
            return Tiling((TilePass(self.scale, UNKNOWN_HALO, multiple=network.multiple),), UNKNOWN_BLEND, bound=None)
        own = self.passes
        return Tiling(tuple(self._tile_pass(one, reach) for one in own))

    def _reach(self) -> int | None:
        """The reach that tiles overlap by; None: they are blended."""
        known = self._loaded().reach
        if isinstance(self.reach, int):
            return self.reach
        if self.reach == "exact" and known is None:
            raise ConfigError(
                f"The reach of {self.name}'s network is not known: give it in pixels, or technique.reach=null."
            )
        return known if known is not None and (self.reach == "exact" or known <= CHEAP) else None

    @property
    def passes(self) -> list[Pass]:
        """The steps in groups that enlarge by whole factors."""
        return passes(self._loaded().scale, self.scale, self.to_scale)

    def _tile_pass(self, one: Pass, reach: int) -> TilePass:
        halo, factor = 0.0, 1.0
        for step in one.steps:
            halo += {"network": reach, "area": 0, "resize": RESIZE_REACH}[step.kind] / factor
            factor *= {"network": step.factor, "area": 1 / step.factor, "resize": 1}[step.kind]
        return TilePass(one.scale, math.ceil(halo), multiple=self._loaded().multiple)

    def enlarge_tiles(self, number: int, tiles: Tensor, context: Any, places: Sequence[Place]) -> Tensor:
        """One pass on tiles; see :meth:`SingleImageTechnique.enlarge_tiles`."""
        if self._reach() is None:
            return self.super_resolve(tiles)
        one = self.passes[number]
        return self._run(one.steps, tiles, one.scale)

    def _run(self, own: Sequence[Step], images: Tensor, scale: int) -> Tensor:
        network = self._loaded()
        size = (images.shape[-2] * scale, images.shape[-1] * scale)
        for step in own:
            images = images.clamp(0, 1)
            if step.kind == "network":
                images = network(images)
            elif step.kind == "area":
                images = F.avg_pool2d(images, step.factor)
            else:
                images = resize(images, size)
        return images

    def _loaded(self) -> FixedScaleNetwork:
        if self.network is None:
            raise MissingWeightsError(
                f"technique={self.name} has no network before its weights are loaded: weights=..."
            )
        return self.network
