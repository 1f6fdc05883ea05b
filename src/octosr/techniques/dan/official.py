"""The weight files of the public implementation (github.com/greatlog/DAN): what is in them, and loading them.

Its files are plain state dicts, ``danv{1,2}_x{2,3,4}_setting{1,2}.pth``, perhaps with ``module.`` before every name.
Everything about the network but the number of iterations can be read off the shapes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.dan.layers import PIXEL_SHUFFLES
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v1 import EstimatorV1, RestorerV1
from octosr.techniques.dan.network_v2 import DualPathBlock, EstimatorV2, RestorerV2


@dataclass(frozen=True)
class Architecture:
    """What the shapes of a state dict say about its network; see ``build_v1`` and ``build_v2``."""

    version: int
    scale: int
    kernel_size: int
    components: int
    features: int
    groups: int
    blocks: int
    estimator_features: int
    estimator_blocks: int

    def differences(self, other: Architecture) -> list[str]:
        """The fields in which ``other`` differs, as ``name: own, other's``."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{name}: expected {mine}, found {its}" for name, mine, its in pairs if mine != its]


def is_official(content: Mapping[str, Any]) -> bool:
    """Whether a weight file's content, prefixes stripped, is in the public implementation's names."""
    return any(key.startswith(("Restorer.", "Estimator.")) for key in content)


def read_architecture(state: Mapping[str, Any], path: Path) -> Architecture:
    """Read version, scale and sizes off a state dict in the public names.

    Raises:
        WrongWeightsError: a telling tensor is missing or of a shape no DAN has.
    """

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        tensor = state.get(name)
        if not isinstance(tensor, Tensor) or tensor.ndim != dimensions:
            found = tuple(tensor.shape) if isinstance(tensor, Tensor) else "nothing"
            raise WrongWeightsError(
                f"{path} is not a DAN weight file: expected a {dimensions}-dimensional tensor {name}, found {found}."
            )
        return tuple(tensor.shape)

    def count(prefix: str) -> int:
        found = {match[1] for key in state if (match := re.match(rf"{re.escape(prefix)}\.(\d+)\.", key))}
        return len(found)

    version = 2 if "Restorer.head1.weight" in state else 1
    heads = {1: ("Restorer.head.weight", "Estimator.head_LR.weight"), 2: ("Restorer.head1.weight", "Estimator.head_LR.0.weight")}
    features, estimator_features = (shape(name, 4)[0] for name in heads[version])
    _, taps, components = shape("encoder", 3)
    side = math.isqrt(taps)
    if side * side != taps or side % 2 == 0:
        raise WrongWeightsError(f"{path}: encoder has {taps} rows, expected the square of an odd kernel size.")
    steps = [shape(f"Restorer.upscale.{2 * i}.weight", 4)[0] for i in range(count("Restorer.upscale") - 1)]
    factors = tuple(math.isqrt(width // features) for width in steps)
    scale = next((s for s, known in PIXEL_SHUFFLES.items() if known == factors), None)
    if scale is None:
        raise WrongWeightsError(f"{path}: its upsampler has steps {factors}, expected one of {PIXEL_SHUFFLES}.")
    return Architecture(
        version=version,
        scale=scale,
        kernel_size=side,
        components=components,
        features=features,
        groups=count("Restorer.body") if version == 2 else 1,
        blocks=count("Restorer.body.0.body") if version == 2 else count("Restorer.body"),
        estimator_features=estimator_features,
        estimator_blocks=count("Estimator.body.body") if version == 2 else count("Estimator.body"),
    )


def load_official(network: DANNetwork, state: Mapping[str, Tensor], path: Path) -> None:
    """Copy a state dict in the public names into a network of the same architecture.

    Raises:
        WrongWeightsError: names or shapes differ from what the network needs; all of the first few are listed.
    """
    layout = official_layout(network)
    expected = {name: _joined_shape(parts) for name, parts in layout.items()}
    missing = sorted(expected.keys() - state.keys())
    unknown = sorted(state.keys() - expected.keys())
    wrong = [
        f"{name} {tuple(state[name].shape)} instead of {expected[name]}"
        for name in sorted(expected.keys() & state.keys())
        if tuple(state[name].shape) != expected[name]
    ]
    if missing or unknown or wrong:
        listed = [
            f"{label}: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''} ({len(names)})"
            for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
            if names
        ]
        raise WrongWeightsError(f"{path} is not a complete DAN weight file; tensors {'; '.join(listed)}.")
    with torch.no_grad():
        for name, parts in layout.items():
            for part, piece in zip(parts, _split(state[name], parts), strict=True):
                part.copy_(piece)
        network.pca_fitted.fill_(True)


def to_official(network: DANNetwork) -> dict[str, Tensor]:
    """A state dict in the public names, with copies of the network's weights."""
    with torch.no_grad():
        return {
            name: torch.cat(parts, 1) if len(parts) > 1 else parts[0].clone()
            for name, parts in official_layout(network).items()
        }


def official_layout(network: DANNetwork) -> dict[str, list[Tensor]]:
    """For each public name the views of our tensors that make it up, joined along their second dimension."""
    l = network.kernel_size
    dirac = torch.zeros(1, l, l, device=network.pca_basis.device)
    dirac[:, l // 2, l // 2] = 1
    layout: dict[str, list[Tensor]] = {
        "encoder": [network.pca_basis[None]],
        "init_kernel": [dirac],
        "init_ker_map": [network.initial_code[None]],
    }
    restorer, estimator = network.restorer, network.estimator
    _add(layout, "Restorer.fusion", restorer.fusion)
    for index, layer in enumerate(restorer.upscale):
        if isinstance(layer, nn.Conv2d):
            _add(layout, f"Restorer.upscale.{index}", layer)
    if isinstance(restorer, RestorerV1) and isinstance(estimator, EstimatorV1):
        _add_v1(layout, restorer, estimator)
    elif isinstance(restorer, RestorerV2) and isinstance(estimator, EstimatorV2):
        _add_v2(layout, restorer, estimator)
    else:
        raise TypeError(f"No public layout for {type(restorer).__name__} with {type(estimator).__name__}.")
    return layout


def _add_v1(layout: dict[str, list[Tensor]], restorer: RestorerV1, estimator: EstimatorV1) -> None:
    _add(layout, "Restorer.head", restorer.head)
    _add(layout, "Estimator.head_LR", estimator.head_lr)
    _add(layout, "Estimator.head_HR", estimator.head_sr)
    _add(layout, "Estimator.out", estimator.tail)
    for owner, body, side in (
        ("Restorer", restorer.body, restorer.code_conv),
        ("Estimator", estimator.body, estimator.sr_conv),
    ):
        for i, (block, side_weight) in enumerate(zip(body, side.weight.chunk(len(body)), strict=True)):
            name = f"{owner}.body.{i}.body"
            _add(layout, f"{name}.0", block.conv1)
            layout[f"{name}.0.weight"].append(side_weight)
            _add(layout, f"{name}.2", block.conv2)
            _add(layout, f"{name}.3.body.0", block.squeeze)
            _add(layout, f"{name}.3.body.2", block.excite)


def _add_v2(layout: dict[str, list[Tensor]], restorer: RestorerV2, estimator: EstimatorV2) -> None:
    _add(layout, "Restorer.head1", restorer.head)
    _add(layout, "Restorer.head2", restorer.head_code)
    _add(layout, "Estimator.head_LR.0", estimator.head_lr)
    _add(layout, "Estimator.head_HR.0", estimator.head_sr)
    _add(layout, "Estimator.tail.0", estimator.tail)
    _add(layout, "Estimator.tail.2", estimator.kernel)
    blocks = {f"Restorer.body.{g}.body.{b}": block for g, group in enumerate(restorer.body) for b, block in enumerate(group)}
    blocks |= {f"Estimator.body.body.{b}": block for b, block in enumerate(estimator.body)}
    for name, block in blocks.items():
        assert isinstance(block, DualPathBlock)
        _add(layout, f"{name}.body1.0", block.main1)
        _add(layout, f"{name}.body1.2", block.main2)
        _add(layout, f"{name}.body2.0", block.condition1)
        _add(layout, f"{name}.body2.2", block.condition2)


def _add(layout: dict[str, list[Tensor]], name: str, layer: nn.Conv2d | nn.Linear) -> None:
    """Enter a layer; what is a matrix product here is a 1x1 convolution in the public files."""
    weight = layer.weight
    layout[f"{name}.weight"] = [weight[:, :, None, None] if weight.ndim == 2 else weight]
    if layer.bias is not None:
        layout[f"{name}.bias"] = [layer.bias]


def _joined_shape(parts: list[Tensor]) -> tuple[int, ...]:
    """Shape of the parts joined along the second dimension."""
    shape = list(parts[0].shape)
    if len(parts) > 1:
        shape[1] = sum(part.shape[1] for part in parts)
    return tuple(shape)


def _split(tensor: Tensor, parts: list[Tensor]) -> tuple[Tensor, ...]:
    """Cut a public tensor into what belongs to each part."""
    return tensor.split([part.shape[1] for part in parts], dim=1) if len(parts) > 1 else (tensor,)
