from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch

from octosr.callbacks import checkpoint_files
from octosr.callbacks.checkpoint_files import damage, keep_previous, mend, whole_checkpoint
from octosr.errors import WrongWeightsError


def save(path: Path, value: float) -> None:
    torch.save({"state_dict": {"w": torch.full((1000,), value)}}, path)


def value(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["state_dict"]["w"][0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cell whose last state is 2.0 and whose state before that is 1.0."""
    save(tmp_path / "last.ckpt", 1.0)
    keep_previous(tmp_path / "last.ckpt")
    save(tmp_path / "new", 2.0)
    os.replace(tmp_path / "new", tmp_path / "last.ckpt")
    return tmp_path


def test_the_state_before_the_last_is_kept(folder: Path) -> None:
    assert (value(folder / "last.ckpt"), value(folder / "previous.ckpt")) == (2.0, 1.0)
    assert whole_checkpoint(folder) == folder / "last.ckpt"
    for _ in range(2):  # the second time they are one file already
        keep_previous(folder / "last.ckpt")
        assert value(folder / "previous.ckpt") == 2.0
    assert sorted(path.name for path in folder.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_a_file_system_without_second_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(checkpoint_files.os, "link", refuse)
    keep_previous(folder / "last.ckpt")
    assert value(folder / "previous.ckpt") == 2.0
    assert not os.path.samefile(folder / "last.ckpt", folder / "previous.ckpt")


@pytest.mark.parametrize("how", ["cut off", "empty", "one bit"])
def test_a_damaged_last_one_is_passed_over_and_kept_for_inspection(
    folder: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = bytearray((folder / "last.ckpt").read_bytes())
    if how == "one bit":  # of a weight: torch itself reads it without a word
        content[content.index(torch.full((4,), 2.0).numpy().tobytes()) + 2] ^= 1
    (folder / "last.ckpt").write_bytes({"cut off": content[:-100], "empty": b"", "one bit": content}[how])
    assert damage(folder / "last.ckpt")
    with caplog.at_level(logging.WARNING):
        assert whole_checkpoint(folder) == folder / "previous.ckpt"
    assert f"{folder / 'last.ckpt'} is damaged (" in caplog.text
    mend(folder)
    assert (value(folder / "last.ckpt"), damage(folder / "damaged.ckpt") is None) == (1.0, False)
    assert whole_checkpoint(folder) == folder / "last.ckpt"


def test_nothing_whole_and_nothing_at_all(folder: Path) -> None:
    for name in ("last.ckpt", "previous.ckpt"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(WrongWeightsError, match=r"no whole previous\.ckpt.*resume=never"):
        whole_checkpoint(folder)
    (folder / "last.ckpt").unlink()
    assert whole_checkpoint(folder) is None  # taken away on purpose: a new beginning
