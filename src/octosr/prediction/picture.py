"""A picture in memory at its own depth: colours, opacity, and what it carries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from octosr.data.decode import MAX_PIXELS, opened, unit_range
from octosr.data.pixels import pixels_and_alpha
from octosr.prediction.metadata import Metadata, metadata_of

Pixels = npt.NDArray[Any]


@dataclass(frozen=True)
class Picture:
    """A decoded image.

    Attributes:
        colours: (H, W) grey or (H, W, 3) RGB, of uint8, uint16 or float32; floats are in [0, 1].
        alpha: (H, W) opacity of the same type, or None.
        metadata: what the enlarged picture shall carry.
        notes: what the user should know of it.
    """

    colours: Pixels
    alpha: Pixels | None
    metadata: Metadata
    notes: tuple[str, ...] = ()

    @property
    def bits(self) -> int:
        """8, 16, or 32 for floats."""
        return self.colours.dtype.itemsize * 8

    @property
    def grey(self) -> bool:
        """Whether there is one channel only."""
        return self.colours.ndim == 2

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.colours.shape[0]), int(self.colours.shape[1])


class PlaneSource:
    """Samples in memory as a source of float RGB; only what is read becomes float.

    Args:
        planes: (H, W) grey, repeated in the three channels, or (H, W, 3).
        low: the value that becomes 0.
        high: the value that becomes 1; None: the largest of an integer type, 1 of floats.
    """

    def __init__(self, planes: Pixels, low: float = 0.0, high: float | None = None) -> None:
        if high is None:
            high = float(np.iinfo(planes.dtype).max) if planes.dtype.kind in "iu" else 1.0
        self.planes, self.low, self.high = planes, low, high
        self.height, self.width = int(planes.shape[0]), int(planes.shape[1])

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """See :class:`octosr.prediction.tiling.Source`."""
        part = self.planes[top:bottom, left:right]
        if self.low == 0:
            values = part.astype(np.float32) / np.float32(self.high)
        else:
            values = ((part.astype(np.float64) - self.low) / (self.high - self.low)).astype(np.float32)
        if values.ndim == 2:
            return torch.from_numpy(values).expand(3, -1, -1).contiguous()
        return torch.from_numpy(values).permute(2, 0, 1).contiguous()


def read_picture(path: Path, scale: int, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode an image file; of several frames or pages the first, which a note says.

    Args:
        path: the file.
        scale: of the enlargement, which sizes in the metadata are multiplied by.
        max_pixels: see :func:`octosr.data.decode.decode`.

    Raises:
        UnreadableImage: see :func:`octosr.data.decode.decode`.
    """
    with opened(path, max_pixels) as image:
        colours, alpha, full_scale = pixels_and_alpha(image)
        metadata = metadata_of(image, scale)
        frames = int(getattr(image, "n_frames", 1))
    notes = (f"of {frames} frames or pages only the first is enlarged",) if frames > 1 else ()
    if full_scale == 255:
        return Picture(np.array(colours, np.uint8), alpha, metadata, notes)
    values = unit_range(path, colours, full_scale)
    if full_scale == 1:
        return Picture(values, alpha, metadata, notes)
    if full_scale == 65535:
        return Picture(colours.astype(np.uint16), alpha, metadata, notes)
    deepened = np.rint(values.astype(np.float64) * 65535).astype(np.uint16)  # packed 12 bits
    return Picture(deepened, None if alpha is None else alpha.astype(np.uint16) * 16, metadata, notes)
