"""LPIPS's network: torchmetrics' class with its learned heads, built without downloads, and its backbone's file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError

import torch
from filelock import FileLock
from torch import Tensor, nn
from torchmetrics.functional.image.lpips import _LPIPS  # the public function builds it anew, and downloads, each time

from octosr.errors import MissingMetricError


class Backbone(NamedTuple):
    """A backbone of LPIPS: torchvision's file of its ImageNet weights, and the smallest side it can look at."""

    file: str
    megabytes: int
    minimum_side: int


BACKBONES: Mapping[str, Backbone] = {
    "alex": Backbone("alexnet-owt-7be5be79.pth", 233, 31),
    "vgg": Backbone("vgg16-397923af.pth", 528, 16),
    "squeeze": Backbone("squeezenet1_1-b8a52dc0.pth", 5, 17),
}
ADDRESS = "https://download.pytorch.org/models/"


def find_backbone(net: str, weights: str | Path | None, download: bool, name: str) -> Path:
    """The backbone's weight file: the path given, else torch's cache, else (only if allowed) fetched into that cache.

    Raises:
        MissingMetricError: it is nowhere; the message says where was looked and how to get it.
    """
    known = BACKBONES[net]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / known.file
    path = cached if weights is None else Path(weights).expanduser()
    if path.is_file():
        return path
    if weights is None and download:
        return _download(known, cached, name)
    raise MissingMetricError(
        f"The metric '{name}' needs the ImageNet weights of its backbone, the file {known.file} (about "
        f"{known.megabytes} MB), which was not found. Looked at: {path.absolute()}. Three ways to get it: "
        f"metrics.{name}.weights=PATH names a local copy; or put the file at {cached}; or metrics.download=true "
        f"fetches it ({ADDRESS}{known.file}). To go on without it: metrics.on_missing=skip."
    )


def _download(known: Backbone, target: Path, name: str) -> Path:
    url = ADDRESS + known.file
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(target) + ".lock"):  # several processes of one run
        if not target.is_file():
            prefix = target.stem.rsplit("-", 1)[1]
            try:  # into a temporary file, checked, then moved
                torch.hub.download_url_to_file(url, str(target), hash_prefix=prefix, progress=False)
            except (URLError, OSError, RuntimeError) as error:
                raise MissingMetricError(
                    f"The backbone's weights could not be downloaded from {url} to {target}: {error}. Fetch the file "
                    f"by hand and name it with metrics.{name}.weights=PATH, or go on without it: "
                    "metrics.on_missing=skip."
                ) from error
    return target


def load_lpips(net: str, path: Path) -> nn.Module:
    """Build torchmetrics' LPIPS with the backbone weights of a torchvision file, frozen, in evaluation mode.

    Raises:
        MissingMetricError: the file cannot be read without running code from it, or is not that backbone's.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingMetricError(
            f"{path} cannot be read as weights of LPIPS's backbone ({reason}). It may be cut short: fetch it again. "
            "Files that need code to be run are refused."
        ) from error
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        network = _LPIPS(pretrained=True, net=net, pnet_rand=True)  # type: ignore[arg-type]
    backbone: nn.Module = network.net
    state = backbone.state_dict()
    layers = {key: f"features.{key.split('.', 2 if key.startswith('slices.') else 1)[-1]}" for key in state}
    missing = [layer for key, layer in layers.items() if not _fits(content, layer, state[key])]
    if missing:
        raise MissingMetricError(
            f"{path} does not fit LPIPS's backbone '{net}' (tensor {missing[0]} is missing or of another shape). "
            f"Expected torchvision's {BACKBONES[net].file}."
        )
    backbone.load_state_dict({key: content[layer] for key, layer in layers.items()})
    return network.requires_grad_(False).eval()


def _fits(content: Any, layer: str, tensor: Tensor) -> bool:
    found = content.get(layer) if isinstance(content, Mapping) else None
    return isinstance(found, Tensor) and found.shape == tensor.shape
