"""The two phases of training: how far a stage is in each, and what each needs."""

from __future__ import annotations

from typing import Literal, get_args

from octosr.errors import ConfigError
from octosr.techniques.blindsr.stage import BlindSRStage

PhaseName = Literal["generator", "discriminator"]
Phase = Literal["generator", "discriminator", "all"]
ORDER: tuple[PhaseName, ...] = get_args(PhaseName)


def steps_done(stage: BlindSRStage, name: str) -> int:
    """For how many steps a stage is trained in a phase."""
    return int(stage.generator_steps if name == "generator" else stage.discriminator_steps)


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


def require_all(stages: list[BlindSRStage]) -> None:
    """Check that the technique can super-resolve.

    Raises:
        ConfigError: a network is untrained.
    """
    for stage in stages:
        for name in ORDER:
            if steps_done(stage, name) == 0:
                raise ConfigError(
                    f"the {name} of x{stage.scale} is untrained: run train.py with technique.phase={name} (or all) on "
                    "this cell, or bring it with weights=FILE."
                )


def count_step(stages: list[BlindSRStage], name: str) -> None:
    """Note that a step has been taken."""
    for stage in stages:
        counter = stage.generator_steps if name == "generator" else stage.discriminator_steps
        counter += 1
