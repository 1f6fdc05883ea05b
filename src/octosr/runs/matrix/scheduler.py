"""Runs cells on this machine: one after the other, or several at a time; a cell that fails stops no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from octosr.runs.cells import log_path
from octosr.runs.claim import PARENT
from octosr.runs.liveness import start_of
from octosr.runs.matrix.entry import ENDED, Entry
from octosr.runs.matrix.plan import MatrixCell
from octosr.runs.matrix.stop import Stop
from octosr.runs.matrix.verdict import Verdict
from octosr.runs.matrix.workers import Worker

LOOK_SECONDS = 0.2
LOOK_ELSEWHERE_SECONDS = 2.0


class View(Protocol):
    """Shows how it goes."""

    def changed(self, entry: Entry) -> None:
        """A cell has begun or ended."""

    def refresh(self) -> None:
        """Called a few times a second."""


class Scheduler:
    """Goes through the cells in their order.

    Args:
        entries: the cells; an evaluation stands behind the training that it needs.
        training_of: says which that is.
        judge: looks at a cell's state on disk; asked just before it would be begun, since other runs may be at work.
        start: makes a process for a cell: job, overrides, environment, log.
        places: additions to the environment, one for each of the cells at a time.
        view: is told.
        stop: says whether to end.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        training_of: Mapping[MatrixCell, Entry],
        judge: Callable[[MatrixCell], Verdict],
        start: Callable[..., Worker],
        places: Sequence[Mapping[str, str]],
        view: View,
        stop: Stop,
    ) -> None:
        self.entries = entries
        self._training_of, self._judge, self._start = training_of, judge, start
        self._places, self._view, self._stop = places, view, stop
        self._looked = 0.0

    def run(self) -> None:
        """Until every cell has ended, or the last running one after a stop."""
        with self._stop:
            while True:
                self._reap()
                if self._stop.asked:
                    self._pass_on()
                else:
                    self._begin()
                running = any(entry.word == "running" for entry in self.entries)
                if not running and (self._stop.asked or all(entry.word in ENDED for entry in self.entries)):
                    break
                self._view.refresh()
                time.sleep(LOOK_SECONDS)
        leave_the_rest(self.entries)

    def _reap(self) -> None:
        for entry in self.entries:
            if entry.worker is not None and (code := entry.worker.poll()) is not None:
                entry.settle(code, self._stop.asked)
                self._view.changed(entry)
        if time.monotonic() - self._looked > LOOK_ELSEWHERE_SECONDS:
            self._looked = time.monotonic()
            for entry in self.entries:
                if entry.word == "elsewhere":
                    state = entry.cell.state()
                    if state is None or not state.is_running(entry.cell.root):
                        entry.word = "waiting"  # to be judged anew: done there, or to be run here

    def _pass_on(self) -> None:
        for entry in self.entries:
            if entry.worker is not None and (number := self._stop.signal_for(entry.worker)) is not None:
                entry.worker.signal(number)

    def _begin(self) -> None:
        free = set(range(len(self._places))) - {e.place for e in self.entries if e.word == "running"}
        for entry in self.entries:
            if self._stop.asked or entry.word != "waiting":
                continue
            training = self._training_of.get(entry.cell)
            if training is not None and training.word not in ENDED:
                continue
            if training is not None and training.word != "done":
                entry.end("left", f"its training is {'failed' if training.word == 'failed' else 'not finished'}")
                self._view.changed(entry)
                continue
            if free or not entry.looked_at:
                self._consider(entry, free)

    def _consider(self, entry: Entry, free: set[int]) -> None:
        """Skip, wait for or begin a cell; finished ones are taken note of even where no place is free."""
        verdict, entry.looked_at = self._judge(entry.cell), True
        if verdict.action == "wait":
            entry.word, entry.why = "elsewhere", verdict.why
        elif verdict.action == "skip":
            state = entry.cell.state()
            assert state is not None  # there was one to judge by
            entry.take(state)
        elif free:
            entry.place = free.pop()
            entry.word, entry.why, entry.ours, entry.begun = "running", verdict.why, True, time.time()
            environment = os.environ | dict(self._places[entry.place]) | {PARENT: f"{os.getpid()}:{_own_start()}"}
            entry.worker = self._start(entry.cell.job, entry.cell.overrides, environment, log_path(*entry.cell.place))
        else:
            return
        self._view.changed(entry)


def leave_the_rest(entries: Sequence[Entry]) -> None:
    """After a stop: what was not begun, or is run by another run, is left."""
    for entry in entries:
        if entry.word not in ENDED:
            entry.end("left", "not begun" if entry.word == "waiting" else entry.why)


def _own_start() -> str:
    start = start_of(os.getpid())
    return "" if start is None else str(start)
