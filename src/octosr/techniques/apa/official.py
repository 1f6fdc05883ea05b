"""The published weights of APA and of StyleGAN2: network pickles, read without running the code in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octosr.errors import WrongWeightsError
from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.layout import copy_public, discriminator_layout, generator_layout
from octosr.techniques.apa.synthesis import Generator
from octosr.techniques.pickles import PickledModule

_NETWORKS = ("G", "D", "G_ema")


def is_official(content: Mapping[str, Any]) -> bool:
    """Whether a weight file's content is a network pickle."""
    return any(isinstance(value, PickledModule) for value in content.values())


def load_official(
    content: Mapping[str, Any], path: Path, generator: Generator, average: Generator, discriminator: Discriminator
) -> None:
    """Load a ``network-snapshot-*.pkl`` into three networks.

    Args:
        content: of the file, from :func:`~octosr.techniques.weights.read_weight_file`.
        path: the file, for messages.
        generator: takes its ``G``.
        average: takes its ``G_ema``.
        discriminator: takes its ``D``.

    Raises:
        WrongWeightsError: a network is missing, or of another size; nothing is loaded then.
    """
    tensors = {name: _network(content, name, path).tensors for name in _NETWORKS}
    layouts = (generator_layout(generator), discriminator_layout(discriminator), generator_layout(average))
    parts = list(zip(_NETWORKS, layouts, strict=True))
    for copy in (False, True):  # first all are checked, then all are copied
        for name, layout in parts:
            copy_public(layout, tensors[name], name, path, copy=copy)


def _network(content: Mapping[str, Any], name: str, path: Path) -> PickledModule:
    network = content.get(name)
    if not isinstance(network, PickledModule):
        raise WrongWeightsError(
            f"{path} has no network {name}: it holds {sorted(content)}. Expected a snapshot of APA or "
            "stylegan2-ada-pytorch with G, D and G_ema."
        )
    return network
