"""PNG, written as rows come: 8 and 16 bits, grey and RGB, with and without alpha.

Pillow takes a picture as a whole, and has no 16-bit RGB. Here an image of 10,000 x 10,000 pixels costs no more memory
than a few of its rows. PNG specification, third edition (W3C, 2025): 5.3 chunks, 9 filters, 10 compression, 11.3 the
chunks for profile, resolution and EXIF.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from octosr.data.encode import COMPRESSION
from octosr.prediction.picture import Pixels
from octosr.prediction.writers.base import Layout

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_SUB, _UP, _PAETH = 1, 2, 4
_BAND = 64
"""Rows filtered at a time, so that the arrays in between stay in the processor's cache."""
_INCH = 0.0254


class PngWriter:
    """Writes a PNG file.

    Args:
        path: the file, which must not be there.
        layout: what it will hold, with 8 or 16 bits.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._step = layout.channels * layout.bits // 8
        self._bits = layout.bits
        self._above: npt.NDArray[np.uint8] = np.zeros(layout.width * self._step, np.uint8)
        self._deflate = zlib.compressobj(COMPRESSION)
        self._stream = path.open("xb")
        self._stream.write(_SIGNATURE)
        colour = _COLOUR_TYPES[layout.channels]
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", layout.width, layout.height, layout.bits, colour, 0, 0, 0))
        carried = layout.metadata
        if carried.icc is not None:
            self._chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(carried.icc))
        if carried.dpi is not None:
            self._chunk(b"pHYs", struct.pack(">IIB", *(round(dots / _INCH) for dots in carried.dpi), 1))
        if carried.exif is not None:
            self._chunk(b"eXIf", carried.exif.removeprefix(b"Exif\0\0"))

    def write(self, rows: Pixels) -> None:
        """The next rows, (r, width, channels) uint8 or uint16."""
        stored = rows if self._bits == 8 else rows.astype(">u2")
        lines = np.ascontiguousarray(stored).view(np.uint8).reshape(len(rows), -1)
        for top in range(0, len(lines), _BAND):
            band = lines[top : top + _BAND]
            self._data(self._deflate.compress(filtered(band, self._above, self._step)))
            self._above = band[-1].copy()

    def finish(self) -> None:
        """Write the last data and the end of the file."""
        self._data(self._deflate.flush())
        self._chunk(b"IEND", b"")
        self._stream.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _data(self, content: bytes) -> None:
        if content:
            self._chunk(b"IDAT", content)

    def _chunk(self, name: bytes, content: bytes) -> None:
        self._stream.write(struct.pack(">I", len(content)) + name + content)
        self._stream.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))


def filtered(lines: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], step: int) -> bytes:
    """Filter rows for compression: of Sub, Up and Paeth, for each row the one with the smallest differences.

    Args:
        lines: (r, n) bytes of r rows.
        above: (n,) the row before them.
        step: bytes of a pixel.

    Returns:
        r times the number of the filter and n bytes.
    """
    up = np.vstack((above[None], lines[:-1]))
    left, corner = np.zeros_like(lines), np.zeros_like(lines)
    left[:, step:], corner[:, step:] = lines[:, :-step], up[:, :-step]
    candidates = np.stack((lines - left, lines - up, lines - _paeth(left, up, corner)))
    # Differences are bytes of either sign; their sizes, added up, foretell the compressed length well (12.7).
    sizes = np.abs(candidates.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    best = sizes.argmin(axis=0)
    out = np.empty((len(lines), lines.shape[1] + 1), np.uint8)
    out[:, 0] = np.array((_SUB, _UP, _PAETH), np.uint8)[best]
    out[:, 1:] = candidates[best, np.arange(len(lines))]
    return out.tobytes()


def _paeth(
    left: npt.NDArray[np.uint8], up: npt.NDArray[np.uint8], corner: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Whichever of the three is nearest to left + up - corner (9.4)."""
    across, down = up.astype(np.int16) - corner, left.astype(np.int16) - corner
    to_left, to_up, to_corner = np.abs(across), np.abs(down), np.abs(across + down)
    best = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, best)
