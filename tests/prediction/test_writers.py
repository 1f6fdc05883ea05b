"""What is written row by row is what a reader of another library reads."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from octosr.data.decode import opened
from octosr.data.pixels import pixels_and_alpha
from octosr.prediction.formats import KINDS
from octosr.prediction.metadata import Metadata
from octosr.prediction.writers import Layout, open_writer
from octosr.prediction.writers.png import filtered

RNG = np.random.default_rng(5)
TYPES = {8: np.uint8, 16: np.uint16, 32: np.float32}


def samples(channels: int, bits: int, height: int = 41, width: int = 23) -> np.ndarray:
    """A smooth picture with noise, so that every PNG filter is chosen somewhere."""
    ramp = np.add.outer(np.linspace(0, 0.5, height), np.linspace(0, 0.4, width))[..., None]
    picture = ramp + RNG.random((height, width, channels)) * np.where(np.arange(height) % 3 == 0, 0.1, 0)[:, None, None]
    return picture.astype(np.float32) if bits == 32 else (picture * (2**bits - 1)).astype(TYPES[bits])


def write(path: Path, picture: np.ndarray, metadata: Metadata = Metadata(), bands: int = 7, quality: int = 95) -> Path:  # noqa: B008
    height, width, channels = picture.shape
    layout = Layout(height, width, channels, picture.dtype.itemsize * 8, metadata, quality)
    with open_writer(path, KINDS[path.suffix], layout) as writer:
        for top in range(0, height, bands):
            writer.write(picture[top : top + bands])
    return path


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(tmp_path: Path, channels: int, bits: int) -> None:
    picture = samples(channels, bits)
    path = write(tmp_path / "a.png", picture)
    with opened(path) as image:
        image_mode = image.mode
        colours, alpha, full = pixels_and_alpha(image)
    assert full == 2**bits - 1, image_mode
    read = colours[..., None] if colours.ndim == 2 else colours
    assert np.array_equal(read, picture[..., : read.shape[2]])
    assert (alpha is None) == (channels in (1, 3))
    if alpha is not None:
        assert np.array_equal(alpha, picture[..., -1])


def test_png_is_the_same_in_any_bands_and_smaller_than_unfiltered(tmp_path: Path) -> None:
    picture = samples(3, 8, 200, 150)
    one, two = (write(tmp_path / f"{n}.png", picture, bands=n).read_bytes() for n in (200, 13))
    with Image.open(tmp_path / "200.png") as first, Image.open(tmp_path / "13.png") as second:
        assert np.array_equal(np.asarray(first), np.asarray(second))
    Image.fromarray(picture).save(tmp_path / "pillow.png", compress_level=4)
    assert max(len(one), len(two)) < 1.15 * (tmp_path / "pillow.png").stat().st_size


def test_png_filters_are_undone_as_the_specification_says() -> None:
    lines = RNG.integers(0, 256, (9, 12), dtype=np.uint8)
    lines[3] = lines[2]  # Up
    lines[4] = 7  # Sub
    above = RNG.integers(0, 256, 12, dtype=np.uint8)
    content = np.frombuffer(filtered(lines, above, 3), np.uint8).reshape(9, 13)
    before = above.astype(int)
    for number, line in zip(content.astype(int), lines, strict=True):
        row = np.zeros(12, int)
        for i in range(12):
            a, c = (row[i - 3], before[i - 3]) if i >= 3 else (0, 0)
            b = before[i]
            p = a + b - c  # in whole numbers, as the specification stresses
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (int(number[1 + i]) + {1: a, 2: b, 4: nearest}[int(number[0])]) % 256
        assert np.array_equal(row, line)
        before = row
    assert {1, 2} <= set(content[:, 0])


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiff(tmp_path: Path, channels: int, bits: int) -> None:
    picture = samples(channels, bits)
    path = write(tmp_path / "a.tif", picture)
    assert np.array_equal(tifffile.imread(path).reshape(picture.shape), picture)
    if bits == 8:
        with Image.open(path) as image:
            assert image.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
            assert np.array_equal(np.asarray(image).reshape(picture.shape), picture)


def test_tiff_of_many_strips(tmp_path: Path) -> None:
    picture = RNG.integers(0, 65536, (700, 300, 3), dtype=np.uint16)
    path = write(tmp_path / "a.tif", picture, bands=97)
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages[0].dataoffsets) > 4
        assert np.array_equal(tiff.asarray(), picture)


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".jpg", 1), (".jpg", 3), (".webp", 3), (".webp", 4), (".bmp", 1), (".bmp", 3)]
)
def test_others(tmp_path: Path, suffix: str, channels: int) -> None:
    picture = samples(channels, 8, 64, 48)
    path = write(tmp_path / f"a{suffix}", picture, quality=98)
    with Image.open(path) as image:
        read = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])).reshape(picture.shape)
    error = np.abs(read.astype(int) - picture)
    assert error.max() == 0 if suffix == ".bmp" else error.mean() < 3
    small = write(tmp_path / f"b{suffix}", picture, quality=20).stat().st_size
    assert small == path.stat().st_size if suffix == ".bmp" else small < path.stat().st_size


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_metadata(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0x9003: "2020:01:01 10:00:00", 0x829A: 0.5})
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 12.5)})
    metadata = Metadata(exif.tobytes(), bytes(range(200)), (300.0, 150.0))
    path = write(tmp_path / f"a{suffix}", samples(3, 8), metadata)
    with Image.open(path) as image:
        read = image.getexif()
        assert read[0x010F] == "Maker"
        assert read.get_ifd(0x8769)[0x9003] == "2020:01:01 10:00:00"
        assert float(read.get_ifd(0x8769)[0x829A]) == 0.5
        assert [float(v) for v in read.get_ifd(0x8825)[2]] == [51, 30, 12.5]
        assert image.info["icc_profile"] == bytes(range(200))
        if suffix != ".webp":
            assert image.info["dpi"] == pytest.approx((300, 150), abs=0.02)
        assert image.load() is not None


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_an_error_between_rows_ends_the_writer_and_its_thread(tmp_path: Path, suffix: str) -> None:
    def write_some() -> None:
        with open_writer(tmp_path / f"a{suffix}", KINDS[suffix], Layout(41, 23, 3, 8, Metadata())) as writer:
            writer.write(samples(3, 8)[:5])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_some()
    assert not any(thread.name == "tiff" for thread in threading.enumerate())


def test_what_the_thread_meets_reaches_the_one_who_writes(tmp_path: Path) -> None:
    picture = RNG.integers(0, 256, (4000, 300, 3), dtype=np.uint8)
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no folder" / "a.tif", picture)
