from __future__ import annotations

import collections
import contextlib
import errno
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from octosr.callbacks import atomic_io
from octosr.callbacks.atomic_io import AtomicCheckpointIO, atomic_file, require_plain
from octosr.errors import TrainingError, WrongWeightsError

CONTENT = {"state_dict": collections.OrderedDict(weight=torch.arange(3.0)), "global_step": 7}


def test_round_trip_leaves_one_file_and_measures_the_write(tmp_path: Path) -> None:
    disk = AtomicCheckpointIO()
    disk.save_checkpoint(CONTENT, tmp_path / "new/last.ckpt")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["last.ckpt"]
    assert disk.longest_write > 0
    loaded = disk.load_checkpoint(tmp_path / "new/last.ckpt", weights_only=False)
    assert loaded["global_step"] == 7
    assert torch.equal(loaded["state_dict"]["weight"], torch.arange(3.0))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    io.save_checkpoint(CONTENT, path)
    before = path.read_bytes()

    def full(content: Any, handle: Any) -> None:
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be written \(No space left on device\)"):
        io.save_checkpoint(CONTENT, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_new_name_is_taken_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_file(path) as handle:
        handle.write(b"new")
        handle.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    io.save_checkpoint(CONTENT, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WrongWeightsError, match=str(path)):
        io.load_checkpoint(path)


def test_code_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path}/ran",)

    torch.save({"state_dict": {}, "x": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(WrongWeightsError, match=r"evil\.ckpt"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "evil.ckpt", weights_only=False)
    assert not (tmp_path / "ran").exists()


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(WrongWeightsError, match="There is no checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "none.ckpt")
    torch.save({"params": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(WrongWeightsError, match="not a training checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "foreign.ckpt")


@pytest.mark.parametrize(
    "bad", [Path("x"), np.float64(1.0), OmegaConf.create([1]), OmegaConf.create({"a": 1}), collections.defaultdict(int)]
)
def test_what_could_not_be_read_back_is_refused(tmp_path: Path, bad: Any) -> None:
    with pytest.raises(TypeError, match=r"checkpoint\['callbacks'\]\['x'\]\[1\] is a "):
        AtomicCheckpointIO().save_checkpoint({**CONTENT, "callbacks": {"x": [0, bad]}}, tmp_path / "a.ckpt")
    assert not list(tmp_path.iterdir())


def test_what_is_accepted_can_be_read_back(tmp_path: Path) -> None:
    extra = {
        "a": [1, 2.0, True, None, "s", b"b", (1, 2), {3}],
        "b": torch.float16,
        "c": torch.Size([1]),
        "d": torch.nn.Parameter(torch.zeros(2)),
        "e": torch.device("cpu"),
        "f": collections.OrderedDict(a=1),
        "g": collections.Counter([4, 9]),
    }
    require_plain(extra)
    AtomicCheckpointIO().save_checkpoint(CONTENT | extra, tmp_path / "a.ckpt")
    assert AtomicCheckpointIO().load_checkpoint(tmp_path / "a.ckpt").keys() == CONTENT.keys() | extra.keys()


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    old, young = tmp_path / ".last.ckpt.host-1.tmp", tmp_path / ".last.ckpt.host-2.tmp"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (time.time() - 7200,) * 2)
    AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "last.ckpt")
    assert not old.exists()
    assert young.exists()


class FullDisk(io.BytesIO):
    """A file on a disk that is full after some bytes."""

    def write(self, content: Any) -> int:
        if self.tell() > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


def test_a_full_disk_is_named_though_torch_complains_of_its_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "last.ckpt")
    before = (tmp_path / "last.ckpt").read_bytes()
    monkeypatch.setattr(atomic_io, "atomic_file", lambda path: contextlib.nullcontext(FullDisk()))
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be written \(No space left on device\)"):
        AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "last.ckpt")
    assert (tmp_path / "last.ckpt").read_bytes() == before
    monkeypatch.setattr(torch, "save", lambda *arguments: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):  # a bug stays one
        AtomicCheckpointIO().save_checkpoint(CONTENT, tmp_path / "last.ckpt")
