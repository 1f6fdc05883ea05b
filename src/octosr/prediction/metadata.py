"""What a picture carries beside its pixels: EXIF, colour profile, resolution."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_GPS_IFD = 0x8825
_PIXELS_X, _PIXELS_Y = 0xA002, 0xA003
_DESCRIPTIVE = frozenset({0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, _EXIF_IFD, _GPS_IFD})
"""Description, maker, model, software, date, artist, copyright, and the EXIF and GPS groups."""


@dataclass(frozen=True)
class Metadata:
    """What is kept.

    Attributes:
        exif: an EXIF block (``Exif\\0\\0`` and a small TIFF); None where there is none.
        icc: a colour profile that holds for the pixels as they were decoded.
        dpi: pixels an inch, across and down.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


def metadata_of(image: Image.Image, scale: int) -> Metadata:
    """What the enlarged picture shall carry.

    The orientation becomes "upright", since the pixels are turned; sizes in pixels become those of the result; a
    thumbnail is left out. The resolution is kept as it is, not multiplied.

    Args:
        image: opened, and decoded already.
        scale: of the enlargement.
    """
    exif = image.getexif()
    if image.format == "TIFF":  # there the same block also says where the pixels lie
        for tag in [tag for tag in exif if tag not in _DESCRIPTIVE]:
            del exif[tag]
    width, height = image.size
    if exif.pop(_ORIENTATION, 1) in (5, 6, 7, 8) and image.format != "TIFF":
        width, height = height, width
    if _EXIF_IFD in exif:
        group = exif.get_ifd(_EXIF_IFD)
        for tag, side in ((_PIXELS_X, width), (_PIXELS_Y, height)):
            if tag in group:
                group[tag] = side * scale
    # A profile of CMYK or Lab was used up on the way to sRGB.
    icc = None if image.mode in ("CMYK", "LAB") else image.info.get("icc_profile")
    return Metadata(exif.tobytes() if len(exif) else None, icc or None, _dpi(image))


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    across, down = float(dpi[0]), float(dpi[1])
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None
