"""The kinds of file that are written, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from octosr.errors import ConfigError, nearest

CHOICES = ("auto", "same", "png", "jpg", "webp", "bmp", "tif")
"""``auto``: TIFF stays TIFF, everything else becomes PNG: nothing is lost. ``same``: the kind of the input."""

TIFF = (".tif", ".tiff")


@dataclass(frozen=True)
class Kind:
    """What a kind of file can hold.

    Attributes:
        name: as people call it.
        longest: longest side in pixels.
        deepest: bits in a channel, at most.
        alpha: whether it holds opacity.
        exif: whether it holds EXIF data and colour profiles.
        quality: whether it is compressed with losses, at ``quality=``.
    """

    name: str
    longest: int
    deepest: int
    alpha: bool
    exif: bool = True
    quality: bool = False


_PNG = Kind("PNG", 2**31 - 1, 16, True)
_TIFF = Kind("TIFF", 2**31 - 1, 32, True)
_JPEG = Kind("JPEG", 65_500, 8, False, quality=True)
_WEBP = Kind("WebP", 16_383, 8, True, quality=True)
_BMP = Kind("BMP", 32_767, 8, False, exif=False)
KINDS = {".png": _PNG, ".tif": _TIFF, ".tiff": _TIFF, ".jpg": _JPEG, ".jpeg": _JPEG, ".webp": _WEBP, ".bmp": _BMP}


def check_format(choice: str, quality: int) -> None:
    """Refuse a format or a quality that there is not.

    Raises:
        ConfigError: with the nearest format, or the range.
    """
    if choice not in CHOICES:
        raise ConfigError(
            f"format must be one of {', '.join(CHOICES)}, but got {choice!r}.{nearest(str(choice), CHOICES)}"
        )
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality is between 1 and 100 (of JPEG and WebP), but is {quality}.")


def suffix_of(source: Path, choice: str) -> str:
    """The extension of the result.

    >>> [suffix_of(Path("a.JPG"), choice) for choice in ("auto", "same", "tif")]
    ['.png', '.JPG', '.tif']
    """
    own = source.suffix
    known = own.lower() in KINDS
    if choice == "same":
        return own if known else ".png"
    if choice == "auto":
        return own if own.lower() in TIFF else ".png"
    if KINDS[f".{choice}"] is KINDS.get(own.lower()):
        return own  # .jpeg, .TIFF: as it is called already
    return f".{choice}"


def kind_of(target: Path) -> Kind:
    """What a file of this name can hold."""
    return KINDS[target.suffix.lower()]
