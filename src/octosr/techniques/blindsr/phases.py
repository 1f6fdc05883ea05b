"""The phases of training: how far a stage is in each, and what each needs."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

from torch import Tensor, nn

from octosr.errors import ConfigError
from octosr.techniques.blindsr.stage import BlindSRStage

PhaseName = Literal["generator", "discriminator", "calibration"]
Phase = Literal["generator", "discriminator", "calibration", "all"]
NETWORKS: tuple[PhaseName, ...] = ("generator", "discriminator")
ORDER: tuple[PhaseName, ...] = get_args(PhaseName)


def steps_done(stage: BlindSRStage, name: str) -> int:
    """For how many steps a stage is trained in a phase."""
    return int(_counter(stage, name))


def _counter(stage: BlindSRStage, name: str) -> Tensor:
    counters = (stage.generator_steps, stage.discriminator_steps, stage.calibration_steps)
    return counters[ORDER.index(cast("PhaseName", name))]


def require_generator(stages: list[BlindSRStage]) -> None:
    """Check that there are generators whose errors a discriminator can learn.

    Raises:
        ConfigError: there are not; the message says how to get them.
    """
    for stage in stages:
        if int(stage.generator_steps) == 0:
            raise ConfigError(
                f"technique.phase=discriminator needs what technique.phase=generator trains, but the generator of "
                f"x{stage.scale} is untrained. Run technique.phase=generator first (the checkpoint of the cell is gone "
                "on with), or bring it with weights=FILE, or train both with technique.phase=all."
            )


def require_networks(stages: list[BlindSRStage]) -> None:
    """Check that there are generators and discriminators whose bias can be measured.

    Raises:
        ConfigError: there are not; the message says how to get them.
    """
    for stage in stages:
        for name in NETWORKS:
            if steps_done(stage, name) == 0:
                raise ConfigError(
                    f"technique.phase=calibration needs what technique.phase={name} trains, but the {name} of "
                    f"x{stage.scale} is untrained. Run technique.phase={name} first (the checkpoint of the cell is "
                    "gone on with), or bring it with weights=FILE, or train everything with technique.phase=all."
                )


def require_all(stages: list[BlindSRStage]) -> None:
    """Check that the technique can super-resolve; it can without calibration.

    Raises:
        ConfigError: a network is untrained.
    """
    for stage in stages:
        for name in NETWORKS:
            if steps_done(stage, name) == 0:
                raise ConfigError(
                    f"the {name} of x{stage.scale} is untrained: run train.py with technique.phase={name} (or all) on "
                    "this cell, or bring it with weights=FILE."
                )


def count_step(stages: list[BlindSRStage], name: str) -> None:
    """Note that a step has been taken."""
    for stage in stages:
        _counter(stage, name).add_(1)


def add_optimizer_group(checkpoint: dict[str, Any], added: list[nn.Module]) -> None:
    """Give the optimiser of a checkpoint from before there was a calibration its group: of the same settings, empty."""
    for state in checkpoint.get("optimizer_states", []):
        groups = state["param_groups"]
        if len(groups) == len(ORDER) - 1:
            first = sum(len(group["params"]) for group in groups)
            count = sum(1 for module in added for _ in module.parameters())
            groups.append(groups[-1] | {"params": list(range(first, first + count))})
