"""Networks that were trained elsewhere for one scale, brought to the scale of the run.

The study enlarges 8 times; nearly every public network 2 or 4 times. A network of x2 is applied three times. One of x4
has to overshoot or to stop short, and ``to_scale`` says how.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.degradation.resize import resize
from octosr.errors import ConfigError, MissingWeightsError, WrongWeightsError
from octosr.techniques import checks
from octosr.techniques.base import SingleImageTechnique

ToScale = Literal["between", "after", "bicubic"]


class Step(NamedTuple):
    """One of the steps to a scale: the ``network``, shrinking by ``area``, or resizing to the final size."""

    kind: Literal["network", "area", "resize"]
    factor: int = 1


def steps(own: int, scale: int, to_scale: ToScale = "between") -> list[Step]:
    """How a network of one scale enlarges by another.

    Args:
        own: the network's scale, at least 2.
        scale: the whole scale.
        to_scale: where powers of ``own`` miss ``scale``: ``between`` shrinks the image before the last pass so that
            this ends at the scale; ``after`` shrinks the result of the last pass; ``bicubic`` leaves that pass out and
            enlarges by interpolation.

    Returns:
        The steps. Shrinking is by the mean over areas where the factor is whole, bicubic with antialiasing otherwise.

    >>> [step.kind for step in steps(2, 8)]
    ['network', 'network', 'network']
    >>> [tuple(step) for step in steps(4, 8)]
    [('network', 4), ('area', 2), ('network', 4)]
    >>> [step.kind for step in steps(4, 8, "bicubic")], [step.kind for step in steps(3, 8)]
    (['network', 'resize'], ['network', 'network', 'resize'])
    """
    passes = 1
    while own**passes < scale:
        passes += 1
    network, excess = Step("network", own), own**passes
    if excess == scale:
        return [network] * passes
    if to_scale == "bicubic" and passes > 1:
        return [*[network] * (passes - 1), Step("resize")]
    if excess % scale:
        return [*[network] * passes, Step("resize")]
    area = Step("area", excess // scale)
    if to_scale == "between" and passes > 1:
        return [*[network] * (passes - 1), area, network]
    return [*[network] * passes, area]


class FixedScaleNetwork(nn.Module):
    """A network as :class:`FixedScale` runs it.

    Attributes:
        scale: by which it enlarges.
        half_precisions: the half precisions in which it gives usable images.
        facts: what there is to say of it, for the record of a run.
    """

    scale: int
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
        to_scale: see :func:`steps`.

    Raises:
        ConfigError: an unknown ``to_scale``.
    """

    trainable: ClassVar[bool] = False
    pretrained: ClassVar[bool] = True

    def __init__(self, name: str, scale: int = 8, to_scale: ToScale = "between") -> None:
        super().__init__(name, stages=(scale,))
        checks.choice("to_scale", to_scale, get_args(ToScale))
        self.to_scale: ToScale = to_scale
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
        what = ", ".join(str(value) for value in network.facts.values())
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
        network, images = self._loaded(), lr
        for step in self.steps:
            images = images.clamp(0, 1)
            if step.kind == "network":
                images = network(images)
            elif step.kind == "area":
                images = F.avg_pool2d(images, step.factor)
            else:
                images = resize(images, (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale))
        return images

    def _loaded(self) -> FixedScaleNetwork:
        if self.network is None:
            raise MissingWeightsError(
                f"technique={self.name} has no network before its weights are loaded: weights=..."
            )
        return self.network
