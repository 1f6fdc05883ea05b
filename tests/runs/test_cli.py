"""The entry points as they are typed: exit codes, errors in plain words, sweeps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, timeout: int = 280) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` in the repository, without a network key and without colours."""
    environment = os.environ | {"WANDB_MODE": "offline", "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_a_misspelt_key_is_answered_without_a_traceback(tmp_path: Path) -> None:
    done = run("train.py", "dataset=isaid", "trainer.max_step=20", f"output_root={tmp_path}")
    assert done.returncode == 1
    assert "Did you mean 'trainer.max_steps'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_sweep_without_data_says_one_message_and_the_line_that_gets_them(tmp_path: Path) -> None:
    done = run("eval.py", "-m", "dataset=glob(*)", f"data.root={tmp_path / 'none'}", f"output_root={tmp_path}")
    assert done.returncode == 1
    assert done.stderr.count("14 datasets not found") == 1
    assert f"python prepare.py dataset=all source=standin data.root={tmp_path / 'none'}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "hr").exists()


@pytest.mark.slow
def test_a_sweep_runs_every_cell_says_a_line_each_and_one_table(tmp_path: Path, demo_cache: Path) -> None:
    data = tmp_path / "data"
    build_standins(data, ["isaid", "ships"], build_demo(demo_cache), count=2)
    (data / "ships" / "LR" / "broken.png").write_bytes(b"not an image")
    shared = (f"data.root={data}", f"output_root={tmp_path / 'out'}", "metrics=[niqe,psnr]", "logger=none")
    done = run("eval.py", "-m", "technique=nearest,bicubic", "dataset=isaid,ships", *shared)
    assert done.returncode == 1, done.stderr  # ships has a broken file; isaid is done all the same
    lines = done.stdout.splitlines()
    assert sum(line.startswith("done") for line in lines) == 2
    assert sum(line.startswith("failed") for line in lines) == 4  # when it fails, and below the table
    assert "broken.png" in done.stdout
    assert "2 cells STAND-IN data" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out" / "scores").glob("*/*.csv")) == ["isaid.csv", "isaid.csv"]

    done = run("eval.py", "-m", "technique=nearest,bicubic", "dataset=isaid,ships", *shared, "data.on_bad_image=skip")
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("done") for line in done.stdout.splitlines()) == 4
    assert "left out" in done.stdout
