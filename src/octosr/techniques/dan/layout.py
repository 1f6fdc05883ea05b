"""The tensors of the public implementation (github.com/greatlog/DAN), name by name, and where they are in ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v1 import ConditionalBlock, EstimatorV1, RestorerV1
from octosr.techniques.dan.network_v2 import EstimatorV2, RestorerV2


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
    size = network.kernel_size
    dirac = torch.zeros(1, size, size, device=network.pca_basis.device)
    dirac[:, size // 2, size // 2] = 1
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
    _add_blocks_v1(layout, "Restorer", restorer.blocks, restorer.code_conv.weight)
    _add_blocks_v1(layout, "Estimator", estimator.blocks, estimator.sr_conv.weight)


def _add_blocks_v1(
    layout: dict[str, list[Tensor]], owner: str, blocks: Sequence[ConditionalBlock], side: Tensor
) -> None:
    for i, (block, side_weight) in enumerate(zip(blocks, side.chunk(len(blocks)), strict=True)):
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
    blocks = {f"Restorer.body.{g}.body.{i}": b for g, group in enumerate(restorer.groups) for i, b in enumerate(group)}
    blocks |= {f"Estimator.body.body.{i}": b for i, b in enumerate(estimator.blocks)}
    for name, block in blocks.items():
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
