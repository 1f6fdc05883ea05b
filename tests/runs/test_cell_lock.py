"""Two runs of the same cell: the second refuses, and a dead one is in nobody's way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from octosr.errors import ConfigError
from octosr.runs.cell_lock import cell_lock

HOLDER = """
import sys, time
from pathlib import Path
from octosr.runs.cell_lock import cell_lock
with cell_lock(Path(sys.argv[1]), "train", "dan", "isaid"):
    print("has it", flush=True)
    time.sleep(60)
"""


def test_the_second_refuses_and_names_the_first_whose_death_frees_the_cell(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "has it\n"
        with pytest.raises(ConfigError, match=rf"being worked on already.*process {first.pid} on .*since 20"):
            cell_lock(tmp_path, "train", "dan", "isaid").__enter__()
        with cell_lock(tmp_path, "train", "dan", "ships"), cell_lock(tmp_path, "eval", "dan", "isaid"):
            pass  # other cells are free
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    with cell_lock(tmp_path, "train", "dan", "isaid"):
        assert str(os.getpid()) in (tmp_path / "sweep/train/dan/isaid.holder").read_text()


def test_an_error_frees_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), cell_lock(tmp_path, "eval", "dan", "isaid"):
        _ = 1 / 0
    with cell_lock(tmp_path, "eval", "dan", "isaid"):
        pass
