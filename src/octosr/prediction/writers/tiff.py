"""TIFF, written as rows come, by tifffile in a thread of its own: it fetches what it writes, here it is brought."""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tifffile

from octosr.data.encode import COMPRESSION
from octosr.prediction.picture import Pixels
from octosr.prediction.rows import RowBuffer
from octosr.prediction.writers.base import Layout
from octosr.prediction.writers.tiff_exif import append_groups, text_tags

_STRIP = 2**18
"""Bytes of a strip before compression, about."""
_WAIT = 0.2


class TiffWriter:
    """Writes a TIFF file: strips, deflate, horizontal differences for integers, BigTIFF where it gets large.

    Args:
        path: the file, which must not be there.
        layout: what it will hold.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        row = layout.width * layout.channels * layout.bits // 8
        self._rows = max(1, min(_STRIP // row, layout.height))
        self._buffer = RowBuffer(self._rows)
        self._strips: queue.Queue[bytes | None] = queue.Queue(maxsize=4)
        self._error: BaseException | None = None
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tiff", daemon=True)
        self._thread.start()

    def write(self, rows: Pixels) -> None:
        """The next rows, (r, width, channels).

        Raises:
            OSError: what the thread met when it wrote earlier ones.
        """
        for band in self._buffer.add(rows):
            self._put(self._encoded(band))

    def finish(self) -> None:
        """Write what is left and wait for the thread."""
        for band in self._buffer.rest():
            self._put(self._encoded(band))
        self._put(None)
        self._thread.join()
        self._raise()
        if self._layout.metadata.exif is not None and not self._large():
            append_groups(self._path, self._layout.metadata.exif)

    def close(self) -> None:
        """End the thread, also where rows are missing."""
        self._abandoned.set()
        self._thread.join()

    def _encoded(self, band: Pixels) -> bytes:
        if self._predicted:
            differences = band.copy()
            differences[:, 1:] -= band[:, :-1]  # wraps around, as the format wants it
            band = differences
        return zlib.compress(band.astype(band.dtype.newbyteorder("<"), order="C", copy=False).tobytes(), COMPRESSION)

    @property
    def _predicted(self) -> bool:
        return self._layout.bits != 32

    def _put(self, strip: bytes | None) -> None:
        while True:
            self._raise()
            try:
                return self._strips.put(strip, timeout=_WAIT)
            except queue.Full:
                continue

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            large = self._large()
            with self._path.open("xb") as stream, tifffile.TiffWriter(stream, bigtiff=large, byteorder="<") as tiff:
                tiff.write(self._take(), **self._description())
        except BaseException as error:  # handed to the thread that brings the rows
            self._error = error

    def _take(self) -> Iterator[bytes]:
        while not self._abandoned.is_set():
            try:
                strip = self._strips.get(timeout=_WAIT)
            except queue.Empty:
                continue
            if strip is None:
                return
            yield strip

    def _large(self) -> bool:
        layout = self._layout
        return layout.height * layout.width * layout.channels * layout.bits // 8 > 2**32 - 2**25

    def _description(self) -> dict[str, Any]:
        layout, carried = self._layout, self._layout.metadata
        alpha = layout.channels in (2, 4)
        description: dict[str, Any] = {
            "shape": (layout.height, layout.width, *([layout.channels] if layout.channels > 1 else [])),
            "dtype": {8: "uint8", 16: "uint16", 32: "float32"}[layout.bits],
            "photometric": "rgb" if layout.channels >= 3 else "minisblack",
            "planarconfig": "contig" if layout.channels > 1 else None,
            "extrasamples": ["unassalpha"] if alpha else None,
            "rowsperstrip": self._rows,
            "compression": "zlib",
            "predictor": 2 if self._predicted else None,
            "iccprofile": carried.icc,
            "metadata": None,
            "software": False,
            "extratags": text_tags(carried.exif),
        }
        if carried.dpi is not None:
            description |= {"resolution": carried.dpi, "resolutionunit": "INCH"}
        return description
