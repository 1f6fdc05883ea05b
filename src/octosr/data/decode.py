"""One decoder for everything that people have: any common image file to RGB.

What becomes of each kind of file:

- **Grey** (1 and 8 bits) is repeated in the three channels; **palettes** become the colours they stand for.
- **Alpha is dropped** and colours are kept as stored, not blended with any background, as the usual loaders of the
  field do (OpenCV in colour, Pillow's ``convert("RGB")``). Premultiplied colours are divided by alpha first.
- **16 bits** per channel, grey or RGB(A), PNG or TIFF, keep all 16 bits: value / 65535, with no stretching of contrast
  (12-bit data stored in 16 bits therefore look dark; stretch them first). Packed 12-bit grey is value / 4095.
- **Float** TIFFs must lie in [0, 1]; 32-bit integers in [0, 65535]. Other ranges are refused, not guessed at.
- **CMYK** goes to sRGB through its ICC profile where it has one, else by the plain formula; Lab likewise. Profiles of
  RGB and grey images are ignored: values are taken as stored, as in every benchmark of the field.
- **EXIF orientation** is applied. Of several frames or pages the first is taken.

A truncated file is never accepted, even where only its last bytes are gone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError

from octosr.data.encode import to_uint8
from octosr.data.pixels import Unsupported, is_deep, open_image, pixels_of, stored_size
from octosr.errors import OctoSRError

MAX_PIXELS = 2**28
"""Default limit on width x height, about 268 million: beyond any real photograph, well below a memory bomb."""


class UnreadableImage(OctoSRError):  # noqa: N818  (the name says it all)
    """An image file cannot be used.

    Attributes:
        path: the file.
        reason: why, in a few words.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image file say.

    Attributes:
        height: rows in pixels as stored, before EXIF orientation.
        width: columns in pixels as stored, before EXIF orientation.
        deep: whether there are more than 8 bits in a channel.
    """

    height: int
    width: int
    deep: bool


def read_header(path: Path | str, max_pixels: int = MAX_PIXELS) -> Header:
    """Size and depth of an image file without decoding it.

    Raises:
        UnreadableImage: no image, of no size, or larger than ``max_pixels``.
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise UnreadableImage(path, "the file is empty (0 bytes)")
        with path.open("rb") as stream, _open(path, stream, max_pixels) as image:
            width, height = stored_size(image)
            return Header(height, width, is_deep(image))
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow raises nearly anything on a malformed file
        raise UnreadableImage(path, _reason(error)) from error


def decode(path: Path | str, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """Decode an image file to RGB, keeping its precision.

    Args:
        path: the file.
        max_pixels: limit on width x height, checked in the header before anything is decoded.

    Returns:
        (H, W, 3): uint8 where the file has 8 bits or fewer in a channel, else float32 in [0, 1].

    Raises:
        UnreadableImage: the file is missing, empty, truncated, corrupt, too large, of an unknown format, or of a kind
            that has no clear meaning as RGB (see the head of this module).
    """
    path = Path(path)
    with opened(path, max_pixels) as image:
        pixels, full_scale = pixels_of(image)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.dtype == np.uint8:
        return np.array(pixels, dtype=np.uint8, order="C")  # a copy: Pillow's own is read-only
    return unit_range(path, pixels, full_scale)


@contextmanager
def opened(path: Path | str, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """An image file that is there, whole and not too large, for what Pillow does with it inside the ``with``.

    Raises:
        UnreadableImage: see :func:`decode`; also for whatever Pillow raises inside the ``with``.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if not content:
            raise UnreadableImage(path, "the file is empty (0 bytes)")
        with _open(path, io.BytesIO(content), max_pixels) as image:
            _check_end(path, image.format, content)
            yield image
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # Pillow raises nearly anything on a malformed file
        raise UnreadableImage(path, _reason(error)) from error


def read_image(path: Path | str, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.float32]:
    """Decode an image file to (H, W, 3) float32 RGB in [0, 1]; arguments and errors as :func:`decode`."""
    pixels = decode(path, max_pixels)
    return pixels.astype(np.float32) / np.float32(255) if pixels.dtype == np.uint8 else pixels.astype(np.float32)


def read_image_uint8(path: Path | str, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Decode an image file to (H, W, 3) uint8 RGB; deeper files are rounded. Errors as :func:`decode`."""
    pixels = decode(path, max_pixels)
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    return to_uint8(torch.from_numpy(pixels)).numpy()


def _open(path: Path, stream: IO[bytes], max_pixels: int) -> Image.Image:
    """Open lazily and check the size."""
    image = open_image(stream)
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableImage(path, f"the image has no pixels ({width}x{height})")
    if width * height > max_pixels:
        raise UnreadableImage(
            path, f"the image is {width}x{height}, more than data.max_pixels={max_pixels}; absurdly large or corrupt"
        )
    return image


def _check_end(path: Path, image_format: str | None, content: bytes) -> None:
    """Pillow accepts files whose pixels are complete but whose last bytes are gone; we do not."""
    end = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "MPO": b"\xff\xd9"}.get(image_format or "")
    # Searched for, not expected at the very end: cameras and editors append things.
    if end is not None and end not in content[-(2**20) :]:
        raise UnreadableImage(path, "the file is truncated (its end marker is missing)")
    if image_format == "BMP" and int.from_bytes(content[2:6], "little") > len(content):
        raise UnreadableImage(path, "the file is truncated (shorter than its header says)")


def unit_range(path: Path, pixels: npt.NDArray[np.generic], full_scale: float) -> npt.NDArray[np.float32]:
    """Values divided by ``full_scale``; refused unless all of them are then in [0, 1].

    Raises:
        UnreadableImage: they are not, or some are no numbers.
    """
    values = pixels.astype(np.float64)
    if not np.isfinite(values).all():
        raise UnreadableImage(path, "some values are NaN or infinite")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > full_scale:
        raise UnreadableImage(
            path,
            f"values from {low:g} to {high:g}, but [0, {full_scale:g}] expected: rescale them, or save 8 or 16 bits",
        )
    return (values / full_scale).astype(np.float32)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a known format (PNG, JPEG, TIFF, BMP or WebP)"
    if isinstance(error, FileNotFoundError):
        return "no such file (a dangling link?)"
    if isinstance(error, PermissionError):
        return "it may not be read (permission denied)"
    if isinstance(error, IsADirectoryError):
        return "it is a folder, not an image"
    if isinstance(error, Unsupported):
        return str(error)
    return f"cannot be decoded: {error or type(error).__name__}"
