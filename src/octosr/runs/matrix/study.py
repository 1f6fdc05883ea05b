"""``multirun.sh``: the matrix, then the report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from octosr.catalog import DATASETS
from octosr.errors import MissingDataError
from octosr.runs.conf import conf_folder
from octosr.runs.console import console
from octosr.runs.fingerprint import digest_of_configs
from octosr.runs.matrix import workers
from octosr.runs.matrix.arguments import Request, parse
from octosr.runs.matrix.entry import Entry
from octosr.runs.matrix.handover import run_by_launcher
from octosr.runs.matrix.places import environments
from octosr.runs.matrix.plan import MatrixCell, Plan, composed, make_plan, quoted
from octosr.runs.matrix.scheduler import Scheduler
from octosr.runs.matrix.seeds import write_seeds
from octosr.runs.matrix.slurm_queue import LAUNCHER, SlurmQueue
from octosr.runs.matrix.stop import Stop
from octosr.runs.matrix.verdict import Verdict, judge_cell
from octosr.runs.matrix.view import STYLES, LiveView, show_end, summary


def study(arguments: Sequence[str]) -> int:
    """Run what the command line asks for.

    Returns:
        The exit code: 0 if every cell is done and the report made, ``128 + signal`` after a stop, else 1.

    Raises:
        OctoSRError: the command line names something that is not there, or data are missing.
        SystemExit: ``--help``, or something that is no setting.
    """
    request = parse(arguments)
    warm = request.warm and request.launcher == "basic" and not request.dry_run and workers.can_be_warm()
    if warm:
        workers.open_server()
    plan = make_plan(request)
    configs = digest_of_configs(conf_folder())

    queue = SlurmQueue(request.output_root) if request.launcher == LAUNCHER else None

    def judge(cell: MatrixCell) -> Verdict:
        verdict = judge_cell(cell, request.retry, configs, composed, cell.state())
        job = queue.job_of(cell) if queue is not None and verdict.action == "run" else None
        return verdict if job is None else Verdict("wait", f"in SLURM's queue as job {job}")

    if request.dry_run:
        show_plan(plan, judge)
        return 0
    check_data(plan, judge)
    entries = [Entry(cell) for cell in plan.cells]
    stop = Stop()
    with LiveView(entries, console) as view:
        if request.launcher == "basic":
            by_cell = {entry.cell: entry for entry in entries}
            needs = {c: by_cell[t] for c in plan.cells if (t := plan.training_of(c)) is not None}
            start: Callable[..., workers.Worker] = workers.WarmWorker if warm else workers.FreshWorker
            Scheduler(entries, needs, judge, start, environments(request.jobs), view, stop).run()
        else:
            run_by_launcher(request, plan, entries, judge, view, stop)
    show_end(entries, console)
    if stop.received is not None:
        return 128 + stop.received
    failed = any(entry.word != "done" for entry in entries)
    reported = [make_report(request, plan, root) for root in plan.roots if request.report]
    if len(plan.roots) > 1:
        console.print(f"seeds    {write_seeds(request.output_root, entries)}", markup=False)
    return int(failed or any(reported))


def show_plan(plan: Plan, judge: Callable[[MatrixCell], Verdict]) -> None:
    """What would be run, and why; an evaluation after a training that would be run is judged then."""
    entries = [Entry(cell) for cell in plan.cells]
    by_cell = {entry.cell: entry for entry in entries}
    table = Table("", "cell", "why")
    for entry in entries:
        training = plan.training_of(entry.cell)
        if training is not None and by_cell[training].word != "done":
            entry.word, entry.why = "waiting", "after its training"
        else:
            verdict: Verdict = judge(entry.cell)
            entry.word = "done" if verdict.action == "skip" else "waiting" if verdict.action == "run" else "elsewhere"
            entry.why = verdict.why
        words = {"done": "skip", "waiting": "run", "elsewhere": "wait"}
        table.add_row(f"[{STYLES[entry.word]}]{words[entry.word]}[/]", escape(str(entry.cell)), escape(entry.why))
    console.print(table)
    console.print(summary(entries), markup=False)


def check_data(plan: Plan, judge: Callable[[MatrixCell], Verdict]) -> None:
    """Look for the datasets of the cells that are to be run, before any of them is.

    Raises:
        MissingDataError: some are not there; one message for all.
    """
    from octosr.data.locate import locate, missing_message

    missing: dict[str, None] = {}
    root = "data"
    for cell in plan.cells:
        settings = dict(setting.split("=", 1) for setting in cell.overrides)
        option = settings["dataset"]
        if option not in DATASETS or settings.get("metrics.only") == "true" or settings["technique"] == "precomputed":
            continue
        root = settings.get("data.root", "data").strip("'\"")
        try:
            locate(option, root)
        except MissingDataError:
            if judge(cell).action == "run":
                missing[option] = None
    if missing:
        raise MissingDataError(missing_message(list(missing), root))


def make_report(request: Request, plan: Plan, root: Path) -> int:
    """Run report.py on the results of one seed; returns its exit code."""
    command = [sys.executable, workers.script_of("report"), f"techniques=[{','.join(plan.techniques)}]"]
    if request.datasets:
        command.append(f"datasets=[{','.join(plan.datasets)}]")
    command += [f"output_root={quoted(root)}", *request.settings["report"]]
    console.print(f"report   {root}", markup=False)
    return subprocess.run(command, check=False).returncode
