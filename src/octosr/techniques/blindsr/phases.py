"""The two phases of training, their lengths, and which one is next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from octosr.errors import ConfigError
from octosr.techniques.blindsr.stage import BlindSRStage

PhaseName = Literal["generator", "discriminator"]
Phase = Literal["generator", "discriminator", "all"]
ORDER: tuple[PhaseName, ...] = get_args(PhaseName)


@dataclass(frozen=True)
class Schedule:
    """How long each phase is and with which learning rate it begins.

    Attributes:
        phase: what is to be trained: one of them, or ``all`` in order.
        generator, discriminator: steps of each phase.
        generator_rate, discriminator_rate: learning rates of Adam at the start; they fall to a hundredth along a
            cosine. The public code keeps them, for as many steps as one has patience.
    """

    phase: Phase
    generator: int
    discriminator: int
    generator_rate: float
    discriminator_rate: float

    def length(self, name: PhaseName) -> int:
        """Steps of a phase."""
        return int(getattr(self, name))

    @property
    def wanted(self) -> tuple[PhaseName, ...]:
        """The phases to train, in order."""
        return ORDER if self.phase == "all" else (self.phase,)

    @property
    def steps_up_to_end(self) -> int:
        """Steps of all phases up to the last wanted one."""
        return sum(self.length(name) for name in ORDER[: ORDER.index(self.wanted[-1]) + 1])

    def rate(self, name: PhaseName, done: int) -> float:
        """Learning rate after some steps of a phase."""
        start = float(getattr(self, f"{name}_rate"))
        return start * (0.01 + 0.99 * (1 + math.cos(math.pi * min(done / max(self.length(name), 1), 1))) / 2)


def steps_done(stage: BlindSRStage, name: PhaseName) -> int:
    """For how many steps a stage is trained in a phase."""
    return int(stage.generator_steps if name == "generator" else stage.discriminator_steps)


def next_phase(stages: list[BlindSRStage], schedule: Schedule) -> PhaseName | None:
    """The first wanted phase that is not finished; None: all are."""
    for name in schedule.wanted:
        if any(steps_done(stage, name) < schedule.length(name) for stage in stages):
            return name
    return None


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


def count_step(stages: list[BlindSRStage], name: PhaseName) -> None:
    """Note that a step has been taken."""
    for stage in stages:
        counter = stage.generator_steps if name == "generator" else stage.discriminator_steps
        counter += 1
