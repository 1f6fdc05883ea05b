"""Cells that an earlier start left in SLURM's queue; the queue is a script that prints what squeue would."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from octosr.errors import ConfigError
from octosr.runs.matrix import slurm_queue
from octosr.runs.matrix.plan import MatrixCell
from octosr.runs.matrix.slurm_queue import SlurmQueue, write_batch


def cell(root: Path, technique: str, job: str = "train") -> MatrixCell:
    return MatrixCell(job, technique, "isaid", "", root, (f"technique={technique}", "dataset=isaid"))  # type: ignore[arg-type]


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What squeue prints; it counts how often it was asked."""
    script = tmp_path / "bin" / "squeue"
    script.parent.mkdir()
    said = tmp_path / "said"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {said} || exit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    return said


def test_a_queued_cell_is_known_by_its_place_in_the_array(tmp_path: Path, squeue: Path) -> None:
    root = tmp_path / "out"
    cells = [cell(root, technique) for technique in ("dan", "apa", "moesr")]
    file, setting = write_batch(root / "sweep" / "train", "train", cells, [])
    assert json.loads(file.read_text()) == [list(c.overrides) for c in cells]
    key, name = setting.split("=")
    assert key == "hydra.launcher.name"
    assert name.startswith("octosr-train-")
    squeue.write_text(f"{name}|4711|1\n{name}|4711|2\nsomething-else|4712|0\nanother|12|N/A\n")
    queue = SlurmQueue(root)
    assert [queue.job_of(c) for c in cells] == [None, "4711_1", "4711_2"]
    assert queue.job_of(cell(root, "apa", "eval")) is None
    assert (tmp_path / "asked").read_text().count("\n") == 1
    assert "--me" in (tmp_path / "asked").read_text()


def test_a_single_cell_is_no_array_and_a_given_name_is_kept(tmp_path: Path, squeue: Path) -> None:
    root = tmp_path / "out"
    given = ["hydra.launcher.partition=gpu", "hydra.launcher.name=mine"]
    _, setting = write_batch(root / "sweep" / "eval", "eval", [cell(root, "dan", "eval")], given)
    name = setting.removeprefix("hydra.launcher.name=")
    assert name.startswith("mine-")
    squeue.write_text(f"{name}|99|N/A\n")
    assert SlurmQueue(root).job_of(cell(root, "dan", "eval")) == "99"


def test_other_folders_have_batches_of_other_names(tmp_path: Path) -> None:
    names = {write_batch(tmp_path / n / "sweep" / "train", "train", [cell(Path(), "dan")], [])[1] for n in "ab"}
    assert len(names) == 2


def test_it_asks_again_after_a_while(tmp_path: Path, squeue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_queue, "ASK_AGAIN_SECONDS", 0.0)
    root = tmp_path / "out"
    _, setting = write_batch(root / "sweep" / "train", "train", [cell(root, "dan")], [])
    squeue.write_text(f"{setting.partition('=')[2]}|7|0\n")
    queue = SlurmQueue(root)
    assert queue.job_of(cell(root, "dan")) == "7_0"
    squeue.write_text("")
    assert queue.job_of(cell(root, "dan")) is None


def test_nothing_is_asked_where_nothing_was_submitted(tmp_path: Path, squeue: Path) -> None:
    assert SlurmQueue(tmp_path / "out").job_of(cell(tmp_path / "out", "dan")) is None
    assert not (tmp_path / "asked").exists()


def test_a_slurm_that_does_not_answer_is_said(tmp_path: Path, squeue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "out"
    write_batch(root / "sweep" / "train", "train", [cell(root, "dan")], [])
    with pytest.raises(ConfigError, match="SLURM does not answer: cat:"):
        SlurmQueue(root).job_of(cell(root, "dan"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"SLURM does not answer: .*squeue"):
        SlurmQueue(root).job_of(cell(root, "dan"))
