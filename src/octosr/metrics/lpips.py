"""LPIPS as a metric (Zhang et al.: The unreasonable effectiveness of deep features, CVPR 2018)."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from octosr.errors import ConfigError, MissingMetricError, nearest
from octosr.hashing import cached_sha256
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.lpips_network import BACKBONES, find_backbone, load_lpips


class Lpips(ImageMetric):
    """Learned perceptual image patch similarity, torchmetrics' network, version 0.1; nothing is downloaded by itself.

    The distance between deep features of an image and of its HR reference; 0 for identical images, lower is better.
    torchmetrics carries the learned weights of the features. The backbone's ImageNet weights are torchvision's file:
    the one given, or the one in torch's cache folder, or (only if allowed) fetched into that folder.

    Images go through the network one by one, at full size, in float32. The network is frozen and in evaluation mode, is
    built on first use, follows the images to their device, and is neither pickled nor in ``state_dict()``.

    Args:
        net: backbone: ``alex`` (what papers report), ``vgg`` or ``squeeze``. Scores of different ones do not compare.
        weights: path of torchvision's weight file of that backbone; None for torch's cache folder.
        download: allow fetching it when it is not there.
        name: column under which the scores are filed.

    Raises:
        MissingMetricError: the weights are missing.
        ConfigError: no such backbone.

    Example (with the weights at hand)::

        metric = Lpips(weights="alexnet-owt-7be5be79.pth")
        metric.update(images, index=torch.arange(len(images)), reference=hr)
        metric.compute()
    """

    higher_is_better = False
    compares_with = "hr"
    default_name = "lpips"

    def __init__(
        self, net: str = "alex", weights: str | Path | None = None, download: bool = False, name: str | None = None
    ) -> None:
        super().__init__(name)
        if net not in BACKBONES:
            raise ConfigError(
                f"metrics.{self.name}.net is one of {', '.join(BACKBONES)}, not '{net}'.{nearest(net, BACKBONES)}"
            )
        self.net = net
        self.weights = find_backbone(net, weights, download, self.name)
        self.weights_sha256 = cached_sha256(self.weights)
        self._holder: list[nn.Module] = []  # a list hides the network from nn.Module's registration

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": "torchmetrics.functional.image.learned_perceptual_image_patch_similarity",
            "version": importlib.metadata.version("torchmetrics"),
            "net": self.net,
            "heads": "v0.1",
            "weights_sha256": self.weights_sha256,
            "color_space": "rgb",
            "crop_border": 0,
        }

    def prepare(self) -> None:
        """Build the network and load its weights."""
        self._network()

    def _network(self, device: torch.device | None = None) -> nn.Module:
        if not self._holder:
            if not self.weights.is_file() or cached_sha256(self.weights) != self.weights_sha256:
                raise MissingMetricError(
                    f"The weights {self.weights} were removed or changed since the metric {self.name} was set up "
                    f"(sha256 was {self.weights_sha256})."
                )
            self._holder.append(load_lpips(self.net, self.weights).to(self.device))
        network = self._holder[0]
        return network if device is None else network.to(device)

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        assert reference is not None
        height, width = images.shape[-2:]
        smallest = BACKBONES[self.net].minimum_side
        if min(height, width) < smallest:
            raise UnscorableImageError(
                f"{self.name}: the images are {width}x{height} pixels, but both sides must be at least {smallest}.",
                range(len(images)),
            )
        network = self._network(images.device)
        pairs = zip(images.split(1), reference.split(1), strict=True)
        return torch.cat([network(x, y, normalize=True).reshape(1) for x, y in pairs])

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> nn.Module:
        this = super()._apply(fn, *args, **kwargs)
        for network in self._holder:
            network.to(self.device)
        return this

    def __getstate__(self) -> dict[str, Any]:
        """The state without the network, which is built again from its file where it is needed."""
        return super().__getstate__() | {"_holder": []}
