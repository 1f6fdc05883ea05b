"""MANIQA as a metric (Yang et al.: MANIQA, CVPR Workshops 2022)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from octosr.errors import ConfigError, MissingMetricError, nearest
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.iqa import require_pyiqa
from octosr.metrics.maniqa_network import CROP, crop_scores, file_sha256, find_weights, load_network, variant_of

PROTOCOLS = {
    "study": "8-bit, Pillow bicubic to 224x224, one crop, official pooling",
    "pyiqa": "20 uniform crops of 224x224, pooled together",
}
PYIQA_CROPS = 20


class Maniqa(ImageMetric):
    """MANIQA with pyiqa's network; nothing is downloaded unless asked for.

    Protocols:

    - ``study``: each image is brought to 8 bits, resized to 224x224 with Pillow's bicubic filter, whatever its aspect,
      and scored as one crop, as in the blind super-resolution study of Santiago Junior (2023). An 8x result of a
      128x128 image is thus judged at 1.75 times the side of its input.
    - ``pyiqa``: pyiqa's forward as it is, 20 uniform crops of the full-size image.

    Scores of different variants or protocols must not be compared. The network is frozen and always in evaluation mode,
    is built on first use, follows the images to their device, and is neither pickled nor in ``state_dict()``.

    Args:
        weights: path of a weight file; None for pyiqa's cache folder.
        variant: the data it was trained on, ``koniq``, ``kadid`` or ``pipal``.
        protocol: ``study`` or ``pyiqa``.
        download: allow fetching the weights from pyiqa's collection when they are not there.
        max_crops: crops put through the network at once; a crop takes about 150 MB.
        name: column under which the scores are filed.

    Raises:
        MissingMetricError: pyiqa, timm or the weights are missing.
        ConfigError: no such variant or protocol.

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
        max_crops: int = PYIQA_CROPS,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if protocol not in PROTOCOLS:
            raise ConfigError(
                f"metrics.maniqa.protocol is one of {', '.join(PROTOCOLS)}, not '{protocol}'."
                f"{nearest(protocol, PROTOCOLS)}"
            )
        self.variant, self.protocol, self.max_crops = variant, protocol, max(1, int(max_crops))
        self.scale = variant_of(variant).scale
        self._pyiqa_version = require_pyiqa(self.name)
        self.weights = find_weights(variant, weights, download)
        self.weights_sha256 = file_sha256(self.weights)
        self._holder: list[nn.Module] = []  # a list hides the network from nn.Module's registration

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": "pyiqa.archs.maniqa_arch",
            "version": self._pyiqa_version,
            "variant": self.variant,
            "scale": self.scale,
            "weights_sha256": self.weights_sha256,
            "protocol": self.protocol,
            "crops": 1 if self.protocol == "study" else PYIQA_CROPS,
            "color_space": "rgb",
            "crop_border": 0,
        }

    def prepare(self) -> None:
        """Build the network and load its weights."""
        self._network()

    def _network(self, device: torch.device | None = None) -> nn.Module:
        if not self._holder:
            if not self.weights.is_file() or file_sha256(self.weights) != self.weights_sha256:
                raise MissingMetricError(
                    f"MANIQA's weights {self.weights} were removed or changed since the metric was set up "
                    f"(sha256 was {self.weights_sha256})."
                )
            self._holder.append(load_network(self.variant, self.weights).to(self.device))
        network = self._holder[0]
        return network if device is None else network.to(device)

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        network = self._network(images.device)
        if self.protocol == "study":
            crops = study_crops(images)
            return torch.cat([crop_scores(network, chunk) for chunk in crops.split(self.max_crops)])
        per_forward = max(1, self.max_crops // PYIQA_CROPS)
        return torch.cat([network(chunk).reshape(len(chunk)) for chunk in images.split(per_forward)])

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> nn.Module:
        this = super()._apply(fn, *args, **kwargs)
        for network in self._holder:
            network.to(self.device)
        return this

    def __getstate__(self) -> dict[str, Any]:
        """The state without the network, which is built again from its file where it is needed."""
        return super().__getstate__() | {"_holder": []}


def study_crops(images: Tensor) -> Tensor:
    """The study's preparation: 8 bits, Pillow's bicubic to 224x224 regardless of aspect, 8 bits again.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W); images read from 8-bit files come back to the very same 8 bits.

    Returns:
        float32 RGB in [0, 1], (B, 3, 224, 224), on the same device.

    >>> import torch
    >>> study_crops(torch.zeros(2, 3, 100, 50)).shape
    torch.Size([2, 3, 224, 224])
    """
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    small = [np.asarray(Image.fromarray(p).resize((CROP, CROP), Image.Resampling.BICUBIC)) for p in pixels]
    return torch.from_numpy(np.stack(small)).to(images.device).permute(0, 3, 1, 2).contiguous().float() / 255
