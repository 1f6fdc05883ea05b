"""What is written, and the choice of the writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from octosr.prediction.formats import Kind
from octosr.prediction.metadata import Metadata
from octosr.prediction.picture import Pixels


@dataclass(frozen=True)
class Layout:
    """A picture before its pixels are known.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        bits: of a sample: 8, 16, or 32 for floats.
        metadata: what the file carries besides.
        quality: of JPEG and WebP, 1 to 100.
    """

    height: int
    width: int
    channels: int
    bits: int
    metadata: Metadata
    quality: int = 95


class Writer(Protocol):
    """Takes rows from the top to the bottom."""

    def write(self, rows: Pixels) -> None:
        """The next rows, (r, width, channels)."""

    def finish(self) -> None:
        """All rows are there: write what is left."""

    def close(self) -> None:
        """Let go of the file and of threads, also after an error; nothing if finished."""


@contextmanager
def open_writer(path: Path, kind: Kind, layout: Layout) -> Iterator[Writer]:
    """A writer of this kind of file, finished if the ``with`` ends well and closed in any case."""
    writer = _writer(path, kind, layout)
    try:
        yield writer
        writer.finish()
    finally:
        writer.close()


def _writer(path: Path, kind: Kind, layout: Layout) -> Writer:
    # Imported here, since they import this module.
    from octosr.prediction.writers.png import PngWriter
    from octosr.prediction.writers.tiff import TiffWriter
    from octosr.prediction.writers.whole import WholeWriter

    if kind.name == "PNG":
        return PngWriter(path, layout)
    if kind.name == "TIFF":
        return TiffWriter(path, layout)
    return WholeWriter(path, layout, kind.name)
