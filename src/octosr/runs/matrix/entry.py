"""A cell as the running matrix sees it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field, replace
from typing import Literal

from octosr.runs.cells import CellState, log_path, progress_path, write_state
from octosr.runs.claim import read_progress
from octosr.runs.matrix.plan import MatrixCell
from octosr.runs.matrix.workers import Worker

Word = Literal["waiting", "running", "elsewhere", "done", "failed", "left"]
ENDED = ("done", "failed", "left")
MOST_OF_A_LOG = 65536


@dataclass
class Entry:
    """A cell and what has become of it.

    Attributes:
        cell: the cell.
        word: ``waiting`` (to be looked at), ``running`` (by us), ``elsewhere`` (by another run), ``done``, ``failed``,
            or ``left``: there is still something to do, but not now.
        why: the reason of that.
        ours: it was run by this start.
        looked_at: its state on disk has been looked at.
        seconds: that it took, at whatever start.
        begun: when we started it, in seconds since 1970.
        worker: its process.
        place: which of the places it is in.
        result: its figures.
    """

    cell: MatrixCell
    word: Word = "waiting"
    why: str = ""
    ours: bool = False
    looked_at: bool = False
    seconds: float = 0.0
    begun: float = 0.0
    worker: Worker | None = None
    place: int = 0
    result: dict[str, object] = field(default_factory=dict)

    @property
    def progress(self) -> str:
        """How far the running cell is."""
        return read_progress(progress_path(*self.cell.place))

    @property
    def elapsed(self) -> float:
        """How long it has been running."""
        return time.time() - self.begun

    def end(self, word: Word, why: str = "") -> None:
        """It is over for now."""
        self.word, self.why, self.worker = word, why, None

    def take(self, state: CellState) -> None:
        """Take over how a state on disk ended."""
        words: dict[str, Word] = {"done": "done", "failed": "failed", "pending": "left", "running": "left"}
        self.end(words[state.state], state.reason or ("interrupted" if state.state == "running" else ""))
        self.seconds, self.result = state.seconds, state.result

    def settle(self, code: int, stopping: bool) -> None:
        """The process has ended: how, the state on disk says, or the exit code where there was no time to write it."""
        state = self.cell.state()
        if state is not None and state.is_running(self.cell.root):  # it was refused: another run has the cell
            self.word, self.worker = "elsewhere", None
        elif state is not None and state.started >= self.begun and state.state != "running":
            self.take(state)
        elif stopping:
            self.end("left", "interrupted")
        else:
            self.end("failed", self._last_words(code))
            self.seconds = self.elapsed
            before = state or CellState(self.cell.technique, self.cell.dataset, self.cell.job, "failed", "", 0.0)
            write_state(self.cell.root, replace(before, state="failed", reason=self.why, seconds=self.seconds))

    def _last_words(self, code: int) -> str:
        log = log_path(*self.cell.place)
        if code < 0:
            memory = ", as the system does when memory runs out" if code == -signal.SIGKILL else ""
            return f"killed by {signal.Signals(-code).name}{memory}; see {log}"
        lines = log.read_text(encoding="utf-8", errors="replace")[-MOST_OF_A_LOG:].splitlines() if log.is_file() else []
        errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        if errors:
            return "\n".join(lines[errors[-1] :]).removeprefix("error: ")
        return f"{lines[-1] if lines else 'it said nothing'} (exit code {code}; see {log})"
