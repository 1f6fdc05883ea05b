"""How far the discriminator's reconstructions are from the real images: LPIPS, or the mean absolute difference."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.errors import MissingWeightsError
from octosr.lpips_network import ADDRESS, BACKBONES, load_lpips
from octosr.nn.convolution import convolve
from octosr.techniques.fastgan.discriminator import crop_quadrant
from octosr.techniques.fastgan.feature_distance import feature_distance
from octosr.techniques.fastgan.layers import pixel_by_pixel

Reconstructions = tuple[Tensor, Tensor, Tensor]


def reconstruction_targets(big: Tensor, quadrant: int, side: int) -> tuple[Tensor, Tensor]:
    """The images and their quadrant at the size of the reconstructions, by nearest neighbour, as published.

    Args:
        big: real images as the discriminator saw them, (B, 3, R, R).
        quadrant: see :func:`~octosr.techniques.fastgan.discriminator.crop_quadrant`.
        side: s of the reconstructions.

    Returns:
        Two (B, 3, s, s).
    """
    return F.interpolate(big, size=side), F.interpolate(crop_quadrant(big, quadrant), size=side)


class AbsoluteDifference(nn.Module):
    """Mean absolute difference of each image, the three reconstructions added up: (B,)."""

    def forward(self, made: Reconstructions, targets: tuple[Tensor, Tensor]) -> Tensor:
        """Reconstructions of the whole, the whole and the quadrant; targets of the whole and the quadrant."""
        whole, part = targets
        pairs = zip(made, (whole, whole, part), strict=True)
        return torch.stack([(a - b).abs().mean((1, 2, 3)) for a, b in pairs]).sum(0)


class Perceptual(nn.Module):
    """LPIPS 0.1 with VGG16 (Zhang et al., CVPR 2018), the three reconstructions added up: (B,).

    The reconstructions go through VGG in one call, the targets in another without a graph; the target that two of the
    reconstructions share goes through it once.

    Args:
        network: torchmetrics' LPIPS network with its weights, frozen; its convolutions are replaced, where it is.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.scaling: nn.Module = network.scaling_layer  # type: ignore[assignment]
        self.backbone: nn.Module = network.net  # type: ignore[assignment]
        heads: nn.ModuleList = network.lins  # type: ignore[assignment]
        self.heads = nn.ParameterList(next(head.parameters()) for head in heads)
        for part in [part for part in self.backbone.modules() if isinstance(part, nn.Sequential)]:
            for n, (layer, follower) in enumerate(pairwise(part)):
                if isinstance(layer, nn.Conv2d) and isinstance(follower, nn.ReLU):
                    part[n], part[n + 1] = _ConvolutionReLU(layer), nn.Identity()
        self.requires_grad_(False).eval()

    def forward(self, made: Reconstructions, targets: tuple[Tensor, Tensor]) -> Tensor:
        """As :meth:`AbsoluteDifference.forward`; images in [-1, 1]."""
        size = len(targets[0])
        with torch.no_grad():
            known = self._features(torch.cat(targets))
        places = [*range(size), *range(size), *range(size, 2 * size)]  # whole, whole, quadrant
        found = [
            feature_distance(ours, theirs, places, head.flatten())
            for head, ours, theirs in zip(self.heads, self._features(torch.cat(made)), known, strict=True)
        ]
        return torch.stack(found).sum(0).view(3, size).sum(0)

    def _features(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.backbone(pixel_by_pixel(self.scaling(images)))
        return maps


class _ConvolutionReLU(nn.Module):
    """One of VGG's convolutions, all 3x3, in the fastest way for the images at hand, and the ReLU behind it."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight, self.bias, relu=True)


def load_perceptual(weights: str | Path | None) -> Perceptual:
    """LPIPS with VGG16's weights from a local file; nothing is downloaded.

    Args:
        weights: torchvision's file, or None: the one in torch's cache folder.

    Raises:
        MissingWeightsError: it is not there, or is another file.
    """
    known = BACKBONES["vgg"]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / known.file
    path = cached if weights is None else Path(weights).expanduser()
    if not path.is_file():
        raise MissingWeightsError(
            f"FastGAN's reconstruction loss, LPIPS, needs VGG16's ImageNet weights, the file {known.file} (about "
            f"{known.megabytes} MB), which was not found. Looked at: {path.absolute()}. Get it from "
            f"{ADDRESS}{known.file} and put it at {cached}, or name a copy with technique.vgg_weights=PATH. To train "
            "without it, and unlike the published training: technique.reconstruction=l1."
        )
    return Perceptual(load_lpips("vgg", path, MissingWeightsError))
