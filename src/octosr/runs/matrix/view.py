"""How the matrix goes: a live table on a terminal, a line for each change elsewhere; and the table at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from octosr.durations import format_duration
from octosr.runs.matrix.entry import Entry
from octosr.runs.sweep import CellResult, results_table

STYLES = {
    "done": "green",
    "failed": "red",
    "running": "cyan",
    "elsewhere": "magenta",
    "waiting": "dim",
    "left": "yellow",
}
REFRESH_SECONDS = 0.5
MOST_FAILURES = 12


class LiveView:
    """Shows the entries while it is entered.

    Args:
        entries: the cells.
        console: where to; lines instead of a table where it is no terminal.
    """

    def __init__(self, entries: Sequence[Entry], console: Console) -> None:
        self.entries, self.console = entries, console
        self._since = self._shown = time.monotonic()
        # No thread that redraws by itself: the loop that watches the cells does it.
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> LiveView:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def changed(self, entry: Entry) -> None:
        """A line, unless the cell was finished by an earlier start."""
        if entry.word == "done" and not entry.ours:
            return
        if self._live is None or entry.word in ("failed", "left"):
            self.console.print(line(entry))
        self.refresh(now=True)

    def refresh(self, now: bool = False) -> None:
        """Draw the table, not too often."""
        if self._live is not None and (now or time.monotonic() - self._shown >= REFRESH_SECONDS):
            self._shown = time.monotonic()
            self._live.update(self.table(), refresh=True)

    def table(self) -> Group:
        """Counts for each job and technique, the running cells with their progress, and why cells failed."""
        counts = Table(title=f"{summary(self.entries)}, {format_duration(time.monotonic() - self._since)}")
        for column in ("job", "technique", "done", "running", "waiting", "failed", "left", "time used"):
            counts.add_column(column, justify="left" if column in ("job", "technique") else "right")
        for job, technique in dict.fromkeys((e.cell.job, e.cell.technique) for e in self.entries):
            row = [e for e in self.entries if (e.cell.job, e.cell.technique) == (job, technique)]
            words = Counter(e.word for e in row)
            words["running"] += words.pop("elsewhere", 0)
            used = sum(e.seconds if e.worker is None else e.elapsed for e in row)
            shown = [str(words[word] or "") for word in ("done", "running", "waiting", "failed", "left")]
            counts.add_row(job, escape(technique), *shown, format_duration(used))
        now = Table(box=None, show_header=False)
        for entry in self.entries:
            if entry.word in ("running", "elsewhere"):
                elapsed = format_duration(entry.elapsed) if entry.worker is not None else entry.why
                now.add_row(f"[cyan]running[/] {escape(str(entry.cell))}", escape(entry.progress), escape(elapsed))
        failed = [entry for entry in self.entries if entry.word == "failed"]
        for entry in failed[-MOST_FAILURES:]:
            now.add_row(f"[red]failed[/]  {escape(str(entry.cell))}", escape(_first_line(entry.why)), "")
        return Group(counts, now)


def line(entry: Entry) -> str:
    """One line about a cell."""
    style = STYLES[entry.word]
    word = f"[{style}]{'running' if entry.word == 'elsewhere' else entry.word:9}[/]"
    if entry.word in ("running", "elsewhere"):
        return f"{word} {escape(str(entry.cell))}  ({escape(_first_line(entry.why))})"
    why = f": {escape(_first_line(entry.why))}" if entry.why else ""
    time_used = f"  {format_duration(entry.seconds)}" if entry.seconds else ""
    return f"{word} {escape(str(entry.cell))}{time_used}{why}"


def summary(entries: Sequence[Entry]) -> str:
    """Counts in words, e.g. ``8 cells: 6 done (4 of them before), 2 failed``."""
    words = Counter(entry.word for entry in entries)
    before = sum(entry.word == "done" and not entry.ours for entry in entries)
    parts = [
        f"{words[word]} {word}" for word in ("done", "running", "elsewhere", "waiting", "failed", "left") if words[word]
    ]
    if before:
        parts[0] += f" ({before} of them before)" if before < words["done"] else " (all of them before)"
    return f"{len(entries)} cell{'s' if len(entries) != 1 else ''}: {', '.join(parts) or 'none'}"


def show_end(entries: Sequence[Entry], console: Console) -> None:
    """The results of the evaluations, whenever they were made, then what failed or is left, and why."""
    for seed in dict.fromkeys(entry.cell.seed for entry in entries):
        results = [
            CellResult(**entry.result)  # type: ignore[arg-type]
            for entry in entries
            if entry.word == "done" and entry.cell.job == "eval" and entry.cell.seed == seed and entry.result
        ]
        if results:
            table = results_table(results)
            table.caption = f"seed {seed}" if seed else None
            console.print(table)
    for entry in entries:
        if entry.word in ("failed", "left"):
            console.print(f"[{STYLES[entry.word]}]{entry.word}[/] {escape(str(entry.cell))}: {escape(entry.why)}")
    console.print(summary(entries), markup=False)


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
