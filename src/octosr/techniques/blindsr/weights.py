"""Loading weights into BlindSR: our checkpoints, or published files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from octosr.errors import ConfigError, WrongWeightsError
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.network import Discriminator, Generator
from octosr.techniques.blindsr.official import SCALE, part_of, read_network
from octosr.techniques.weights import load_checkpoint_weights, published_parts, read_weight_file, strip_prefixes

if TYPE_CHECKING:
    from octosr.techniques.blindsr.phased import PhasedTraining

log = logging.getLogger(__name__)


def load_blindsr(technique: PhasedTraining, paths: Sequence[Path]) -> str:
    """Load one checkpoint of ours, or the published generator, discriminator or both.

    Published weights bring their kernels: the stage for x2 then has those of the public code.

    Returns:
        One line that says what was loaded.

    Raises:
        WrongWeightsError: a file does not fit; nothing has been changed then.
    """
    contents = {path: read_weight_file(path) for path in paths}
    parts = published_parts(contents, part_of, "BlindSR")
    if not parts:
        return _load_ours(technique, paths, contents)
    if SCALE not in technique.stages:
        raise WrongWeightsError(
            f"Published BlindSR weights are for x{SCALE}, but technique.stages is {list(technique.stages)}: "
            "use technique.stages=[2,2,2]."
        )
    stage = technique.stage(SCALE)
    networks: dict[str, Generator | Discriminator] = {
        "generator": stage.generator,
        "discriminator": stage.discriminator,
    }
    states: dict[str, dict[str, Tensor]] = {}
    for path, part in parts.items():
        if part in states:
            raise WrongWeightsError(f"Two of the files are the {part} of x{SCALE}, one of them {path}: give one.")
        states[part] = read_network(networks[part], contents[path], path)
    if "generator" in states:
        stage.set_space(KernelSpace.published(SCALE))
    for name, state in states.items():  # only now, so that a wrong last file changes nothing
        networks[name].load_state_dict(state)
        # For how long is not known to our schedule; what counts is that it is trained.
        (stage.generator_steps if name == "generator" else stage.discriminator_steps).clamp_(min=1)
    return f"published BlindSR weights {', '.join(str(path) for path in paths)}"


def adopt_spaces(technique: PhasedTraining, state: Mapping[str, Any]) -> None:
    """Give the stages the kernels that a state dict of ours is for: they need not be the configured ones.

    Raises:
        ConfigError: its numbers are no kernel space.
    """
    for stage in technique.all_stages():
        numbers = state.get(f"stage_networks.x{stage.scale}.space_numbers")
        if isinstance(numbers, Tensor) and numbers.shape == (4,):
            stage.set_space(KernelSpace.of_numbers(stage.scale, numbers.tolist()))


def add_calibration(technique: PhasedTraining, state: dict[str, Any]) -> None:
    """Add what a state dict of ours from before there was a calibration lacks: an untrained one, and say so."""
    for stage in technique.all_stages():
        prefix = f"stage_networks.x{stage.scale}."
        if f"{prefix}generator_steps" not in state or f"{prefix}calibration_steps" in state:
            continue
        log.warning(
            "the checkpoint's estimates of the blur at x%d are not calibrated: the kernel with the least predicted "
            "error is taken, which is mostly too narrow a one. To mend that: train.py with technique.phase=calibration "
            "on its cell",
            stage.scale,
        )
        own = {f"{prefix}calibration.{name}": value.clone() for name, value in stage.calibration.state_dict().items()}
        state.update(own | {f"{prefix}calibration_steps": torch.zeros((), dtype=torch.int64)})


def _load_ours(technique: PhasedTraining, paths: Sequence[Path], contents: Mapping[Path, Mapping[str, Any]]) -> str:
    before = [(stage, stage.space, stage.generator.encoder) for stage in technique.all_stages()]
    try:
        for content in contents.values():
            adopt_spaces(technique, strip_prefixes(content.get("state_dict", content)))
        return load_checkpoint_weights(technique, paths, lambda state: add_calibration(technique, state))
    except (ConfigError, WrongWeightsError) as error:
        for stage, space, encoder in before:
            stage.generator.encoder = encoder
            stage.set_space(space)
        raise WrongWeightsError(str(error)) from error
