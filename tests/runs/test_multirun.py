"""multirun.sh as it is typed: all three commands, failed cells, settings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.errors import ConfigError
from octosr.runs.cells import read_states
from octosr.runs.trainable import trainable

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"WANDB_MODE": "offline", "COLUMNS": "200", "NO_COLOR": "1", "PYTHON": sys.executable}
    return subprocess.run(
        [str(ROOT / "multirun.sh"), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_what_can_be_trained() -> None:
    assert trainable(ROOT / "conf", ["bicubic", "dan", "nearest"]) == ["dan"]
    assert trainable(ROOT / "conf", []) == []
    with pytest.raises(ConfigError, match="Did you mean 'bicubic'"):
        trainable(ROOT / "conf", ["bicubc"])


def test_what_is_no_setting_is_refused() -> None:
    done = run("isaid")
    assert done.returncode == 2
    assert "'isaid' is not a setting" in done.stderr


@pytest.mark.slow
def test_train_evaluate_report_with_a_cell_that_fails_and_again(tmp_path: Path, demo_cache: Path) -> None:
    data = tmp_path / "data"
    build_standins(data, ["isaid", "ships"], build_demo(demo_cache), count=2)
    (data / "ships" / "LR" / "broken.png").write_bytes(b"not an image")
    command = (
        "techniques=dan,nearest",
        "datasets=isaid,ships",
        "data.root=data",  # relative to where it is typed
        "output_root=out",
        "size=tiny",
        "logger=none",
        "train:trainer.max_steps=2",
        "train:data.patch=32",
        "train:data.batch_size=1",
        "train:data.validation_size=64",
        "eval:metrics=niqe",
        "report:resamples=100",
    )
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "out/checkpoints/dan/isaid/last.ckpt").is_file()
    states = {(s.job, s.technique, s.dataset): s for s in read_states(tmp_path / "out")}
    assert {key: state.state for key, state in states.items()} == {
        ("train", "dan", "isaid"): "done",
        ("train", "dan", "ships"): "failed",
        ("eval", "dan", "isaid"): "done",
        ("eval", "nearest", "isaid"): "done",
        ("eval", "nearest", "ships"): "failed",
    }
    assert "broken.png" in states["train", "dan", "ships"].reason
    assert "left      eval dan on ships: its training is failed" in done.stdout
    report = json.loads((tmp_path / "out/report/report.json").read_text(encoding="utf-8"))
    manifest = next(t for s in report["sections"] for t in s["tables"] if t["key"] == "manifest")
    assert {(row[0], row[1]): row[2] for row in manifest["rows"]} == {
        ("DAN", "isaid"): "complete",
        ("Nearest", "isaid"): "complete",
        ("DAN", "ships"): "failed",
        ("Nearest", "ships"): "failed",
    }
    assert report["title"].endswith("(STAND-IN data)")

    # Mended, what failed is run, and what was done is not; other settings are said.
    (data / "ships" / "LR" / "broken.png").unlink()
    again = run("--dry-run", *command, cwd=tmp_path)
    assert re.findall(r"(run|skip) *│ (\w+ \w+ on \w+) *│ (.*?) *│", again.stdout)[:3] == [
        ("skip", "train dan on isaid", "done"),
        ("run", "train dan on ships", f"failed before: {states['train', 'dan', 'ships'].reason.splitlines()[0]}"),
        ("skip", "eval dan on isaid", "done"),
    ]
    assert again.stdout.endswith("6 cells: 3 done (all of them before), 3 waiting\n")
    other = run(
        "--dry-run", "--only", "job=eval,dataset=isaid", *command, "eval:metrics.niqe.crop_border=8", cwd=tmp_path
    )
    assert other.stdout.count("changed since: metrics.niqe.crop_border: 0 -> 8") == 2
