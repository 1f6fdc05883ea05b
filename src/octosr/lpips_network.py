"""LPIPS's network: torchmetrics' class with its learned heads, built without downloads.

A metric and a technique's loss both build it, and metrics and techniques do not know each other.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchmetrics.functional.image.lpips import _LPIPS  # the public function builds it anew, and downloads, each time

from octosr.errors import MissingMetricError, OctoSRError


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


def load_lpips(net: str, path: Path, error: type[OctoSRError] = MissingMetricError) -> nn.Module:
    """Build torchmetrics' LPIPS with the backbone weights of a torchvision file, frozen, in evaluation mode.

    Args:
        net: one of BACKBONES.
        path: torchvision's file.
        error: what is raised if the file is wrong.

    Raises:
        MissingMetricError: (or ``error``) the file cannot be read without running code from it, or is of another
            network.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise error(
            f"{path} cannot be read as weights of LPIPS's backbone ({reason}). It may be cut short: fetch it again. "
            "Files that need code to be run are refused."
        ) from problem
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        network = _LPIPS(pretrained=True, net=net, pnet_rand=True)  # type: ignore[arg-type]
    backbone: nn.Module = network.net
    state = backbone.state_dict()
    layers = {key: f"features.{key.split('.', 2 if key.startswith('slices.') else 1)[-1]}" for key in state}
    missing = [layer for key, layer in layers.items() if not _fits(content, layer, state[key])]
    if missing:
        raise error(
            f"{path} does not fit LPIPS's backbone '{net}' (tensor {missing[0]} is missing or of another shape). "
            f"Expected torchvision's {BACKBONES[net].file}."
        )
    backbone.load_state_dict({key: content[layer] for key, layer in layers.items()})
    return network.requires_grad_(False).eval()


def _fits(content: Any, layer: str, tensor: Tensor) -> bool:
    found = content.get(layer) if isinstance(content, Mapping) else None
    return isinstance(found, Tensor) and found.shape == tensor.shape
