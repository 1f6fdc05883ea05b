"""The three phases of training, their lengths, and which one is next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from octosr.errors import ConfigError
from octosr.techniques.moesr.grid import EXPERTS
from octosr.techniques.moesr.stage import MoESRStage

PhaseName = Literal["experts", "ise", "ken"]
Phase = Literal["experts", "ise", "ken", "all"]
ORDER: tuple[PhaseName, ...] = get_args(PhaseName)


@dataclass(frozen=True)
class Schedule:
    """How long each phase is and with which learning rate it begins.

    Attributes:
        phase: what is to be trained: one of them, or ``all`` in order.
        experts, ise, ken: steps of each phase.
        warm: of the experts' steps, so many train the middle expert alone; the others then begin with its weights.
        experts_rate, ise_rate, ken_rate: learning rates of Adam at the start; they fall to a hundredth along a cosine.
    """

    phase: Phase
    experts: int
    ise: int
    ken: int
    warm: int
    experts_rate: float
    ise_rate: float
    ken_rate: float

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


def steps_done(stage: MoESRStage, name: PhaseName, expert: int | None = None) -> int:
    """For how many steps a stage is trained in a phase; of the experts the least trained (or the given one) counts."""
    if name == "experts":
        counts = stage.expert_steps if expert is None else stage.expert_steps[expert : expert + 1]
        return int(counts.min())
    return int(stage.ise_steps if name == "ise" else stage.ken_steps)


def next_phase(stages: list[MoESRStage], schedule: Schedule, expert: int | None = None) -> PhaseName | None:
    """The first wanted phase that is not finished; None: all are."""
    for name in schedule.wanted:
        if any(steps_done(stage, name, expert) < schedule.length(name) for stage in stages):
            return name
    return None


def require_earlier(stages: list[MoESRStage], name: PhaseName) -> None:
    """Check that what a phase builds on has been trained.

    Raises:
        ConfigError: it has not; the message says how to get it.
    """
    for stage in stages:
        for earlier in ORDER[: ORDER.index(name)]:
            if steps_done(stage, earlier) == 0:
                untrained = int((stage.expert_steps == 0).sum()) if earlier == "experts" else 0
                what = f"{untrained} of the {len(EXPERTS)} experts" if untrained else earlier.upper()
                raise ConfigError(
                    f"technique.phase={name} needs what technique.phase={earlier} trains, but {what} of x{stage.scale} "
                    f"are untrained. Run technique.phase={earlier} first (the checkpoint of the cell is gone on with), "
                    "or bring them with weights=FILE, or train everything with technique.phase=all."
                )


def require_all(stages: list[MoESRStage]) -> None:
    """Check that the technique can super-resolve.

    Raises:
        ConfigError: a phase is missing.
    """
    require_earlier(stages, "ken")
    for stage in stages:
        if steps_done(stage, "ken") == 0:
            raise ConfigError(
                f"KEN of x{stage.scale} is untrained: run train.py with technique.phase=ken (or all) on this cell, "
                "or bring it with weights=FILE."
            )


def count_step(stages: list[MoESRStage], name: PhaseName, experts: list[int]) -> None:
    """Note that a step has been taken."""
    for stage in stages:
        if name == "experts":
            stage.expert_steps[experts] += 1
        elif name == "ise":
            stage.ise_steps += 1
        else:
            stage.ken_steps += 1
