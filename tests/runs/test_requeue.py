"""What follows a signal: the word how to go on, or a place in the queue again."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from octosr.callbacks.stopping import SignalStop
from octosr.errors import TrainingError
from octosr.runs.requeue import cluster_plugins, end_after


def stopped(number: int, handler: Any = None, progressed: bool = True) -> SignalStop:
    stop = SignalStop()
    stop.received, stop.handler, stop.progressed = number, handler, progressed
    return stop


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Within task 1 of array 7; what scontrol is called with is written down, and it fails where `fail` is there."""
    program = tmp_path / "scontrol"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n[ ! -e {tmp_path}/fail ] || {{ echo no >&2; exit 1; }}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    names = {
        "JOB_ID": "9",
        "ARRAY_JOB_ID": "7",
        "ARRAY_TASK_ID": "1",
        "NTASKS": "1",
        "JOB_NAME": "octosr",
        "PROCID": "0",
    }
    for name, value in names.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return tmp_path


def test_a_person_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["/there/train.py", "technique=dan", "data.root=my images"])
    with pytest.raises(SystemExit) as ended:
        end_after(stopped(signal.SIGINT))
    assert ended.value.code == 130
    assert "To go on: python train.py technique=dan 'data.root=my images'" in caplog.text


def test_a_job_without_a_launcher_is_requeued_by_scontrol(slurm: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        end_after(stopped(signal.SIGUSR1))
    assert ended.value.code == 128 + signal.SIGUSR1
    assert (slurm / "called").read_text() == "requeue 7_1\n"
    assert "REQUEUED: job 7_1" in caplog.text
    (slurm / "fail").touch()
    with pytest.raises(TrainingError, match=r"does not requeue job 7_1 \(no\)"):
        end_after(stopped(signal.SIGUSR1))


def test_submitits_handler_is_what_requeues_its_jobs(slurm: Path) -> None:
    calls = []
    with pytest.raises(SystemExit):
        end_after(stopped(signal.SIGUSR2, lambda *arguments: calls.append(arguments)))
    assert calls == [(signal.SIGUSR2, None)]
    assert not (slurm / "called").exists()


def test_only_the_first_process_requeues(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(SystemExit) as ended:
        end_after(stopped(signal.SIGUSR1))
    assert ended.value.code == 0
    assert not (slurm / "called").exists()


def test_a_job_that_gets_nowhere_is_not_requeued_for_ever(slurm: Path) -> None:
    with pytest.raises(TrainingError, match="not requeued"):
        end_after(stopped(signal.SIGUSR1, progressed=False))
    assert not (slurm / "called").exists()


def test_slurm_itself_requeues_after_a_preemption_and_nobody_after_a_cancellation(slurm: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        end_after(stopped(signal.SIGTERM))
    assert ended.value.code == 143
    assert not (slurm / "called").exists()


def test_lightnings_own_requeueing_is_off(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plugin,) = cluster_plugins()
    assert plugin.auto_requeue is False
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert cluster_plugins() == []
