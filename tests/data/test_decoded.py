"""Decoded images on disk: the same images, made once, made again when a file changed, and never a reason to fail."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from octosr.data import decoded
from octosr.data.bank import ImageBank, load_bank
from octosr.data.datamodule import ImageDataModule


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "LEAST_BYTES", 1)


@pytest.fixture
def paths(tmp_path: Path, make_images) -> list[Path]:
    """Four images of several sizes, one of them of 16 bits."""
    make_images(tmp_path / "images", [(32, 32), (20, 48), (64, 24)])
    deep = np.random.default_rng(0).integers(0, 65535, (24, 24, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "images" / "deep.tif", deep, photometric="rgb")
    return sorted((tmp_path / "images").iterdir())


class Loads:
    """Decodes, and counts how often."""

    def __init__(self, folder: Path, paths: list[Path]) -> None:
        self.folder, self.paths, self.count = folder, paths, 0

    def __call__(self, most_bytes: int = 10**9) -> ImageBank:
        return decoded.kept_bank(self.folder, self.paths, "", most_bytes, self._load)

    def _load(self) -> ImageBank:
        self.count += 1
        return load_bank(self.paths, keep_deep=True)


def same(one: ImageBank, other: ImageBank) -> None:
    assert one.paths == other.paths
    for number in range(len(one)):
        assert torch.equal(one.image(number), other.image(number))
        assert one.size(number) == other.size(number)
    assert one.deep.keys() == other.deep.keys() != set()
    torch.testing.assert_close(one.subset([1, 2]).pixels, other.subset([1, 2]).pixels)


def test_a_second_run_decodes_nothing(tmp_path: Path, paths: list[Path]) -> None:
    loads = Loads(tmp_path / "kept", paths)
    first, second = loads(), loads()
    assert loads.count == 1
    same(first, second)
    same(load_bank(paths, keep_deep=True), second)


def test_several_at_once_decode_once(tmp_path: Path, paths: list[Path]) -> None:
    loads = Loads(tmp_path / "kept", paths)
    with ThreadPoolExecutor(6) as pool:
        banks = list(pool.map(lambda _: loads(), range(6)))
    assert loads.count == 1
    for bank in banks:
        same(banks[0], bank)


def test_a_changed_image_is_decoded_again(tmp_path: Path, paths: list[Path]) -> None:
    loads = Loads(tmp_path / "kept", paths)
    loads()
    png = next(path for path in paths if path.suffix == ".png")
    Image.new("RGB", (32, 40), (1, 2, 3)).save(png)
    bank = loads()
    assert loads.count == 2
    assert bank.size(paths.index(png)) == (40, 32)
    os.utime(png, ns=(1, 1))
    loads()
    loads()
    assert loads.count == 3
    assert len(list((tmp_path / "kept").glob("*.safetensors"))) == 1


def test_a_damaged_file_is_made_again(tmp_path: Path, paths: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    loads = Loads(tmp_path / "kept", paths)
    expected = loads()
    (file,) = (tmp_path / "kept").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        same(expected, loads())
    assert f"{file} is damaged" in caplog.text
    same(expected, loads())
    assert loads.count == 2


@pytest.mark.parametrize("most", [0, 100])
def test_what_is_too_large_is_not_kept(tmp_path: Path, paths: list[Path], most: int) -> None:
    loads = Loads(tmp_path / "kept", paths)
    loads(most)
    loads(most)
    assert loads.count == 2
    assert not list(tmp_path.glob("kept/*.safetensors"))


def test_sets_with_a_bad_file_are_not_kept(tmp_path: Path, paths: list[Path]) -> None:
    paths[0].write_bytes(b"no image")
    loads = Loads(tmp_path / "kept", paths)
    assert len(loads().problems) == len(loads().problems) == 1
    assert loads.count == 2


def test_a_folder_that_cannot_be_written_is_said(
    tmp_path: Path, paths: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    loads = Loads(tmp_path / "kept", paths)
    with caplog.at_level(logging.WARNING):
        assert len(loads()) == 4
    assert "decoded images are not kept" in caplog.text


def test_a_full_disk_is_said(
    tmp_path: Path, paths: list[Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(decoded, "save_file", full)
    loads = Loads(tmp_path / "kept", paths)
    with caplog.at_level(logging.WARNING):
        assert len(loads()) == 4
    assert "No space left" in caplog.text
    assert loads.count == 1


def test_the_data_module_keeps_them(tmp_path: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images" / "deep.tif").unlink()

    def module() -> ImageDataModule:
        data = ImageDataModule(
            "folder", None, tmp_path / "images", tmp_path / "cache", patch=8, validation_fraction=0.3
        )
        data.setup("predict")
        return data

    first = next(iter(module().predict_dataloader()))
    monkeypatch.setattr("octosr.data.preparation.load_bank", lambda *a, **k: pytest.fail("decoded again"))
    second = next(iter(module().predict_dataloader()))
    assert first["name"] == second["name"]
    assert torch.equal(first["lr"], second["lr"])
    assert list((tmp_path / "cache" / "decoded").glob("*.safetensors"))
