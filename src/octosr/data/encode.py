"""From float images to 8-bit PNG files, and to samples of 8 and 16 bits: the one place where this project rounds."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from octosr.data.atomic import write_bytes
from octosr.errors import OctoSRError

COMPRESSION = 4
"""zlib level of written PNGs; lossless at any level, and 4 costs about half the time of 6 for a few percent."""


def to_uint8(images: Tensor) -> Tensor:
    """Round float images in [0, 1] to 8 bits: clamp, times 255, round half to even.

    Args:
        images: any floating-point tensor; half precision is widened to float32 first.

    Returns:
        uint8 tensor of the same shape, on the same device.

    Raises:
        OctoSRError: a value is NaN or infinite.
        TypeError: ``images`` is not floating point.
    """
    return (unit_values(images) * 255).round().to(torch.uint8)


def to_uint8_unwaited(images: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`to_uint8`, but without waiting for the device to say whether all values are numbers.

    Args:
        images: as there.

    Returns:
        uint8 tensor of the same shape, and how many values are NaN or infinite (int64, no dimensions), both on the
        same device. Whoever reads the count gives it to :func:`refuse_not_finite`.
    """
    images = images if images.dtype == torch.float64 else images.float()
    return (images.clamp(0, 1) * 255).round().to(torch.uint8), (~torch.isfinite(images)).sum()


def to_uint16(images: Tensor) -> Tensor:
    """Round float images in [0, 1] to 16 bits, times 65535; otherwise as :func:`to_uint8`."""
    return (unit_values(images) * 65535).round().to(torch.uint16)


def unit_values(images: Tensor) -> Tensor:
    """What is rounded, or stored as it is where a file holds floats: clamped to [0, 1]; errors as :func:`to_uint8`."""
    if not images.is_floating_point():
        raise TypeError(f"float images in [0, 1] expected, got {images.dtype}")
    images = images if images.dtype == torch.float64 else images.float()
    if not torch.isfinite(images).all():
        refuse_not_finite(int((~torch.isfinite(images)).sum()), images.numel())
    return images.clamp(0, 1)


def refuse_not_finite(count: int, total: int) -> None:
    """Nothing, if ``count`` is 0.

    Raises:
        OctoSRError: so many of all values of an image are no numbers.
    """
    if count:
        raise OctoSRError(
            f"An image has {count} of {total} values that are NaN or infinite and cannot be saved. "
            "The weights may have diverged, or half precision overflowed: try trainer.precision=32."
        )


def encode_png(image: Tensor, text: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an 8-bit RGB PNG: the same image and text always give the same bytes.

    Args:
        image: (3, H, W), float in [0, 1] or uint8.
        text: tEXt entries (iTXt where a value does not fit Latin-1), written in the order of their keys.

    Raises:
        ValueError: the shape is not (3, H, W).
        OctoSRError: see :func:`to_uint8`.
    """
    if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape:
        raise ValueError(f"an image of shape (3, H, W) expected, got {tuple(image.shape)}")
    pixels = image if image.dtype == torch.uint8 else to_uint8(image)
    info = PngInfo()
    for key, value in sorted((text or {}).items()):
        info.add_text(key, value)
    stream = io.BytesIO()
    picture = Image.fromarray(pixels.detach().cpu().permute(1, 2, 0).contiguous().numpy())
    picture.save(stream, format="PNG", compress_level=COMPRESSION, pnginfo=info)
    return stream.getvalue()


def write_png(path: Path | str, image: Tensor, text: Mapping[str, str] | None = None) -> None:
    """Write one image as an 8-bit RGB PNG, atomically; arguments and errors as :func:`encode_png`."""
    write_bytes(Path(path), encode_png(image, text))
