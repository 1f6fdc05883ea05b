"""From an opened Pillow image to an array, for every mode Pillow has, without losing bits.

Used by :mod:`octosr.data.decode`, whose head says what becomes of each kind of file.
"""

from __future__ import annotations

import io
import sys
import threading
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")  # several-picture JPEGs (MPO) come in through JPEG

_open_lock = threading.Lock()

_TIFF_WIDTH = 256
_TIFF_LENGTH = 257
_TIFF_BITS = 258
_TIFF_PHOTOMETRIC = 262
_TIFF_PLANAR = 284
_OTHER_BYTE = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBX;16B": "RGBX;16L",
    "RGBX;16L": "RGBX;16B",
}


class Unsupported(Exception):  # noqa: N818  (internal: becomes an UnreadableImage with this reason)
    """The image is sound but of a kind that is not decoded."""


def open_image(stream: IO[bytes]) -> Image.Image:
    """Open lazily, without Pillow's own limit on the size: it is one for the whole process, ours is one a call."""
    with _open_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(stream, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as stored; Pillow has turned those of a TIFF by its orientation already."""
    width, height = _tag(image, _TIFF_WIDTH), _tag(image, _TIFF_LENGTH)
    return (width, height) if isinstance(width, int) and isinstance(height, int) else image.size


def is_deep(image: Image.Image) -> bool:
    """Whether an image that was opened but not loaded has more than 8 bits in a channel."""
    return image.mode == "F" or image.mode.startswith("I") or ";16" in _raw_mode(image)


def pixels_of(image: Image.Image) -> tuple[npt.NDArray[Any], float]:
    """Colours of an opened image; see :func:`pixels_and_alpha`."""
    colours, _, full_scale = pixels_and_alpha(image)
    return colours, full_scale


def pixels_and_alpha(image: Image.Image) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None, float]:
    """Decode an opened image.

    Returns:
        Colours (H, W) or (H, W, 3), oriented as EXIF says; opacity (H, W) where there is any, as a channel, in a
        palette or as one colour that is to be transparent; and the value that stands for full intensity, and for
        opaque: uint8 and 255, or integers or floats of more bits with 65535, 4095 or 1.

    Raises:
        Unsupported: there is no clear way to RGB; other exceptions are Pillow's, for malformed files.
    """
    raw_mode = _raw_mode(image)
    if _tag(image, _TIFF_PLANAR) == 2 and max(_tag(image, _TIFF_BITS) or (8,)) > 8:
        raise Unsupported("TIFF of more than 8 bits with separate colour planes is not supported; save it interleaved")
    if ";16" in raw_mode and not image.mode.startswith("I") and image.mode != "CMYK":
        planes = _sixteen_bit_planes(image, raw_mode)
        if planes.shape[2] == 3:
            return planes, _keyed(image, planes, 65535), 65535.0
        return planes[:, :, 0] if planes.shape[2] == 2 else planes[:, :, :3], planes[:, :, -1], 65535.0
    white_is_zero = _tag(image, _TIFF_PHOTOMETRIC) == 0
    oriented = ImageOps.exif_transpose(image)
    if oriented.mode.startswith("I"):
        full_scale = 4095.0 if raw_mode == "I;12" else 65535.0
        values = np.asarray(oriented).astype(np.int64)
        alpha = _keyed(image, values[:, :, None], int(full_scale))
        # Pillow turns 8-bit white-is-zero TIFFs the right way up, but leaves 16-bit ones inverted.
        return (int(full_scale) - values if white_is_zero else values), alpha, full_scale
    if oriented.mode == "F":
        return np.asarray(oriented), None, 1.0
    return np.asarray(_eight_bit_rgb(oriented)), _eight_bit_alpha(oriented), 255.0


def _keyed(image: Image.Image, planes: npt.NDArray[Any], opaque: int) -> npt.NDArray[np.uint16] | None:
    """Opacity where one colour is declared transparent (the ``tRNS`` chunk of a 16-bit PNG)."""
    colour = image.info.get("transparency")
    if colour is None:
        return None
    seen = (planes != np.asarray(colour).reshape(1, 1, -1)).any(axis=2)
    return np.where(seen, opaque, 0).astype(np.uint16)


def _eight_bit_alpha(image: Image.Image) -> npt.NDArray[np.uint8] | None:
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA").getchannel("A"))
    return None


def _eight_bit_rgb(image: Image.Image) -> Image.Image:
    """To mode RGB, or L for grey, alpha dropped."""
    if image.mode in ("1", "L", "LA", "La"):
        return (image.convert("LA") if image.mode == "La" else image).convert("L")
    if image.mode in ("P", "PA", "RGBA", "RGBa"):  # by way of RGBA: no warning for palettes, no premultiplied colours
        return image.convert("RGBA").convert("RGB")
    if image.mode in ("RGB", "RGBX", "YCbCr"):
        return image.convert("RGB")
    if image.mode == "CMYK" and "icc_profile" not in image.info:
        return image.convert("RGB")
    if image.mode in ("CMYK", "LAB"):
        return _to_srgb(image)
    raise Unsupported(f"colour mode {image.mode} is not supported")


def _to_srgb(image: Image.Image) -> Image.Image:
    embedded = image.info.get("icc_profile") if image.mode == "CMYK" else None
    source = ImageCms.ImageCmsProfile(io.BytesIO(embedded)) if embedded else ImageCms.createProfile("LAB")
    try:
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError as error:
        raise Unsupported(f"its ICC profile cannot be used to go from {image.mode} to RGB ({error})") from error
    assert converted is not None  # only None when asked to work in place
    return converted


def _sixteen_bit_planes(image: Image.Image, raw_mode: str) -> npt.NDArray[np.uint16]:
    """16-bit colour, (H, W, 2), (H, W, 3) or (H, W, 4), alpha last, which Pillow itself cuts to the upper 8 bits.

    Pillow's unpackers for one byte order and for the other take different bytes of the same 16 bits, so decoding
    once with each gives the upper and the lower half, and Pillow still does all the work.
    """
    if raw_mode == "LA;16B":  # four bytes a pixel: grey high, grey low, alpha high, alpha low
        _set_raw_mode(image, "RGBA")
        both = np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16)
        return both[:, :, 0::2] * 256 + both[:, :, 1::2]
    named = raw_mode.replace(";16N", ";16L" if sys.byteorder == "little" else ";16B")
    if named not in _OTHER_BYTE:
        raise Unsupported(f"16-bit colour of the kind {raw_mode} is not supported; save 16-bit RGB, or 8 bits")
    stream: IO[bytes] = image.fp  # type: ignore[attr-defined]  # opened and not loaded
    position = stream.tell()
    stream.seek(0)
    again = open_image(io.BytesIO(stream.read()))
    stream.seek(position)
    _set_raw_mode(again, _OTHER_BYTE[named])
    channels = 4 if named.startswith("RGBA") else 3
    high = np.asarray(ImageOps.exif_transpose(image))[:, :, :channels].astype(np.uint16)
    return high * 256 + np.asarray(ImageOps.exif_transpose(again))[:, :, :channels]


def _tag(image: Image.Image, number: int) -> Any:
    """The value of a TIFF tag; None where it is absent or the file is no TIFF."""
    tags = getattr(image, "tag_v2", None)
    return None if tags is None else tags.get(number)


def _raw_mode(image: Image.Image) -> str:
    """The pixel layout in the file, as Pillow's decoders name it; empty where the format has no such thing."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    first = arguments[0] if isinstance(arguments, (tuple, list)) and arguments else arguments
    return first if isinstance(first, str) else ""


def _set_raw_mode(image: Image.Image, raw_mode: str) -> None:
    tiles: list[Any] = image.tile  # type: ignore[attr-defined]
    for number, tile in enumerate(tiles):
        arguments = tile[3]
        changed = (raw_mode, *arguments[1:]) if isinstance(arguments, (tuple, list)) else raw_mode
        tiles[number] = tile._replace(args=changed) if hasattr(tile, "_replace") else (*tile[:3], changed)
