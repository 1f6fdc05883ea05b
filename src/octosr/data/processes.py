"""Who speaks, and for how many, when several processes run the same thing."""

from __future__ import annotations

import logging
import os

import pytorch_lightning as pl
from pytorch_lightning.utilities.rank_zero import rank_zero_only


def is_first() -> bool:
    """Whether this is the process that logs and shows progress; known from the environment, before any Trainer."""
    return int(getattr(rank_zero_only, "rank", None) or 0) == 0


def say(log: logging.Logger, level: int, line: str) -> None:
    """Log a line once, whatever the number of processes."""
    if is_first():
        log.log(level, "%s", line)


def on_this_machine(trainer: pl.Trainer | None) -> int:
    """How many processes load the same data here."""
    return trainer.num_devices if trainer is not None else int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
