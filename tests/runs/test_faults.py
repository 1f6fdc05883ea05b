"""docs/faults.md shows what people will see: every message there is produced here, and every one here stands there."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from octosr.callbacks import atomic_io
from octosr.callbacks.atomic_io import AtomicCheckpointIO
from octosr.callbacks.checkpoint_files import keep_previous, whole_checkpoint
from octosr.callbacks.stopping import SignalStop
from octosr.data.decode import UnreadableImage, read_image
from octosr.errors import BadImageError, OctoSRError, written_for_the_user
from octosr.runs import cli, processes
from octosr.runs.allocation import check_allocation
from octosr.runs.claim import Claim
from octosr.runs.requeue import end_after, ended_at_once_by_ctrl_c

DOC = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
CFG = OmegaConf.create(
    {
        "trainer": {"devices": 4, "num_nodes": 1, "strategy": "ddp", "accelerator": "cpu"},
        "hardware": {"name": "v100x4"},
    }
)


def documented() -> set[str]:
    """The messages in the document, one a code block, with single spaces."""
    blocks = re.findall(r"```text\n(.*?)```", DOC.read_text(encoding="utf-8"), flags=re.S)
    return {" ".join(block.split()) for block in blocks}


def stated(message: str, folder: Path) -> str:
    """A message with what differs from place to place and day to day replaced as in the document."""
    message = message.replace(str(folder), "OUT").replace(socket.gethostname(), "MACHINE")
    message = re.sub(r"process \d{2,}", "process 1234", message)
    message = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "2026-11-25 22:43:21", message)
    return " ".join(message.split())


def killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, time\nif os.environ['LOCAL_RANK'] == '1': os.kill(os.getpid(), 9)\ntime.sleep(600)"
    monkeypatch.setattr(processes, "command", lambda job: [sys.executable, "-c", code])
    processes.run_in_processes(CFG, "train")


def checkpoint_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, content: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_io, "atomic_file", lambda path: contextlib.nullcontext(Full()))
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}}, folder / "checkpoints/dan/isaid/last.ckpt")


def image_on_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from octosr.atomic import write_bytes

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with written_for_the_user():
        write_bytes(folder / "hr/dan/isaid/P0033.png", b"image")


def read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with written_for_the_user():
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder / "runs"))


def image_taken_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        read_image(folder / "isaid/LR/P0033.png")
    except UnreadableImage as error:
        raise BadImageError([(str(error.path), error.reason)]) from error


def cut_off(folder: Path) -> Path:
    cell = folder / "checkpoints/dan/isaid"
    cell.mkdir(parents=True)
    torch.save({"state_dict": {}}, cell / "last.ckpt")
    keep_previous(cell / "last.ckpt")
    (cell / "last.ckpt").unlink()
    (cell / "last.ckpt").write_bytes((cell / "previous.ckpt").read_bytes()[:-100])
    return cell


def checkpoint_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_checkpoint(cut_off(folder))


def both_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cut_off(folder)
    shutil.copy(cell / "last.ckpt", cell / "previous.ckpt")
    whole_checkpoint(cell)


def twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Claim(folder, "train", "dan", "isaid")
    try:
        Claim(folder, "train", "dan", "isaid")
    finally:
        first.release()


def told_to_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = SignalStop()
    stop.received = signal.SIGTERM
    trainer: Any = SimpleNamespace(global_step=512, lightning_module=None)
    logging.getLogger("octosr").warning(stop.message(trainer))


def how_to_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/there/train.py", "technique=dan", "dataset=isaid"])
    stop = SignalStop()
    stop.received = signal.SIGTERM
    with pytest.raises(SystemExit):
        end_after(stop)


def ctrl_c_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/there/train.py", "technique=dan", "dataset=isaid"])
    stop = SignalStop()
    stop.received = signal.SIGINT
    with pytest.raises(SystemExit), ended_at_once_by_ctrl_c([stop]):
        sys.exit(1)


def ctrl_c_before_training(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        cli.entry_point(main, metrics_group=False)()


def time_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7_1")
    stop = SignalStop()
    stop.received, stop.progressed, stop.handler = signal.SIGUSR2, True, lambda *_: None
    with pytest.raises(SystemExit):
        end_after(stop)


def no_time_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = SignalStop()
    stop.received = signal.SIGUSR2
    end_after(stop)


def wrong_allocation(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    check_allocation(CFG)


def parent_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from octosr.runs.processes import tell_outcome\nimport time\ntell_outcome(lambda: time.sleep(600))"
    environment = os.environ | {"OCTOSR_PARENT": "1234", "OCTOSR_OUTCOME": "/dev/null", "LOCAL_RANK": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    sys.stderr.write(done.stderr)


FAULTS: list[Callable[[Path, pytest.MonkeyPatch], None]] = [
    killed,
    parent_gone,
    checkpoint_on_a_full_disk,
    image_on_a_full_disk,
    read_only,
    image_taken_away,
    checkpoint_damaged,
    both_damaged,
    twice,
    told_to_end,
    how_to_go_on,
    ctrl_c_twice,
    ctrl_c_before_training,
    time_over,
    no_time_at_all,
    wrong_allocation,
]


def test_the_document_says_what_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = set()
    for number, fault in enumerate(FAULTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        caplog.clear()
        capsys.readouterr()
        message = ""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("SLURM_JOB_ID", raising=False)
            try:
                fault(folder, patch)
            except OctoSRError as error:
                message = f"error: {error}"
        lines = [f"warning: {r.getMessage()}" for r in caplog.records if r.levelno >= logging.WARNING]
        message = message or "\n".join(lines) or capsys.readouterr().err
        assert message, fault.__name__
        seen.add(stated(message, folder))
    assert seen == documented()
