"""The decoder: pixel values for every kind of file, and every kind of broken file."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from octosr.data.decode import (
    UnreadableImage,
    decode,
    read_header,
    read_image,
    read_image_uint8,
)

RNG = np.random.default_rng(7)
GREY = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
COLOUR16 = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
ALPHA16 = RNG.integers(0, 65536, (5, 7, 1), dtype=np.uint16)


def repeated(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def png_bytes(samples: np.ndarray, colour_type: int, filter_type: int = 0) -> bytes:
    """An own PNG writer for 16-bit samples (H, W, C), independent of Pillow."""
    height, width, channels = samples.shape
    rows = samples.astype(">u2").reshape(height, -1).view(np.uint8).reshape(height, -1).astype(np.int64)
    if filter_type == 1:  # Sub
        step = 2 * channels
        rows = rows - np.pad(rows, ((0, 0), (step, 0)))[:, :-step]
    elif filter_type == 2:  # Up
        rows = rows - np.pad(rows, ((1, 0), (0, 0)))[:-1]
    lines = b"".join(bytes([filter_type]) + (row % 256).astype(np.uint8).tobytes() for row in rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff_bytes(samples: np.ndarray, order: str = "<", photometric: int = 2, extra: list[tuple] = (), bits: int = 16):
    """An own writer of uncompressed TIFFs, one strip, independent of Pillow."""
    height, width, channels = samples.shape
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    data += b"\0" * (len(data) % 2)
    bits_at = 8 + len(data)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, bits if channels == 1 else bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, height * width * channels * samples.dtype.itemsize),
        *extra,
    ]
    after = struct.pack(order + "H" * channels, *[bits] * channels)
    after += b"\0" * (len(after) % 2)
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in sorted(tags):
        short = kind == 3 and count == 1
        directory += struct.pack(order + "HHI", tag, kind, count)
        directory += struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", bits_at + len(after)) + data + after + directory + b"\0\0\0\0"


def saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


def assert_exact8(path: Path, expected: np.ndarray) -> None:
    assert decode(path).dtype == np.uint8
    np.testing.assert_array_equal(read_image_uint8(path), expected)
    values = read_image(path)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected / 255.0, rtol=0, atol=1e-7)


def assert_exact16(path: Path, expected: np.ndarray) -> None:
    assert read_header(path).deep
    values = read_image(path)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(np.rint(values.astype(np.float64) * 65535), expected)
    np.testing.assert_array_equal(read_image_uint8(path), np.rint(expected / 257.0))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
def test_rgb_lossless_formats(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    path = saved(tmp_path, Image.fromarray(COLOUR), name, **options)
    assert_exact8(path, COLOUR)
    header = read_header(path)
    assert (header.height, header.width, header.deep) == (5, 7, False)


def test_jpeg_equals_pillow(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(COLOUR), "a.JPG", format="JPEG", quality=95)
    np.testing.assert_array_equal(read_image_uint8(path), np.asarray(Image.open(path)))


def test_extension_does_not_matter(tmp_path: Path) -> None:
    assert_exact8(saved(tmp_path, Image.fromarray(COLOUR), "really_png.jpg", format="PNG"), COLOUR)


def test_grey_and_bilevel(tmp_path: Path) -> None:
    assert_exact8(saved(tmp_path, Image.fromarray(GREY), "grey.png"), repeated(GREY))
    bits = GREY > 127
    assert_exact8(saved(tmp_path, Image.fromarray(bits), "bits.png"), repeated(bits.astype(np.uint8) * 255))


def test_alpha_is_dropped_and_colours_kept(tmp_path: Path) -> None:
    alpha = np.arange(35, dtype=np.uint8).reshape(5, 7) * 7
    alpha[0] = 0
    rgba = Image.fromarray(np.dstack([COLOUR, alpha]))
    assert_exact8(saved(tmp_path, rgba, "rgba.png"), COLOUR)
    assert_exact8(
        saved(tmp_path, Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]), "la.png"), repeated(GREY)
    )


@pytest.mark.parametrize("transparency", [None, 3, b"\x00\x80\xff"])
def test_palette(tmp_path: Path, transparency: int | bytes | None) -> None:
    palette = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
    numbers = RNG.integers(0, 16, (5, 7), dtype=np.uint8)
    image = Image.fromarray(numbers).convert("L")
    image = Image.frombytes("P", (7, 5), numbers.tobytes())
    image.putpalette(palette.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    assert_exact8(saved(tmp_path, image, "p.png", **options), palette[numbers])


def test_colour_key_is_ignored(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(COLOUR), "key.png", transparency=tuple(int(v) for v in COLOUR[0, 0]))
    assert_exact8(path, COLOUR)


def test_cmyk_plain_formula(tmp_path: Path) -> None:
    cmyk = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    path = saved(tmp_path, Image.frombytes("CMYK", (7, 5), cmyk.tobytes()), "c.tif")
    inverse = 255.0 - cmyk
    expected = inverse[..., :3] * inverse[..., 3:] / 255
    np.testing.assert_allclose(read_image_uint8(path), expected, atol=1.01)


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert read_image_uint8(saved(tmp_path, white, "w.jpg", quality=95)).min() >= 254


def test_cmyk_with_a_profile_that_does_not_fit(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(tmp_path, Image.new("CMYK", (8, 8)), "c.tif", icc_profile=profile)
    with pytest.raises(UnreadableImage, match="ICC profile cannot be used"):
        decode(path)


def test_lab(tmp_path: Path) -> None:
    lab = Image.new("LAB", (4, 4), (255, 128, 128))  # L* = 100, a* = b* = 0 is white
    assert read_image_uint8(saved(tmp_path, lab, "lab.tif")).min() >= 253


def test_rgb_profile_is_ignored(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_exact8(saved(tmp_path, Image.fromarray(COLOUR), "icc.png", icc_profile=profile), COLOUR)


def test_grey16(tmp_path: Path) -> None:
    for name in ("g.png", "g.tif"):
        assert_exact16(saved(tmp_path, Image.fromarray(GREY16), name), repeated(GREY16))
    (tmp_path / "be.tif").write_bytes(tiff_bytes(GREY16[..., None], ">", photometric=1))
    assert_exact16(tmp_path / "be.tif", repeated(GREY16))


@pytest.mark.parametrize("order", ["<", ">"])
def test_grey16_white_is_zero(tmp_path: Path, order: str) -> None:
    (tmp_path / "w.tif").write_bytes(tiff_bytes(GREY16[..., None], "<", photometric=0))
    assert_exact16(tmp_path / "w.tif", repeated(65535 - GREY16.astype(np.int64)))


@pytest.mark.parametrize("filter_type", [0, 1, 2])
def test_rgb16_png(tmp_path: Path, filter_type: int) -> None:
    path = tmp_path / "rgb16.png"
    path.write_bytes(png_bytes(COLOUR16, 2, filter_type))
    assert_exact16(path, COLOUR16)


def test_rgba16_and_la16_png(tmp_path: Path) -> None:
    path = tmp_path / "rgba16.png"
    path.write_bytes(png_bytes(np.dstack([COLOUR16, ALPHA16]), 6, 1))
    assert_exact16(path, COLOUR16)
    path = tmp_path / "la16.png"
    path.write_bytes(png_bytes(np.dstack([GREY16, ALPHA16]), 4, 2))
    assert_exact16(path, repeated(GREY16))


@pytest.mark.parametrize("order", ["<", ">"])
def test_rgb16_tiff(tmp_path: Path, order: str) -> None:
    path = tmp_path / "rgb16.tif"
    path.write_bytes(tiff_bytes(COLOUR16, order))
    assert_exact16(path, COLOUR16)
    path.write_bytes(tiff_bytes(np.dstack([COLOUR16, ALPHA16]), order, extra=[(338, 3, 1, 2)]))
    assert_exact16(path, COLOUR16)


def test_rgb16_tiff_kinds_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "planar.tif"
    path.write_bytes(tiff_bytes(COLOUR16, extra=[(284, 3, 1, 2)]))
    with pytest.raises(UnreadableImage, match="separate colour planes"):
        decode(path)
    path.write_bytes(tiff_bytes(np.dstack([COLOUR16, ALPHA16]), extra=[(338, 3, 1, 1)]))
    with pytest.raises(UnreadableImage, match="RGBa"):
        decode(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "deep.png", "deep.tif"])
def test_exif_orientation(tmp_path: Path, orientation: int, name: str) -> None:
    turn = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }[orientation]
    if name == "deep.tif":
        path = tmp_path / name
        path.write_bytes(tiff_bytes(COLOUR16, extra=[(274, 3, 1, orientation)]))
        expected = turn(COLOUR16)
        assert_exact16(path, expected)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        source = GREY16 if name == "deep.png" else COLOUR
        path = saved(tmp_path, Image.fromarray(source), name, exif=exif)
        expected = turn(repeated(GREY16) if name == "deep.png" else COLOUR)
        (assert_exact16 if name == "deep.png" else assert_exact8)(path, expected)
    header = read_header(path)
    assert (header.height, header.width) == (5, 7)


def test_float_tiff(tmp_path: Path) -> None:
    values = RNG.random((5, 7), dtype=np.float32)
    path = saved(tmp_path, Image.fromarray(values), "f.tif")
    np.testing.assert_array_equal(read_image(path), repeated(values))
    for bad, message in (
        (np.nan, "NaN"),
        (np.inf, "NaN or infinite"),
        (200.0, r"values from .* to 200"),
        (-1.0, "from -1"),
    ):
        broken = values.copy()
        broken[2, 3] = bad
        with pytest.raises(UnreadableImage, match=message):
            decode(saved(tmp_path, Image.fromarray(broken), "f.tif"))


def test_int32_tiff(tmp_path: Path) -> None:
    values = GREY16.astype(np.int32)
    assert_exact16(saved(tmp_path, Image.fromarray(values), "i.tif"), repeated(GREY16))
    values[0, 0] = 70000
    with pytest.raises(UnreadableImage, match="70000"):
        decode(saved(tmp_path, Image.fromarray(values), "i.tif"))


def test_first_page_of_several(tmp_path: Path) -> None:
    pages = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    assert_exact8(saved(tmp_path, pages[0], "m.tif", save_all=True, append_images=pages[1:]), COLOUR)


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for content, message in ((b"", "empty"), (b"hello there", "not an image"), (b"GIF89a" + bytes(50), "not an image")):
        path.write_bytes(content)
        for read in (decode, read_header):
            with pytest.raises(UnreadableImage, match=message) as caught:
                read(path)
            assert caught.value.path == path
            assert str(path) in str(caught.value)
    for read in (decode, read_header):
        with pytest.raises(UnreadableImage, match="no such file"):
            read(tmp_path / "missing.png")
        with pytest.raises(UnreadableImage, match="is a folder"):
            read(tmp_path)


def test_zero_size(tmp_path: Path) -> None:
    path = tmp_path / "zero.png"
    path.write_bytes(png_bytes(COLOUR16, 2).replace(struct.pack(">II", 7, 5), struct.pack(">II", 0, 5)))
    with pytest.raises(UnreadableImage):
        decode(path)


def test_absurd_size_is_refused_from_the_header(tmp_path: Path) -> None:
    whole = png_bytes(COLOUR16, 2)
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = whole[:12] + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + whole[33:]
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb)
    for read in (decode, read_header):
        with pytest.raises(UnreadableImage, match=r"100000x100000, more than data.max_pixels"):
            read(path)
    ok = saved(tmp_path, Image.fromarray(COLOUR), "ok.png")
    assert decode(ok, max_pixels=35).shape == (5, 7, 3)
    with pytest.raises(UnreadableImage, match="7x5, more than"):
        decode(ok, max_pixels=34)


def test_the_limit_of_pillow_is_left_alone(tmp_path: Path) -> None:
    paths = [saved(tmp_path, Image.fromarray(COLOUR), f"{i}.png") for i in range(20)]
    before = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=decode, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before is not None
    assert before == Image.MAX_IMAGE_PIXELS


def encoded(kind: str) -> bytes:
    smooth = np.clip(np.cumsum(RNG.integers(-4, 5, (24, 31, 3)), axis=1) + 128, 0, 255).astype(np.uint8)
    if kind == "png16":
        return png_bytes(RNG.integers(0, 65536, (9, 11, 3), dtype=np.uint16), 2, 1)
    stream = io.BytesIO()
    options = {
        "progressive": {"format": "JPEG", "progressive": True},
        "tif": {"format": "TIFF", "compression": "tiff_lzw"},
    }
    Image.fromarray(smooth).save(stream, **options.get(kind, {"format": kind.upper()}))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "progressive", "png16", "bmp", "webp", "tif"])
def test_no_truncation_is_accepted(tmp_path: Path, kind: str) -> None:
    content = encoded(kind)
    path = tmp_path / "cut"
    path.write_bytes(content)
    decode(path)
    for length in sorted({0, 1, len(content) - 1, *RNG.integers(0, len(content), 150).tolist()}):
        path.write_bytes(content[:length])
        with pytest.raises(UnreadableImage):
            decode(path)


@pytest.mark.parametrize("kind", ["png", "jpeg", "progressive", "png16", "bmp", "webp", "tif"])
def test_damage_never_escapes_as_another_error(tmp_path: Path, kind: str) -> None:
    content = encoded(kind)
    path = tmp_path / "damaged"
    for _ in range(150):
        damaged = bytearray(content[: RNG.integers(1, len(content) + 1)])
        for place in RNG.integers(0, len(damaged), 3):
            damaged[place] = RNG.integers(0, 256)
        path.write_bytes(damaged)
        for read in (decode, read_header):
            with contextlib.suppress(UnreadableImage):
                read(path, max_pixels=10**6)
