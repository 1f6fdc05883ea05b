"""Every kind of picture comes in at its own depth, with its opacity and what it carries."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from octosr.data.decode import UnreadableImage
from octosr.data.encode import to_uint8_unwaited
from octosr.degradation.resize import resize
from octosr.prediction.formats import KINDS
from octosr.prediction.metadata import Metadata
from octosr.prediction.picture import Picture, PlaneSource, read_picture
from octosr.prediction.rows import RowBuffer, RowEncoder, enlarge_rows
from octosr.prediction.writers import Layout, open_writer

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
ALPHA = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Picture:
    image.save(path, **options)
    return read_picture(path, 8)


def deep_png(path: Path, samples: np.ndarray) -> Picture:
    with open_writer(path, KINDS[".png"], Layout(*samples.shape, 16, Metadata())) as writer:
        writer.write(samples)
    return read_picture(path, 8)


def test_modes(tmp_path: Path) -> None:
    rgba = np.dstack((COLOUR, ALPHA))
    cases = {
        "L": (Image.fromarray(GREY), GREY, None),
        "LA": (Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(ALPHA))), GREY, ALPHA),
        "RGB": (Image.fromarray(COLOUR), COLOUR, None),
        "RGBA": (Image.fromarray(rgba), COLOUR, ALPHA),
        "1": (Image.fromarray(GREY > 127), np.where(GREY > 127, 255, 0), None),
    }
    for mode, (image, colours, alpha) in cases.items():
        assert image.mode == mode
        picture = saved(tmp_path / f"{mode}.png", image)
        assert picture.colours.dtype == np.uint8
        assert np.array_equal(picture.colours, colours), mode
        assert picture.alpha is None if alpha is None else np.array_equal(picture.alpha, alpha), mode
        assert picture.grey == (mode[0] in "L1")


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.fromarray(GREY // 64)
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture = saved(tmp_path / "p.png", image, transparency=2)
    assert np.array_equal(picture.alpha, np.where(GREY // 64 == 2, 0, 255))
    assert np.array_equal(picture.colours[GREY // 64 == 1], np.tile([200, 0, 0], (int((GREY // 64 == 1).sum()), 1)))


def test_one_transparent_grey_or_colour(tmp_path: Path) -> None:
    picture = saved(tmp_path / "l.png", Image.fromarray(GREY), transparency=int(GREY[2, 3]))
    assert np.array_equal(picture.alpha, np.where(GREY[2, 3] == GREY, 0, 255))
    deep = GREY.astype(np.uint16) * 250
    picture = saved(tmp_path / "i.png", Image.fromarray(deep), transparency=int(deep[2, 3]))
    assert np.array_equal(picture.alpha, np.where(deep == deep[2, 3], 0, 65535))
    assert np.array_equal(picture.colours, deep)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_stay(tmp_path: Path, channels: int) -> None:
    samples = RNG.integers(0, 65536, (6, 9, channels), dtype=np.uint16)
    for path in (tmp_path / "a.png", tmp_path / "a.tif"):
        if path.suffix == ".png":
            picture = deep_png(path, samples)
        elif channels == 2:
            continue  # Pillow reads no such TIFF
        else:
            kind = "rgb" if channels > 2 else "minisblack"
            extra = ["unassalpha"] if channels == 4 else None
            tifffile.imwrite(path, samples.squeeze(), photometric=kind, extrasamples=extra)
            picture = read_picture(path, 8)
        assert picture.colours.dtype == np.uint16
        assert np.array_equal(picture.colours, samples[..., 0] if channels < 3 else samples[..., :3])
        if channels in (2, 4):
            assert np.array_equal(picture.alpha, samples[..., -1])


def test_float_tiff_in_the_unit_range_only(tmp_path: Path) -> None:
    values = RNG.random((6, 9)).astype(np.float32)
    picture = saved(tmp_path / "f.tif", Image.fromarray(values))
    assert picture.colours.dtype == np.float32
    assert np.array_equal(picture.colours, values)
    for bad, message in ((values * 3, "expected: rescale"), (np.where(values > 0.5, np.nan, values), "NaN")):
        Image.fromarray(bad.astype(np.float32)).save(tmp_path / "bad.tif")
        with pytest.raises(UnreadableImage, match=message):
            read_picture(tmp_path / "bad.tif", 8)


def test_orientation_is_applied_and_reset_and_sizes_follow(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769).update({0xA002: 9, 0xA003: 6})
    for suffix in ("png", "jpg", "webp"):
        picture = saved(tmp_path / f"o.{suffix}", Image.fromarray(COLOUR), exif=exif)
        assert picture.size == (9, 6)
        kept = Image.Exif()
        kept.load(picture.metadata.exif)
        assert 0x0112 not in kept
        assert kept[0x010F] == "Maker"
        assert (kept.get_ifd(0x8769)[0xA002], kept.get_ifd(0x8769)[0xA003]) == (6 * 8, 9 * 8)
    assert np.array_equal(read_picture(tmp_path / "o.png", 8).colours, np.rot90(COLOUR, -1))


def test_tiff_carries_words_but_not_where_its_pixels_lay(tmp_path: Path) -> None:
    tags = [(315, "s", 0, "A. Painter", True)]
    tifffile.imwrite(
        tmp_path / "a.tif",
        COLOUR,
        photometric="rgb",
        extratags=tags,
        software="Scanner",
        metadata=None,
        resolution=(72, 72),
    )
    metadata = read_picture(tmp_path / "a.tif", 8).metadata
    kept = Image.Exif()
    kept.load(metadata.exif)
    assert dict(kept) == {315: "A. Painter", 305: "Scanner"}
    assert metadata.dpi == (72, 72)


def test_profile_is_kept_except_where_it_was_used_up(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert saved(tmp_path / "a.png", Image.fromarray(COLOUR), icc_profile=profile).metadata.icc == profile
    lab = Image.fromarray(COLOUR).convert("RGB")
    assert saved(tmp_path / "b.jpg", lab.convert("CMYK")).metadata.icc is None
    assert saved(tmp_path / "c.png", Image.fromarray(COLOUR)).metadata == Metadata()


def test_of_several_frames_the_first_and_a_note(tmp_path: Path) -> None:
    frames = [Image.fromarray(255 - COLOUR)]
    for suffix in ("tif", "webp"):
        picture = saved(
            tmp_path / f"m.{suffix}", Image.fromarray(COLOUR), save_all=True, append_images=frames, lossless=True
        )
        assert np.array_equal(picture.colours, COLOUR)
        assert picture.notes == ("of 2 frames or pages only the first is enlarged",)


def test_a_plane_is_read_in_rectangles_and_ranges() -> None:
    source = PlaneSource(COLOUR)
    assert (source.height, source.width) == (6, 9)
    part = source.read(1, 4, 2, 9)
    assert part.shape == (3, 3, 7)
    assert np.array_equal(part.permute(1, 2, 0).mul(255).round().numpy(), COLOUR[1:4, 2:9])
    signed = (GREY.astype(np.int16) - 100) * 10
    grey = PlaneSource(signed, -1000, 2000).read(0, 6, 0, 9)
    assert torch.equal(grey[0], grey[2])
    assert np.allclose(grey[0].numpy(), (signed + 1000.0) / 3000, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_alpha_in_bands_equals_alpha_as_a_whole(scale: int) -> None:
    plane = RNG.integers(0, 256, (31, 17), dtype=np.uint8)
    whole = resize(PlaneSource(plane).read(0, 31, 0, 17)[:1], (31 * scale, 17 * scale), border="renormalise").clamp(
        0, 1
    )
    tops = [0, 1, 5 * scale, 30 * scale + 1, 31 * scale]
    bands = [enlarge_rows(PlaneSource(plane), scale, a, b) for a, b in itertools.pairwise(tops)]
    assert torch.allclose(torch.cat(bands, 1), whole, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_rows_are_rounded_half_to_even_grey_stays_grey_and_alpha_joins(bits: int) -> None:
    dtype = {8: np.uint8, 16: np.uint16, 32: np.float32}[bits]
    plane = RNG.random((5, 4)).astype(np.float32)
    stored = plane if bits == 32 else (plane * (2**bits - 1)).astype(dtype)
    encoder = RowEncoder(Picture(stored, stored, Metadata()), 1, bits)
    rows = PlaneSource(stored).read(0, 5, 0, 4)
    made = np.concatenate([encoder.encode(rows[:, :2]), encoder.encode(rows[:, 2:])])
    assert made.dtype == dtype
    assert made.shape == (5, 4, 2)
    assert np.array_equal(made[..., 0], stored)
    assert np.array_equal(made[..., 1], stored)
    half = torch.tensor([0.5, 1.5, 2.5, -3.0, 400.0]).double().div(255).expand(3, 1, 5)
    if bits == 8:
        colour = RowEncoder(Picture(COLOUR, None, Metadata()), 1, 8)
        assert colour.encode(half)[0, :, 0].tolist() == [0, 2, 2, 0, 255]


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7), (5, 7, 4)])
def test_rows_that_are_rounded_where_they_were_made_are_the_same(tmp_path: Path, shape: tuple[int, ...]) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", 2)
    rows = torch.rand(3, 10, 14, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.1
    one, other = RowEncoder(picture, 2, 8), RowEncoder(picture, 2, 8)
    for part in (rows[:, :4], rows[:, 4:]):
        samples, bad = to_uint8_unwaited(other.colours(part))
        assert int(bad) == 0
        assert np.array_equal(other.join(samples), one.encode(part))


def test_row_buffer_gives_bands_of_one_height() -> None:
    rows = np.arange(46).reshape(23, 2)
    buffer = RowBuffer(5)
    bands = [band for top in range(0, 23, 4) for band in buffer.add(rows[top : top + 4])]
    assert [len(band) for band in bands] == [5, 5, 5, 5]
    assert np.array_equal(np.concatenate(bands + buffer.rest()), rows)
    assert buffer.rest() == []
