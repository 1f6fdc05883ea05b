"""A matrix that is killed again and again ends as one that was left alone, and does nothing twice."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.runs.cells import CellState, read_states
from octosr.scores.store import ScoreStore

ROOT = Path(__file__).resolve().parents[3]
CELLS = 4


def start(folder: Path, root: str) -> subprocess.Popen[str]:
    settings = ["techniques=bicubic,nearest", "datasets=isaid,ships", "data.root=data", f"output_root={root}"]
    return subprocess.Popen(
        [str(ROOT / "multirun.sh"), "--no-report", *settings, "logger=none", "metrics=niqe", "hardware=cpu"],
        cwd=folder,
        env=os.environ | {"PYTHON": sys.executable, "COLUMNS": "200", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(folder: Path, done: int, matrix: subprocess.Popen[str]) -> CellState:
    """Until so many cells are done and the next one runs."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and matrix.poll() is None:
        states = read_states(folder)
        running = [state for state in states if state.is_running(folder)]
        if running and sum(state.state == "done" for state in states) >= done:
            return running[0]
        time.sleep(0.02)
    raise AssertionError(f"{done} cells were never done: {matrix.communicate()[0]}")


@pytest.mark.slow
def test_two_kills_and_the_same_scores(tmp_path: Path, demo_cache: Path) -> None:
    build_standins(tmp_path / "data", ["isaid", "ships"], build_demo(demo_cache), count=2)
    whole = start(tmp_path, "whole")
    said, _ = whole.communicate(timeout=600)
    assert whole.returncode == 0, said
    assert f"{CELLS} cells: {CELLS} done\n" in said

    broken = tmp_path / "broken"
    finished: dict[tuple[str, str], float] = {}
    for number, cells_too in ((1, True), (2, False)):
        matrix = start(tmp_path, "broken")
        cell = wait_for(broken, number, matrix)
        matrix.kill()
        matrix.communicate()
        if cells_too:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(cell.pid, signal.SIGKILL)
        finished = {(s.technique, s.dataset): s.started for s in read_states(broken) if s.state == "done"}
        assert len(finished) >= number
    matrix = start(tmp_path, "broken")  # at once: the cell that lost its matrix may still be ending
    said, _ = matrix.communicate(timeout=600)
    assert matrix.returncode == 0, said
    after = {(s.technique, s.dataset): s.started for s in read_states(broken)}
    assert {key: after[key] for key in finished} == finished  # what was done was not begun again
    assert len(after) == CELLS

    for technique, dataset in after:
        tables = [ScoreStore(tmp_path / root / "scores").path(technique, dataset) for root in ("whole", "broken")]
        scores = [path.read_text(encoding="utf-8") for path in tables]
        assert scores[0] == scores[1]
    assert not list(broken.rglob("*.tmp"))
