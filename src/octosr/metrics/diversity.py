"""What needs a network to say of a set of generated images: diversity by LPIPS, and FID and KID.

All three are optional: their weights are other people's files, looked for where they are usually put and never
downloaded. The statistics that need none are in :mod:`octosr.metrics.functional.diversity`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.errors import MissingMetricError
from octosr.metrics.functional.diversity import Diversity, compare
from octosr.metrics.functional.octaves import unit_range
from octosr.metrics.lpips_network import BACKBONES, find_backbone, load_lpips
from octosr.metrics.offline import watched_loading

LPIPS_SIDE = 128
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}"


class LpipsDiversity:
    """Diversity with LPIPS as the distance, at 128 x 128.

    LPIPS is a squared Euclidean distance of weighted features, so the network sees each image once, not each pair.

    Args:
        net: backbone, ``alex``, ``vgg`` or ``squeeze``.
        weights: torchvision's weight file; None for torch's cache folder.

    Raises:
        MissingMetricError: it is not there.
    """

    def __init__(self, net: str = "alex", weights: str | Path | None = None) -> None:
        self.net = net
        self.network = load_lpips(net, find_backbone(net, weights, False, "lpips"))

    def to(self, device: torch.device) -> LpipsDiversity:
        """The network on a device."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def vectors(self, images: Tensor, batch: int = 16) -> Tensor:
        """(N, D) float32: the squared distance of two of them is the LPIPS of their images at 128 x 128.

        Args:
            images: RGB (N, 3, H, W), float in [0, 1] or uint8, averaged down to 128 x 128 where they are larger.
            batch: images that go through the network at a time.
        """
        network = self.network
        parts = []
        for part in images.split(batch):
            small = unit_range(part)
            if min(small.shape[-2:]) > LPIPS_SIDE:
                small = F.adaptive_avg_pool2d(small, LPIPS_SIDE)
            features = cast(nn.Module, network.net)(cast(nn.Module, network.scaling_layer)(2 * small - 1))
            layers = []
            for feature, head in zip(features, cast(nn.ModuleList, network.lins), strict=True):
                weight = next(head.parameters())  # (1, C, 1, 1), not negative
                unit = feature * torch.rsqrt(1e-8 + feature.square().sum(1, keepdim=True))
                layers.append((unit * (weight.sqrt() / (feature.shape[-1] * feature.shape[-2]) ** 0.5)).flatten(1))
            parts.append(torch.cat(layers, 1))
        return torch.cat(parts)

    def __call__(self, samples: Tensor, reals: Tensor) -> Diversity:
        """The statistics; see :func:`octosr.metrics.functional.diversity.diversity`.

        Raises:
            MissingMetricError: the images are smaller than the backbone can look at.
        """
        smallest = BACKBONES[self.net].minimum_side
        if min(*samples.shape[-2:], *reals.shape[-2:]) < smallest:
            raise MissingMetricError(f"LPIPS with {self.net} needs images of at least {smallest} pixels a side.")
        return compare(self.vectors(samples), self.vectors(reals), self.vectors(reals.flip(-1)), squared=True)


def find_inception(weights: str | Path | None) -> Path:
    """The weight file of FID's Inception network: the path given, else that in torch's cache folder.

    Raises:
        MissingMetricError: it is not there; the message says how to get it.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    path = cached if weights is None else Path(weights).expanduser()
    if not path.is_file():
        raise MissingMetricError(
            f"FID and KID need the file {INCEPTION_FILE} (about 91 MB, {INCEPTION_URL}), which was not found at "
            f"{path.absolute()}. Name it with diversity.inception=PATH, or put it into torch's cache folder."
        )
    return path


def load_inception(path: Path) -> nn.Module:
    """The network whose features FID and KID compare, torch-fidelity's, frozen, in evaluation mode.

    Raises:
        MissingMetricError: the package torch-fidelity is not installed, or the file does not fit.
    """
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3

        with watched_loading(allow_downloads=False):  # torch-fidelity itself would load any pickle
            network = NoTrainInceptionV3("inception-v3-compat", ["2048"], str(path))
    except ModuleNotFoundError as error:
        raise MissingMetricError(
            "FID and KID need the package torch-fidelity: pip install 'octosr[diversity]'."
        ) from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingMetricError(f"{path} is not the Inception network of FID ({reason}): fetch it again.") from error
    return cast(nn.Module, network).requires_grad_(False).eval()


@torch.no_grad()
def fid_and_kid(samples: Tensor, reals: Tensor, inception: nn.Module, batch: int = 16) -> dict[str, float]:
    """FID and KID of samples against the training images, by torchmetrics.

    With a hundred images FID is biased upwards and its covariances have not full rank: it compares only with figures of
    equally many images. KID is unbiased.

    Args:
        samples: uint8 (N, 3, H, W), at least 2.
        reals: uint8 (M, 3, H', W').
        inception: see :func:`load_inception`; or any module that maps uint8 images to (N, D) features.
        batch: images that go through the network at a time.

    Returns:
        ``fid``, ``kid``, ``kid_std`` (over 100 random halves).
    """
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    size = max(2, min(len(samples), len(reals)) // 2)
    with torch.random.fork_rng(devices=[]):  # KID draws its subsets from torch's global generator
        torch.manual_seed(0)
        fid = FrechetInceptionDistance(feature=inception).to(samples.device)
        kid = KernelInceptionDistance(feature=inception, subsets=100, subset_size=size).to(samples.device)
        for images, real in ((reals, True), (samples, False)):
            for part in images.split(batch):
                fid.update(part, real=real)
                kid.update(part, real=real)
        mean, spread = kid.compute()
        return {"fid": float(fid.compute()), "kid": float(mean), "kid_std": float(spread)}
