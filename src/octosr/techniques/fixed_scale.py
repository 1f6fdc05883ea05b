"""Networks that were trained elsewhere for one scale, brought to the scale of the run."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.errors import ConfigError, MissingWeightsError, WrongWeightsError
from octosr.techniques import checks
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.fixed_network import FixedScaleNetwork
from octosr.techniques.links import Link
from octosr.techniques.scale_steps import Pass, Step, ToScale, passes, steps
from octosr.techniques.tiling import UNKNOWN_BLEND, UNKNOWN_HALO, Place, TilePass, Tiling

if TYPE_CHECKING:
    from typing_extensions import Self


RESIZE_REACH = 4
"""Pixels on either side that bicubic resizing looks at: 2, or up to twice as many where it shrinks to half."""


class _Part(NamedTuple):
    """A pass on tiles, and what does it."""

    cut: TilePass
    run: Callable[[Tensor], Tensor]


class FixedScale(SingleImageTechnique):
    """Brings a network of a fixed scale to the scale of the run; between the steps the image is clamped to [0, 1].

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        scale: the whole upscaling factor.
        to_scale: see :func:`octosr.techniques.scale_steps.steps`.
        reach: on how many pixels around a pixel of its input the network's result there depends; tiles of large images
            overlap by it. None: as is known of the network, exactly; where nothing is, tiles see 32 pixels around them
            and are blended, which is not exact.

    Raises:
        ConfigError: an unknown ``to_scale``, or a ``reach`` that is none.
    """

    trainable: ClassVar[bool] = False
    pretrained: ClassVar[bool] = True

    def __init__(self, name: str, scale: int = 8, to_scale: ToScale = "bicubic", reach: int | None = None) -> None:
        super().__init__(name, stages=(scale,))
        checks.choice("to_scale", to_scale, get_args(ToScale))
        if reach is not None and (not isinstance(reach, int) or reach < 0):
            raise ConfigError(f"technique.reach is a number of pixels, or null, but is {reach!r}.")
        self.to_scale: ToScale = to_scale
        self.reach = reach
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
        """A pass a network or a link of one; what is not known is blended. None: it must not be cut."""
        network = self._loaded()
        if not network.tiled:
            return None
        parts = self._parts()
        if not parts:
            return Tiling((TilePass(self.scale, UNKNOWN_HALO, multiple=network.multiple),), UNKNOWN_BLEND, bound=None)
        cuts = tuple(part.cut for part in parts)
        # A network as a whole brings smaller images to the size that it needs, its links do not.
        return Tiling(cuts, least=network.least if any(cut.kept for cut in cuts) else 1)

    @property
    def passes(self) -> list[Pass]:
        """The steps in groups that enlarge by whole factors."""
        return passes(self._loaded().scale, self.scale, self.to_scale)

    def enlarge_tiles(self, number: int, tiles: Tensor, context: Any, places: Sequence[Place]) -> Tensor:
        """One pass on tiles; see :meth:`SingleImageTechnique.enlarge_tiles`."""
        parts = self._parts()
        return parts[number].run(tiles) if parts else self.super_resolve(tiles)

    def _parts(self) -> list[_Part]:
        """The passes on tiles; none: the network's reach is not known."""
        network = self._loaded()
        links = network.links() if self.reach is None else ()
        reach = network.reach if self.reach is None else self.reach
        found: list[_Part] = []
        for one in self.passes:
            networks = sum(step.kind == "network" for step in one.steps)
            if links and networks == 1:
                found += self._linked(one, links)
            elif reach is not None or not networks:
                cut = self._tile_pass(one.scale, one.steps, reach or 0)
                found.append(_Part(cut, partial(self._run, one.steps, scale=one.scale)))
            else:
                return []
        return found

    def _linked(self, one: Pass, links: Sequence[Link]) -> list[_Part]:
        """A pass that begins with the network, link by link; what comes after the network goes with the last."""
        found = [
            _Part(
                TilePass(link.scale, link.halo, kept=link.kept, work=link.work),
                partial(self._run_link, link, first=not number),
            )
            for number, link in enumerate(links[:-1])
        ]
        last = links[-1]

        def end(tiles: Tensor) -> Tensor:
            size = (tiles.shape[-2] * one.scale, tiles.shape[-1] * one.scale)
            return self._walk(one.steps[1:], self._run_link(last, tiles).float(), size)

        cut = replace(self._tile_pass(one.scale, one.steps, last.halo), work=last.work)
        return [*found, _Part(cut, end)]

    def _run_link(self, link: Link, tiles: Tensor, first: bool = False) -> Tensor:
        return self._loaded().run(link.run, tiles.clamp(0, 1) if first else tiles)

    def _tile_pass(self, scale: int, own: Sequence[Step], reach: int) -> TilePass:
        halo, factor = 0.0, 1.0
        for step in own:
            halo += {"network": reach, "area": 0, "resize": RESIZE_REACH}[step.kind] / factor
            factor *= {"network": step.factor, "area": 1 / step.factor, "resize": 1}[step.kind]
        return TilePass(scale, math.ceil(halo), multiple=self._loaded().multiple)

    def _run(self, own: Sequence[Step], images: Tensor, scale: int) -> Tensor:
        return self._walk(own, images, (images.shape[-2] * scale, images.shape[-1] * scale))

    def _walk(self, own: Sequence[Step], images: Tensor, size: tuple[int, int]) -> Tensor:
        """Steps one after the other, to a final size."""
        network = self._loaded()
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
