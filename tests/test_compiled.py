"""Compiled functions, each in a process and a folder of its own, since what is compiled is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
import numpy as np
from octosr.compiled import compiled

@compiled
def weighted(x, weight):
    total = 0.0
    for value in x:
        total += value * weight
    return total

@compiled
def over(x, y):
    return x / y
"""
PROGRAM = """
import logging
import numpy as np
logging.basicConfig(level=logging.WARNING)
from loops import over, weighted
print(weighted(np.array([1.0, 1e16, -1e16, 4.0]), 0.5), over(1.0, 0.0), sum(weighted.stats.cache_hits.values()))
"""
RESULT = "2.0 inf"
"""The sum from left to right (which is 2.5 in any other order), and a division as NumPy does it."""


def run(folder: Path, user_cache: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA")}
    environment |= {"XDG_CACHE_HOME": str(user_cache), **settings}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_results_and_the_cache(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(MODULE)
    first, second = (run(tmp_path, tmp_path / "cache") for _ in range(2))
    assert first.stdout == f"{RESULT} 0\n", first.stderr
    assert second.stdout == f"{RESULT} 1\n", second.stderr
    assert first.stderr == second.stderr == ""
    assert list((tmp_path / "__pycache__").glob("*.nbc"))


def test_a_folder_for_the_cache(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(MODULE)
    hits = [run(tmp_path, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "own")).stdout for _ in range(2)]
    assert hits == [f"{RESULT} 0\n", f"{RESULT} 1\n"]
    assert list((tmp_path / "own").rglob("*.nbc"))


def test_without_a_place_for_the_cache_it_warns_and_compiles_each_time(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(MODULE)
    (tmp_path / "__pycache__").touch()  # files where folders are needed: nothing can be written, even by root
    (tmp_path / "cache").touch()
    for _ in range(2):
        done = run(tmp_path, tmp_path / "cache")
        assert done.stdout == f"{RESULT} 0\n", done.stderr
        for name in ("weighted", "over"):
            assert f"WARNING:octosr.compiled:{name} is compiled anew in each process, because" in done.stderr
        assert "set NUMBA_CACHE_DIR" in done.stderr
