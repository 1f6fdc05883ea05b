"""MANIQA as a metric (Yang et al.: MANIQA, CVPR Workshops 2022)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from octosr.errors import ConfigError, nearest
from octosr.hashing import cached_sha256
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.functional.maniqa import CROP, Position, distinct
from octosr.metrics.iqa import require_pyiqa
from octosr.metrics.maniqa_network import crop_sums, shared_network
from octosr.metrics.maniqa_protocols import PROTOCOLS
from octosr.metrics.maniqa_weights import find_weights, variant_of

MB_PER_CROP = 150
"""Memory that a crop takes in a forward, in MB: 125 measured in float32 and 95 in bfloat16 (CPU), rounded up."""
PRECISIONS = ("fp32", "bf16")


class Maniqa(ImageMetric):
    """MANIQA with the layers of pyiqa's network; nothing is downloaded unless asked for.

    Protocols:

    - ``study``: the image is brought to 8 bits, resized to 224x224 with Pillow's bicubic filter whatever its aspect, as
      in the blind super-resolution study of Santiago Junior (2023), and scored as pyiqa scores that 224x224 image.
      pyiqa enlarges it to 225x225 and takes 20 crops that all lie at the top left; here that crop is computed once, a
      twentieth of the forwards for the same score. An 8x result of a 128x128 image is judged at 1.75 times the side of
      its input.
    - ``study_official``: the same 224x224 image as one crop without the enlargement, pooled as in the official code:
      what the study itself most likely did, whose scores come from the official script with weights of its own that
      were not published. It differs from ``study`` by pyiqa's slight blur, lost row and lost column.
    - ``pyiqa``: the image at its own size; pyiqa's 20 crops on a grid, pooled together. With a side of at most 224 it
      is enlarged to 225 and crops coincide; these are computed once and counted as often as they occur.
    - ``official``: the image at its own size; the 20 random crops of the official script (seed 20 for each image),
      scored one by one and averaged. Both sides must be at least 225.

    Scores of different variants, protocols or precisions must not be compared.

    A batch of N gives what N single images give: to the bit on the CPU, where crops go through the network one by one
    (several at once are no faster there), and within 1e-5 relative where several share a forward.

    The network is frozen and always in evaluation mode, is built by :meth:`prepare` or the first score, sits where the
    images are, and is neither pickled nor in ``state_dict()`` or ``parameters()``. Metrics with the same weights share
    it. Setting the metric up imports neither pyiqa nor timm.

    Args:
        weights: path of a weight file; None for pyiqa's cache folder.
        variant: the data it was trained on, ``koniq``, ``kadid`` or ``pipal``.
        protocol: ``study``, ``study_official``, ``pyiqa`` or ``official``.
        download: allow fetching the weights from pyiqa's collection when they are not there.
        precision: ``fp32``, or ``bf16`` (autocast to bfloat16). Measured on a CPU with random weights, six smooth noisy
            images of 512x512: ``bf16`` moved the score by 2 to 15 %, median 5 %, as much as one protocol differs from
            another. What it does to the published weights, or on a GPU, was not measured.
        max_crops: crops put through the network at once; None for one on the CPU and what ``max_memory_mb`` allows
            elsewhere.
        max_memory_mb: memory for the crops in the network, in MB; a crop takes about 150, the weights 460 more.
        name: column under which the scores are filed.

    Attributes:
        crop_forwards: crops put through the network so far.

    Raises:
        MissingMetricError: pyiqa or the weights are missing.
        ConfigError: no such variant, protocol or precision, or a limit below one.

    Example (with the weights at hand)::

        metric = Maniqa(weights="ckpt_koniq10k.pt")
        metric.update(images, index=torch.arange(len(images)))
        metric.compute()
    """

    higher_is_better = True
    default_name = "maniqa"

    def __init__(
        self,
        weights: str | Path | None = None,
        variant: str = "koniq",
        protocol: str = "study",
        download: bool = False,
        precision: str = "fp32",
        max_crops: int | None = None,
        max_memory_mb: int = 4096,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        for key, value, options in (("protocol", protocol, tuple(PROTOCOLS)), ("precision", precision, PRECISIONS)):
            if value not in options:
                raise ConfigError(
                    f"metrics.{self.name}.{key} is one of {', '.join(options)}, not '{value}'.{nearest(value, options)}"
                )
        for key, limit in (("max_crops", max_crops), ("max_memory_mb", max_memory_mb)):
            if limit is not None and limit < 1:
                raise ConfigError(f"metrics.{self.name}.{key} must be at least 1, but is {limit}.")
        self.variant, self.protocol, self.precision = variant, protocol, precision
        self.max_crops, self.max_memory_mb = max_crops, max_memory_mb
        self.scale = variant_of(variant).scale
        self._pyiqa_version = require_pyiqa(self.name)
        self.weights = find_weights(variant, weights, download, self.name)
        self.weights_sha256 = cached_sha256(self.weights)
        self.crop_forwards = 0
        self._holder: list[tuple[torch.device, nn.Module]] = []  # a list hides the network from nn.Module

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": "octosr, layers of pyiqa.archs.maniqa_arch",
            "version": self._pyiqa_version,
            "variant": self.variant,
            "scale": self.scale,
            "weights_sha256": self.weights_sha256,
            "protocol": self.protocol,
            **PROTOCOLS[self.protocol].definition,
            "precision": self.precision,
            "color_space": "rgb",
            "crop_border": 0,
        }

    def prepare(self) -> None:
        """Build the network and load its weights; see :class:`ImageMetric`."""
        self._network(self.device)

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        protocol = PROTOCOLS[self.protocol]
        images = protocol.prepare(images, self.name)
        positions, multiplicity = distinct(protocol.positions(*images.shape[2:]))
        return protocol.pool(self._sums(images, positions), multiplicity)

    def crops_at_once(self, device: torch.device) -> int:
        """Crops that share a forward: a limit for the memory on a GPU, one on the CPU, where more are no faster."""
        if self.max_crops is not None:
            return self.max_crops
        return 1 if device.type == "cpu" else max(1, self.max_memory_mb // MB_PER_CROP)

    def _sums(self, images: Tensor, positions: list[Position]) -> Tensor:
        """The sums (B, K, 2) of K crops of each image; a forward may hold crops of several images."""
        network, at_once = self._network(images.device), self.crops_at_once(images.device)
        places = [(image, top, left) for image in images for top, left in positions]
        sums = []
        for start in range(0, len(places), at_once):
            part = [image[:, t : t + CROP, w : w + CROP] for image, t, w in places[start : start + at_once]]
            self.crop_forwards += len(part)
            sums.append(crop_sums(network, torch.stack(part), self.precision))
        return torch.cat(sums).unflatten(0, (len(images), len(positions)))

    def _network(self, device: torch.device) -> nn.Module:
        if not self._holder or self._holder[0][0] != device:
            elsewhere = self._holder[0][1] if self._holder else None
            network = shared_network(self.variant, self.weights, self.weights_sha256, device, elsewhere)
            self._holder[:] = [(device, network)]
        return self._holder[0][1]

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> nn.Module:
        this = super()._apply(fn, *args, **kwargs)
        if self._holder:
            self._network(self.device)
        return this

    def __getstate__(self) -> dict[str, Any]:
        """The state without the network, which is built again from its file where it is needed."""
        return super().__getstate__() | {"_holder": []}
