"""What became of each cell (technique x dataset) of training and evaluation: one small file a cell.

``OUTPUT_ROOT/sweep/JOB/TECHNIQUE/DATASET.json``. A run that begins removes the file, so that a cell which is killed
leaves none; one that ends, well or not, writes it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from octosr.atomic import write_bytes
from octosr.errors import ConfigError

Job = Literal["train", "eval"]
JOBS: tuple[Job, ...] = get_args(Job)


@dataclass(frozen=True)
class CellState:
    """How a run of a cell ended.

    Attributes:
        technique: name of the technique.
        dataset: name of the dataset.
        job: ``train`` or ``eval``.
        state: ``done`` or ``failed``.
        reason: why it failed, as it was said on the screen; empty for ``done``.
        seconds: how long it took.
    """

    technique: str
    dataset: str
    job: str
    state: Literal["done", "failed"]
    reason: str
    seconds: float


def path_of(output_root: Path, job: str, technique: str, dataset: str) -> Path:
    """The file of a cell."""
    return output_root / "sweep" / job / technique / f"{dataset}.json"


def write_state(output_root: Path, state: CellState) -> None:
    """Write the file of a cell, whole or not at all."""
    content = json.dumps(asdict(state) | {"seconds": round(state.seconds, 3)}, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path_of(output_root, state.job, state.technique, state.dataset), content.encode("utf-8", "replace"))


def forget_state(output_root: Path, job: str, technique: str, dataset: str) -> None:
    """Remove the file of a cell that is run again."""
    path_of(output_root, job, technique, dataset).unlink(missing_ok=True)


def read_states(output_root: Path) -> list[CellState]:
    """The states of all cells that were run, sorted by job, technique and dataset.

    Raises:
        ConfigError: a file is damaged; the message names it.
    """
    found = []
    for path in sorted((output_root / "sweep").glob("*/*/*.json")):
        if path.name.startswith("."):
            continue
        try:
            state = CellState(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{path} is damaged ({error}). Remove it; running the cell again writes it anew."
            ) from error
        found.append(state)
    return found


def is_main_process() -> bool:
    """Whether this process is the first of those that work on a cell together; it alone writes."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
