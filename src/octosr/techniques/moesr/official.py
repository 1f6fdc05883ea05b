"""The weight files of the public implementation (github.com/memad73/MoESR).

Three files a scale: the experts, ``U_{lambda_1}_{lambda_2}_{theta}`` to a list of state dicts, one for each level;
ISE; KEN. All are in plain containers, so that they are read without running code. Everything is verified before
anything changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.moesr.bank import ExpertBank
from octosr.techniques.moesr.grid import EXPERTS, ExpertGrid
from octosr.techniques.moesr.kernel_estimator import KernelEstimator
from octosr.techniques.moesr.sharpness import SharpnessEvaluator
from octosr.techniques.weights import strip_prefixes

Part = Literal["experts", "ise", "ken"]
_EXPERT = re.compile(r"U_\d+\.\d\d_\d+\.\d\d_\d\.\d\d$")
_ISE_PLACES = (0, 2, 4, 6, 8, 9)
_KEN_PLACES = (0, 2, 4)


def part_of(content: Mapping[str, Any]) -> Part | None:
    """Which of the three files this is; None for anything else."""
    if content and all(_EXPERT.match(str(key)) for key in content):
        return "experts"
    names = set(strip_prefixes({str(k): v for k, v in content.items() if isinstance(v, Tensor)}))
    if "model.9.weight" in names and "model.22.weight" not in names:
        return "ise"
    if "layers.4.weight" in names and len(names) == 6:
        return "ken"
    return None


def scale_of_experts(content: Mapping[str, Any], path: Path) -> int:
    """The scale of a file of experts, from their names.

    Raises:
        WrongWeightsError: the names are of no scale.
    """
    for scale in (2, 4, 8):
        grid = ExpertGrid(scale)
        if {grid.key(e) for e in range(len(EXPERTS))} == set(content):
            return scale
    raise WrongWeightsError(
        f"{path} holds {len(content)} experts ({', '.join(sorted(content)[:3])} ...), "
        f"expected the {len(EXPERTS)} of x2 ({ExpertGrid(2).key(0)} ...), x4 or x8."
    )


def expert_state(layers: int, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> dict[str, Tensor]:
    """One network in the published names: ``model.0``, ``model.2``, ... with the activations between."""
    names = [f"model.{2 * n}" for n in range(layers)]
    state = {f"{name}.weight": w for name, w in zip(names, weights, strict=True)}
    return state | {f"{name}.bias": b for name, b in zip(names, biases, strict=True)}


def to_official(bank: ExpertBank) -> dict[str, list[dict[str, Tensor]]]:
    """A bank in the published layout."""
    grid, stack = ExpertGrid(bank.scale), bank.stack()
    return {
        grid.key(e): [
            expert_state(bank.layers, [w[e].detach().clone() for w in ws], [b[e].detach().clone() for b in bs])
            for ws, bs in zip(stack.weights, stack.biases, strict=True)
        ]
        for e in range(len(EXPERTS))
    }


def read_experts(bank: ExpertBank, content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The state dict for a bank from a file of experts.

    Raises:
        WrongWeightsError: a level, a tensor or a shape is not as published; the first problem is quoted.
    """
    grid, own = ExpertGrid(bank.scale), bank.state_dict()
    found = {name: torch.empty_like(value) for name, value in own.items()}
    for e in range(len(EXPERTS)):
        key = grid.key(e)
        levels = content[key]
        if not isinstance(levels, list | tuple) or len(levels) != bank.levels:
            size = len(levels) if isinstance(levels, list | tuple) else type(levels).__name__
            raise WrongWeightsError(f"{path}: {key} should be a list of {bank.levels} networks, but is {size}.")
        for level, state in enumerate(levels):
            first = level * bank.layers
            names = {f"model.{2 * n}.{k}": (f"{p}.{first + n}", e) for n in range(bank.layers)
                     for k, p in (("weight", "weights"), ("bias", "biases"))}  # fmt: skip
            state = strip_prefixes(state) if isinstance(state, Mapping) else {}
            _same_names(names, state, f"{path}: {key}, level {level + 1}")
            for name, (target, place) in names.items():
                _same_shape(state[name], own[target][place], f"{path}: {key}, level {level + 1}, {name}")
                found[target][place] = state[name]
    return found


def read_network(
    network: SharpnessEvaluator | KernelEstimator, content: Mapping[str, Any], path: Path
) -> dict[str, Tensor]:
    """The state dict for ISE or KEN from its file.

    Raises:
        WrongWeightsError: a tensor is missing, unknown or of another shape.
    """
    is_ise = isinstance(network, SharpnessEvaluator)
    theirs, ours, places = ("model", "convs", _ISE_PLACES) if is_ise else ("layers", "layers", _KEN_PLACES)
    state = strip_prefixes(content)
    names = {f"{theirs}.{p}.{k}": f"{ours}.{n}.{k}" for n, p in enumerate(places) for k in ("weight", "bias")}
    own = network.state_dict()
    _same_names(names, state, str(path))
    for name, target in names.items():
        _same_shape(state[name], own[target], f"{path}: {name}")
    return {target: state[name] for name, target in names.items()}


def network_to_official(network: nn.Module) -> dict[str, Tensor]:
    """ISE or KEN in the published names."""
    is_ise = isinstance(network, SharpnessEvaluator)
    theirs, places = ("model", _ISE_PLACES) if is_ise else ("layers", _KEN_PLACES)
    state = network.state_dict()
    return {
        f"{theirs}.{places[int(name.split('.')[1])]}.{name.split('.')[2]}": value.clone()
        for name, value in state.items()
        if name != "is_angle"
    }


def _same_names(expected: Mapping[str, Any], found: Mapping[str, Any], where: str) -> None:
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unknown:
        parts = [
            f"{label}: {', '.join(names[:3])}" for label, names in (("missing", missing), ("unknown", unknown)) if names
        ]
        raise WrongWeightsError(f"{where}: the tensors are not those of this network; {'; '.join(parts)}.")


def _same_shape(found: Any, expected: Tensor, where: str) -> None:
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != tuple(expected.shape):
        raise WrongWeightsError(f"{where} is {shape} instead of {tuple(expected.shape)}.")
