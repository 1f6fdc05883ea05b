"""JPEG, WebP and BMP: Pillow writes them from the whole 8-bit picture, 4 bytes of memory a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from octosr.prediction.picture import Pixels
from octosr.prediction.writers.base import Layout

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class WholeWriter:
    """Collects rows in a Pillow image and saves it at the end.

    Args:
        path: the file.
        layout: what it will hold, with 8 bits.
        kind: ``JPEG``, ``WebP`` or ``BMP``.
    """

    def __init__(self, path: Path, layout: Layout, kind: str) -> None:
        self._path, self._layout, self._kind = path, layout, kind
        self._image = Image.new(_MODES[layout.channels], (layout.width, layout.height))
        self._top = 0

    def write(self, rows: Pixels) -> None:
        """The next rows, (r, width, channels) uint8."""
        band = np.ascontiguousarray(rows[:, :, 0] if self._layout.channels == 1 else rows)
        self._image.paste(Image.fromarray(band), (0, self._top))
        self._top += len(rows)

    def finish(self) -> None:
        """Save the picture."""
        with self._path.open("xb") as stream:
            self._image.save(stream, format=self._kind.upper(), **self._options())

    def close(self) -> None:
        """Nothing is held open."""

    def _options(self) -> dict[str, Any]:
        carried = self._layout.metadata
        options: dict[str, Any] = {}
        if carried.dpi is not None:
            options["dpi"] = carried.dpi
        if self._kind != "BMP":
            options["quality"] = self._layout.quality
            if carried.exif is not None:
                options["exif"] = carried.exif
            if carried.icc is not None:
                options["icc_profile"] = carried.icc
        if self._kind == "JPEG":
            options["subsampling"] = 0  # thinned colours would undo part of the enlargement
        return options
