"""What the scheduler does with cells that end in all ways; their processes are imagined, their states are on disk."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig
from rich.console import Console

from octosr.runs.cells import CellState, log_path, write_state
from octosr.runs.fingerprint import inputs_of
from octosr.runs.liveness import start_of, this_host
from octosr.runs.matrix import scheduler as module
from octosr.runs.matrix.entry import Entry
from octosr.runs.matrix.plan import MatrixCell
from octosr.runs.matrix.scheduler import Scheduler
from octosr.runs.matrix.seeds import seed_table
from octosr.runs.matrix.stop import Stop
from octosr.runs.matrix.verdict import Verdict, judge_cell
from octosr.runs.matrix.view import LiveView, show_end, summary


def cell(root: Path, job: Any, technique: str, dataset: str = "isaid") -> MatrixCell:
    return MatrixCell(job, technique, dataset, "", root, (f"technique={technique}", f"dataset={dataset}"))


def state_of(c: MatrixCell, word: Any, reason: str = "", **more: Any) -> CellState:
    state = CellState(c.technique, c.dataset, c.job, word, reason, 1.5, time.time(), this_host(), 0, 0)
    return replace(state, overrides=list(c.overrides), configs="same", **more)


@dataclass
class Imagined:
    """A process that does something when it is first looked at, and then has ended."""

    do: Callable[[], int]
    pid: int | None = 1
    sent: list[int] = field(default_factory=list)

    def poll(self) -> int | None:
        return self.do()

    def signal(self, number: int) -> None:
        self.sent.append(number)


class Machine:
    """Starts imagined processes: ``outcomes`` says what becomes of the cells that are started."""

    def __init__(self, root: Path, outcomes: dict[str, Callable[[MatrixCell], int]]) -> None:
        self.root, self.outcomes, self.started = root, outcomes, []

    def __call__(self, job: Any, overrides: tuple[str, ...], environment: Any, log: Path) -> Imagined:
        named = dict(override.split("=") for override in overrides)
        made = cell(self.root, job, named["technique"], named["dataset"])
        assert environment[module.PARENT].startswith(f"{os.getpid()}:")
        assert log == log_path(*made.place)
        self.started.append(str(made))
        return Imagined(lambda: self.outcomes.get(str(made), done)(made))


def done(c: MatrixCell) -> int:
    write_state(c.root, state_of(c, "done", result={"technique": c.technique, "dataset": c.dataset, "kind": "study"}))
    return 0


def run(cells: list[MatrixCell], machine: Machine, retry: str = "failed", stop: Stop | None = None) -> list[Entry]:
    entries = [Entry(c) for c in cells]
    trainings = {(e.cell.technique, e.cell.dataset): e for e in entries if e.cell.job == "train"}
    needs = {c: trainings[c.technique, c.dataset] for c in cells if c.job == "eval" and c.technique == "dan"}

    def judge(c: MatrixCell) -> Verdict:
        state = c.state()
        if state is not None and state.state == "done":
            return Verdict("skip", "done")
        return judge_cell(c, retry, "same", lambda _: DictConfig({}), state)

    view = LiveView(entries, Console(file=io.StringIO()))
    Scheduler(entries, needs, judge, machine, [{}], view, stop or Stop()).run()
    return entries


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module, "LOOK_ELSEWHERE_SECONDS", 0.0)


def test_failures_stop_no_other_cell_and_their_reasons_are_kept(tmp_path: Path) -> None:
    def says(text: str, code: int) -> Callable[[MatrixCell], int]:
        def end(c: MatrixCell) -> int:
            log_path(*c.place).parent.mkdir(parents=True, exist_ok=True)
            log_path(*c.place).write_text(text)
            return code

        return end

    def fails(c: MatrixCell) -> int:
        write_state(c.root, state_of(c, "failed", "no data\nget them"))
        return 1

    names = ("nearest", "bilinear", "bicubic", "lanczos")
    cells = [cell(tmp_path, "train", "dan"), cell(tmp_path, "eval", "dan"), *(cell(tmp_path, "eval", n) for n in names)]
    outcomes = {
        "train dan on isaid": fails,
        "eval nearest on isaid": says("x\nerror: There is no setting 'sed'. Did you mean seed?\n", 1),
        "eval bilinear on isaid": says("", -signal.SIGKILL),
        "eval bicubic on isaid": says("Traceback\nKeyError: 'x'", 1),
    }
    machine = Machine(tmp_path, outcomes)
    entries = run(cells, machine)
    assert {str(e.cell): (e.word, e.why.partition("; see")[0].partition(" (exit")[0]) for e in entries} == {
        "train dan on isaid": ("failed", "no data\nget them"),
        "eval dan on isaid": ("left", "its training is failed"),
        "eval nearest on isaid": ("failed", "There is no setting 'sed'. Did you mean seed?"),
        "eval bilinear on isaid": ("failed", "killed by SIGKILL, as the system does when memory runs out"),
        "eval bicubic on isaid": ("failed", "KeyError: 'x'"),
        "eval lanczos on isaid": ("done", ""),
    }
    assert "eval dan on isaid" not in machine.started
    assert summary(entries) == "6 cells: 1 done, 4 failed, 1 left"

    # Started again: what is done is left alone, the reasons of the others are on disk.
    assert all(e.word == "failed" for e in run(cells[2:5], Machine(tmp_path, {}), retry="none"))
    again = Machine(tmp_path, {})
    entries = run(cells, again)
    assert again.started == [str(c) for c in cells[:5]]
    assert summary(entries) == "6 cells: 6 done (1 of them before)"


def test_a_cell_that_another_run_has_is_waited_for(tmp_path: Path) -> None:
    mine = cell(tmp_path, "eval", "bicubic")
    write_state(tmp_path, replace(state_of(mine, "running"), pid=os.getpid(), pid_start=start_of(os.getpid())))
    other = cell(tmp_path, "eval", "lanczos")

    def and_the_other_run_ends(c: MatrixCell) -> int:
        done(mine)
        return done(c)

    machine = Machine(tmp_path, {"eval lanczos on isaid": and_the_other_run_ends})
    entries = run([mine, other], machine)
    assert machine.started == ["eval lanczos on isaid"]
    assert [(e.word, e.ours) for e in entries] == [("done", False), ("done", True)]


def test_a_dead_run_is_known_by_its_process(tmp_path: Path) -> None:
    mine = cell(tmp_path, "eval", "bicubic")
    write_state(tmp_path, replace(state_of(mine, "running"), pid=2**22 + 1, pid_start=1))
    machine = Machine(tmp_path, {})
    (entry,) = run([mine], machine)
    assert (entry.word, machine.started) == ("done", ["eval bicubic on isaid"])


def test_a_stop_ends_the_running_cell_and_begins_no_other(tmp_path: Path) -> None:
    stop = Stop()
    cells = [cell(tmp_path, "eval", name) for name in ("bicubic", "lanczos")]
    looks = []

    def is_told(c: MatrixCell) -> Any:
        looks.append(1)
        if len(looks) == 1:
            signal.raise_signal(signal.SIGTERM)
        return None if len(looks) < 4 else 143

    before = signal.getsignal(signal.SIGTERM)
    machine = Machine(tmp_path, {"eval bicubic on isaid": is_told})
    entries = run(cells, machine, stop=stop)
    assert stop.received == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert [(e.word, e.why) for e in entries] == [("left", "interrupted"), ("left", "not begun")]
    assert len(machine.started) == 1


def test_a_finished_cell_is_run_again_when_what_it_was_made_of_has_changed(tmp_path: Path) -> None:
    mine = cell(tmp_path, "eval", "dan")
    settings = {"dataset.name": "isaid", "dataset.path": str(tmp_path / "d"), "seed": 0, "weights": None}
    config = DictConfig({"output_root": "o", "dataset": {"name": "isaid", "path": str(tmp_path / "d")}, "seed": 0})
    config.weights = None

    def judged(state: CellState, config: DictConfig = config, configs: str = "same") -> tuple[str, str]:
        verdict = judge_cell(mine, "failed", configs, lambda _: config, state)
        return verdict.action, verdict.why

    inputs = inputs_of(settings, tmp_path, "eval", "dan")
    state = state_of(mine, "done", settings=settings, inputs=inputs)
    assert judged(state) == ("skip", "done")
    assert judged(state, configs="others") == ("skip", "done")  # the files changed, but not what this cell gets
    other = DictConfig({**config, "seed": 1})
    assert judged(state, other) == ("skip", "done")  # nothing was typed differently, so nothing is composed
    assert judged(replace(state, overrides=[]), other) == ("run", "changed since: seed: 0 -> 1")
    assert judged(replace(state, state="pending", reason="time over")) == ("run", "to go on: time over")
    checkpoint = tmp_path / "checkpoints/dan/isaid/last.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    assert judged(state) == ("run", "changed since: the weights have changed")
    assert judge_cell(mine, "all", "same", lambda _: config, state).why == "again, as asked for"


def test_seeds_give_mean_and_standard_deviation_and_the_end_shows_all_results(tmp_path: Path) -> None:
    entries = []
    for seed, value in (("0", 4.25), ("1", 6.25)):
        result = {"technique": "dan", "dataset": "isaid", "kind": "study", "values": {"niqe": value}}
        entries.append(Entry(replace(cell(tmp_path, "eval", "dan"), seed=seed), "done", result=result))
    (row,) = seed_table(entries).to_dict("records")
    assert row == pytest.approx({"seeds": 2, "mean": 5.25, "sd": 2**0.5} | dict(list(row.items())[:3]))
    out = io.StringIO()
    show_end(entries, Console(file=out, width=100))
    assert "4.2500" in out.getvalue()
    assert "seed 1" in out.getvalue()
    out = io.StringIO()
    live = LiveView([Entry(cell(tmp_path, "train", "dan"), "running", begun=time.time())], Console(file=out, width=100))
    Console(file=out, width=100).print(live.table())
    assert "running train dan on isaid" in out.getvalue()
