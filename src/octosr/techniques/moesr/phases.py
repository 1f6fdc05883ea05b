"""The three phases of training: how far a stage is in each, and what each needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from octosr.errors import ConfigError
from octosr.techniques.moesr.grid import EXPERTS
from octosr.techniques.moesr.stage import MoESRStage
from octosr.techniques.phases import Schedule

PhaseName = Literal["experts", "ise", "ken"]
Phase = Literal["experts", "ise", "ken", "all"]
ORDER: tuple[PhaseName, ...] = get_args(PhaseName)


@dataclass(frozen=True)
class WarmSchedule(Schedule):
    """The schedule with a warm start of the experts.

    Attributes:
        warm: of the experts' steps, so many train the middle expert alone; the others then begin with its weights.
    """

    warm: int


def steps_done(stage: MoESRStage, name: str, expert: int | None = None) -> int:
    """For how many steps a stage is trained in a phase; of the experts the least trained (or the given one) counts."""
    if name == "experts":
        counts = stage.expert_steps if expert is None else stage.expert_steps[expert : expert + 1]
        return int(counts.min())
    return int(stage.ise_steps if name == "ise" else stage.ken_steps)


def require_earlier(stages: list[MoESRStage], name: str) -> None:
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


def count_step(stages: list[MoESRStage], name: str, experts: list[int]) -> None:
    """Note that a step has been taken."""
    for stage in stages:
        if name == "experts":
            stage.expert_steps[experts] += 1
        elif name == "ise":
            stage.ise_steps += 1
        else:
            stage.ken_steps += 1
