"""Rounding and PNG files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.data import atomic
from octosr.data.decode import read_image_uint8
from octosr.data.encode import encode_png, refuse_not_finite, to_uint8, to_uint8_unwaited, write_png
from octosr.errors import OctoSRError


def test_half_to_even_after_clamp() -> None:
    values = torch.tensor([-3.0, 0.0, 0.5, 1.5, 2.5, 3.5, 254.5, 255.0, 300.0], dtype=torch.float64) / 255
    assert to_uint8(values).tolist() == [0, 0, 0, 2, 2, 4, 254, 255, 255]
    levels = torch.arange(256)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(to_uint8(levels.to(dtype) / 255), levels.to(torch.uint8))
    half = to_uint8((levels.float() / 255).half())  # float16 still tells 256 levels apart
    assert torch.equal(half, levels.to(torch.uint8))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_not_finite(bad: float, tmp_path: Path) -> None:
    image = torch.zeros(3, 4, 5)
    image[1, 2, 3] = bad
    with pytest.raises(OctoSRError, match="1 of 60 values"):
        write_png(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


def test_rounding_without_waiting_is_the_same_and_counts_what_is_no_number() -> None:
    images = torch.linspace(-0.2, 1.2, 20_001).reshape(3, 59, 113)
    for values in (images, images.double(), images.half()):
        samples, bad = to_uint8_unwaited(values)
        assert torch.equal(samples, to_uint8(values))
        assert int(bad) == 0
        refuse_not_finite(0, values.numel())
    images[0, 0, :3] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    count = int(to_uint8_unwaited(images)[1])
    with pytest.raises(OctoSRError, match="3 of 20001 values that are NaN or infinite"):
        refuse_not_finite(count, images.numel())


def test_integers_are_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        to_uint8(torch.zeros(3, 2, 2, dtype=torch.uint8))


def test_png_round_trip_and_text(tmp_path: Path) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 9, 6), dtype=np.uint8))
    path = tmp_path / "new" / "a.png"
    write_png(path, pixels.float() / 255, {"b": "2", "a": "é", "c": "中"})
    np.testing.assert_array_equal(read_image_uint8(path), pixels.permute(1, 2, 0).numpy())
    with Image.open(path) as image:
        assert (image.mode, image.format) == ("RGB", "PNG")
        assert image.text == {"a": "é", "b": "2", "c": "中"}  # type: ignore[attr-defined]
    assert path.read_bytes() == encode_png(pixels, {"c": "中", "a": "é", "b": "2"})
    assert encode_png(pixels) == encode_png(pixels.permute(0, 2, 1).contiguous().permute(0, 2, 1))
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4), (1, 3, 4, 4), (3, 0, 4)])
def test_shape_is_checked(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(3, H, W\) expected"):
        encode_png(torch.zeros(shape))


def test_old_file_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    atomic.write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        atomic.write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
