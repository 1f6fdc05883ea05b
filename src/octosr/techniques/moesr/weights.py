"""Loading weights into MoESR: our checkpoints, the experts of a sweep, or published files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from octosr.errors import WrongWeightsError
from octosr.techniques.moesr.grid import EXPERTS
from octosr.techniques.moesr.official import part_of, read_experts, read_network, scale_of_experts
from octosr.techniques.weights import load_checkpoint_weights, published_parts, read_weight_file, strip_prefixes

if TYPE_CHECKING:
    from octosr.techniques.moesr.module import MoESR


def load_moesr(technique: MoESR, paths: Sequence[Path]) -> str:
    """Load files into a technique.

    * One checkpoint of ours.
    * Several of ours, from a sweep over ``technique.expert``: of each expert the one trained longest is taken, the rest
      from the first file.
    * Published files, three a stage: the experts' names tell their scale; ISE and KEN belong to the experts in
      the same folder (``x2/ISE.pt`` to ``x2/SR_networks_ensemble.pt``), since nothing in them tells.

    Returns:
        One line that says what was loaded.

    Raises:
        WrongWeightsError: a file does not fit; nothing has been changed then.
    """
    contents = {path: read_weight_file(path) for path in paths}
    parts = published_parts(contents, part_of, "MoESR")
    if not parts:
        return load_checkpoint_weights(technique, paths) if len(paths) == 1 else _merge(technique, contents)
    folders = _scales_of_folders(technique, contents, parts)
    loads: list[tuple[Any, dict[str, Tensor]]] = []
    steps: list[Tensor] = []
    taken: dict[tuple[int, str], Path] = {}
    for path, part in parts.items():
        scale = folders[path.parent]
        if (scale, part) in taken:
            raise WrongWeightsError(f"Both {taken[scale, part]} and {path} are the {part} of x{scale}: give one.")
        taken[scale, part] = path
        stage = technique.stage(scale)
        if part == "experts":
            loads.append((stage.bank, read_experts(stage.bank, contents[path], path)))
            steps.append(stage.expert_steps)
        elif part == "ise":
            loads.append((stage.evaluator, read_network(stage.evaluator, contents[path], path)))
            steps.append(stage.ise_steps)
        else:
            state = read_network(stage.estimator, contents[path], path)
            loads.append((stage.estimator, state | {"is_angle": torch.tensor(True)}))
            steps.append(stage.ken_steps)
    for module, state in loads:  # only now, so that a wrong last file changes nothing
        module.load_state_dict(state)
    for counter in steps:
        counter.clamp_(min=1)  # for how long is not known; what counts is that it is trained
    return f"published MoESR weights {', '.join(str(path) for path in paths)}"


def _scales_of_folders(
    technique: MoESR, contents: Mapping[Path, dict[str, Any]], parts: Mapping[Path, str]
) -> dict[Path, int]:
    found: dict[Path, int] = {}
    for path, part in parts.items():
        if part != "experts":
            continue
        scale = scale_of_experts(contents[path], path)
        if scale not in technique.stages:
            raise WrongWeightsError(f"{path} is for x{scale}, but technique.stages is {list(technique.stages)}.")
        if found.get(path.parent, scale) != scale:
            raise WrongWeightsError(f"{path.parent} holds experts of two scales: one folder a scale is needed.")
        found[path.parent] = scale
    for path, part in parts.items():
        if path.parent not in found:
            if len(technique.stages) > 1:
                raise WrongWeightsError(
                    f"{path} is {part.upper()} of an unknown scale: give also the SR_networks_ensemble.pt that "
                    "lies in the same folder, as in the public x2/ and x4/."
                )
            found[path.parent] = technique.stages[0]
    return found


def _merge(technique: MoESR, contents: Mapping[Path, dict[str, Any]]) -> str:
    states = {path: strip_prefixes(content.get("state_dict", content)) for path, content in contents.items()}
    own = technique.state_dict()
    for path, state in states.items():
        wrong = sorted(k for k in own.keys() | state.keys() if k not in own or k not in state
                       or state[k].shape != own[k].shape)  # fmt: skip
        if wrong:
            raise WrongWeightsError(f"{path} does not fit: {', '.join(wrong[:3])} ({len(wrong)} tensors).")
    merged = {key: value.clone() for key, value in next(iter(states.values())).items()}
    for scale in technique.stages:
        prefix = f"stage_networks.x{scale}."
        steps = torch.stack([state[f"{prefix}expert_steps"] for state in states.values()])
        best = steps.argmax(0)
        for key in merged:
            if key.startswith((f"{prefix}bank.", f"{prefix}expert_steps")):
                stacked = torch.stack([state[key] for state in states.values()])
                merged[key] = stacked[best, torch.arange(len(EXPERTS))]
    technique.load_state_dict(merged)
    return f"the experts of {len(states)} checkpoints, each from the one that trained it longest"
