"""Hands cells to a launcher of Hydra's (joblib, submitit_local, submitit_slurm): all that are left, as one batch a job.

The launcher starts them; their states on disk say how they go. See :mod:`hydra_plugins.octosr_cells` for how any set of
cells, not only a full product of the axes, becomes one batch.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from octosr.runs.cells import Job
from octosr.runs.matrix.arguments import Request
from octosr.runs.matrix.entry import ENDED, Entry
from octosr.runs.matrix.plan import MatrixCell, Plan, quoted
from octosr.runs.matrix.scheduler import LOOK_ELSEWHERE_SECONDS, View, leave_the_rest
from octosr.runs.matrix.slurm_queue import LAUNCHER, write_batch
from octosr.runs.matrix.stop import Stop
from octosr.runs.matrix.verdict import Verdict
from octosr.runs.matrix.workers import FreshWorker


def run_by_launcher(
    request: Request,
    plan: Plan,
    entries: Sequence[Entry],
    judge: Callable[[MatrixCell], Verdict],
    view: View,
    stop: Stop,
) -> None:
    """Train, then evaluate what has been trained.

    Args:
        request: what was asked for; its launcher is used.
        plan: all cells.
        entries: one for each.
        judge: looks at a cell's state on disk.
        view: is told.
        stop: says whether to end; the launcher is told then, and its jobs with it where it does so.
    """
    by_cell = {entry.cell: entry for entry in entries}
    jobs: tuple[Job, ...] = ("train", "eval")
    with stop:
        for job in jobs:
            mine = [entry for entry in entries if entry.cell.job == job]
            _leave_untrained(mine, plan, by_cell, view)
            todo = _to_run(mine, judge, view)
            if todo and not stop.asked:
                _launch(request, job, todo, view, stop)
            _wait_elsewhere(mine, judge, view, stop)
    leave_the_rest(entries)


def _leave_untrained(mine: Sequence[Entry], plan: Plan, by_cell: dict[MatrixCell, Entry], view: View) -> None:
    for entry in mine:
        training = plan.training_of(entry.cell)
        if training is not None and by_cell[training].word != "done":
            failed = by_cell[training].word == "failed"
            entry.end("left", f"its training is {'failed' if failed else 'not finished'}")
            view.changed(entry)


def _to_run(mine: Sequence[Entry], judge: Callable[[MatrixCell], Verdict], view: View) -> list[Entry]:
    todo = []
    for entry in mine:
        if entry.word in ENDED:
            continue
        verdict = judge(entry.cell)
        state = entry.cell.state()
        if verdict.action == "run":
            todo.append(entry)
            continue
        if verdict.action == "wait" or state is None:
            entry.word, entry.why = "elsewhere", verdict.why
        else:
            entry.take(state)
        view.changed(entry)
    return todo


def _launch(request: Request, job: Job, todo: Sequence[Entry], view: View, stop: Stop) -> None:
    folder = request.output_root / "sweep" / job
    batch, name = write_batch(folder, job, [entry.cell for entry in todo], request.launcher_settings)
    command = ["-m", "hydra/sweeper=cells", f"hydra.sweeper.file={quoted(batch.resolve())}"]
    command += [f"hydra/launcher={request.launcher}", *request.launcher_settings]
    command += [name] if request.launcher == LAUNCHER else []
    command += [f"output_root={quoted(request.output_root)}"]
    log = folder / "launcher.log"
    begun = time.time()
    worker = FreshWorker(job, command, os.environ, log)
    for entry in todo:
        entry.begun = begun
    while (code := worker.poll()) is None:
        if stop.asked and (number := stop.signal_for(worker)) is not None:
            worker.signal(number)
        _follow(todo, view)
        time.sleep(LOOK_ELSEWHERE_SECONDS / 4)
    _follow(todo, view)
    for entry in todo:
        if entry.word == "waiting" and not stop.asked:
            entry.end("failed", f"the launcher has ended before this cell was run: {_last_line(log, code)}")
            view.changed(entry)


def _follow(todo: Sequence[Entry], view: View) -> None:
    for entry in todo:
        if entry.word in ENDED:
            continue
        state = entry.cell.state()
        if state is None or state.started < entry.begun - 1:  # of an earlier start; clocks of machines differ a little
            continue
        entry.ours = True
        word = entry.word
        if state.state == "running" and state.is_running(entry.cell.root):
            entry.word, entry.why = "elsewhere", f"on {state.host}{f', job {state.slurm}' if state.slurm else ''}"
        elif state.state != "running":
            entry.take(state)
        if entry.word != word:
            view.changed(entry)
    view.refresh()


def _wait_elsewhere(mine: Sequence[Entry], judge: Callable[[MatrixCell], Verdict], view: View, stop: Stop) -> None:
    """Cells that go on without the launcher: other runs', or those of jobs that it did not wait for."""
    while not stop.asked and any(entry.word == "elsewhere" for entry in mine):
        for entry in mine:
            if entry.word != "elsewhere" or judge(entry.cell).action == "wait":
                continue
            state = entry.cell.state()
            if state is None:
                entry.end("left", "its job is gone from the queue and has not begun")
            else:
                entry.take(state)
            view.changed(entry)
        view.refresh()
        time.sleep(LOOK_ELSEWHERE_SECONDS)


def _last_line(log: Path, code: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [text for text in lines if text.startswith("error: ")]
    said = errors[-1].removeprefix("error: ") if errors else lines[-1] if lines else "it said nothing"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"{said} ({name}; see {log})"
