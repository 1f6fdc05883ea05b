"""Whether a cell is to be run, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig

from octosr.runs.cells import CellState
from octosr.runs.fingerprint import differences, digest_of_files, inputs_of, settings_of
from octosr.runs.matrix.plan import MatrixCell

Action = Literal["run", "skip", "wait"]

_INPUTS = {"data": "the dataset's files have changed", "weights": "the weights have changed"}


@dataclass(frozen=True)
class Verdict:
    """What to do with a cell: ``run`` it, ``skip`` it, or ``wait`` for the run that has it."""

    action: Action
    why: str


def judge_cell(
    cell: MatrixCell, retry: str, configs: str, compose: Callable[[MatrixCell], DictConfig], state: CellState | None
) -> Verdict:
    """Look at a cell's state on disk.

    Args:
        cell: the cell.
        retry: ``failed``, ``none`` or ``all``: what that has ended is run again.
        configs: digest of the config files.
        compose: gives the cell's config; called where its settings may have changed, since it takes a while.
        state: of the cell.
    """
    if state is None:
        return Verdict("run", "never run")
    if state.is_running(cell.root):
        return Verdict("wait", f"run by process {state.pid} on {state.host}")
    if state.state == "running":
        return Verdict("run", "was interrupted")
    if state.state == "failed":
        reason = state.reason.partition("\n")[0]
        return Verdict("skip" if retry == "none" else "run", f"failed before: {reason}")
    if state.state == "pending":
        return Verdict("run", f"to go on: {state.reason}")
    if retry == "all":
        return Verdict("run", "again, as asked for")
    changes = _changes(cell, configs, compose, state)
    return Verdict("run", f"changed since: {'; '.join(changes)}") if changes else Verdict("skip", "done")


def _changes(
    cell: MatrixCell, configs: str, compose: Callable[[MatrixCell], DictConfig], state: CellState
) -> list[str]:
    settings: dict[str, Any] = state.settings
    changes: list[str] = []
    if list(cell.overrides) != state.overrides or configs != state.configs:
        settings = settings_of(compose(cell), cell.job)
        changes = differences(state.settings, settings)
    now = inputs_of(settings, cell.root, cell.job, cell.technique)
    if now["data"] == digest_of_files([]):
        now["data"] = state.inputs.get("data", "")  # results stay good where the images have been taken away since
    return changes + [_INPUTS[name] for name in now if now[name] != state.inputs.get(name)]
