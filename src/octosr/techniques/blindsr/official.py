"""The published layout of BlindSR's weights: ``generator.pth`` and ``discriminator.pth`` of its public code.

Each file is a mapping with a ``step``, the optimiser's state and ``generator_state_dict`` or
``discriminator_state_dict``. They are for x2 and for the published kernels, which are half a pixel off other LR
images (see ``kernels``): so is what they make of them. Everything is verified before anything changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from octosr.errors import WrongWeightsError
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.network import Discriminator, Generator
from octosr.techniques.blindsr.phases import ORDER, PhaseName
from octosr.techniques.weights import strip_prefixes

SCALE = 2
"""Nothing else was published."""


def part_of(content: Mapping[str, Any]) -> PhaseName | None:
    """Which of the two files this is; None for anything else."""
    for name in ORDER:
        if isinstance(content.get(f"{name}_state_dict"), Mapping):
            return name
    return None


def names(network: Generator | Discriminator) -> dict[str, str]:
    """From the published names to ours."""
    found = {"initial_convolution.0": "trunk.first", "final_convolution.0": "last"}
    if isinstance(network, Generator):
        found["kernel_linear_mapping"] = "encoder"
    for b in range(len(network.trunk.blocks)):
        for n in range(network.trunk.layers):
            theirs = f"dense_blocks.{b}.conv_layers.{n}"
            found[f"{theirs}.0"] = f"trunk.blocks.{b}.mixes.{n}"
            found[f"{theirs}.2"] = f"trunk.blocks.{b}.convs.{n}"
        found[f"dense_blocks.{b}.final_conv_layer.0"] = f"trunk.blocks.{b}.last"
    return {f"{a}.{kind}": f"{b}.{kind}" for a, b in found.items() for kind in ("weight", "bias")}


def to_official(network: Generator | Discriminator) -> dict[str, Any]:
    """A network as its published file would hold it, without the optimiser's state."""
    own = network.state_dict()
    part = "generator" if isinstance(network, Generator) else "discriminator"
    return {"step": 0, f"{part}_state_dict": {a: own[b].clone() for a, b in names(network).items()}}


def read_network(network: Generator | Discriminator, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The state dict for a network from its file.

    Args:
        network: of the stage for x2; its encoder need not be for the published kernels.
        content: of the file.
        path: of the file, for messages.

    Raises:
        WrongWeightsError: a tensor is missing, unknown or of another shape; the first is quoted.
    """
    part = "generator" if isinstance(network, Generator) else "discriminator"
    state, table, own = strip_prefixes(content[f"{part}_state_dict"]), names(network), network.state_dict()
    missing, unknown = sorted(table.keys() - state.keys()), sorted(state.keys() - table.keys())
    if missing or unknown:
        parts = [f"{label}: {', '.join(n[:3])}" for label, n in (("missing", missing), ("unknown", unknown)) if n]
        raise WrongWeightsError(f"{path}: the tensors are not those of this {part}; {'; '.join(parts)}.")
    for name, target in table.items():
        expected = tuple(own[target].shape)
        if target == "encoder.weight":
            expected = (expected[0], KernelSpace.published(SCALE).size ** 2)
        shape = tuple(state[name].shape) if isinstance(state[name], Tensor) else type(state[name]).__name__
        if shape != expected:
            raise WrongWeightsError(f"{path}: {name} is {shape} instead of {expected}.")
    return {target: state[name] for name, target in table.items()}
