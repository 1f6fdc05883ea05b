"""How many images are enlarged together: as many as memory allows, and no more than make it faster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

try:
    import resource
except ImportError:  # Windows: what an image takes is guessed
    HAS_PEAK = False
else:
    HAS_PEAK = True

from octosr.prediction.picture import Picture
from octosr.prediction.tiling.memory import SHARE, budget, free_memory
from octosr.prediction.tiling.sizing import SMALL
from octosr.techniques.base import SingleImageTechnique

Size = tuple[int, int]

MOST = 64
"""Images in a batch on a GPU, at most."""
PIXELS = 16 * SMALL**2
"""LR pixels in a batch on a GPU, at most: more keep it no busier, and the first results come later."""
GUESS = 4096
"""Bytes for a pixel of the result, until they have been measured: 16 maps of 64 channels in its size."""
_STATM = Path("/proc/self/statm")


class BatchSizes:
    """How many images of a size go together.

    Images of up to 128x128 pixels do, which are never tiled; on a GPU larger ones too, where several fit. What an image
    takes is guessed first and known after the first batch. On a CPU there is one image for each core, since the
    techniques work on one there; a few images on many cores are faster one by one.

    Args:
        technique: on the device to use.
        asked: this many, whatever the memory says; None: chosen.
        tile: the side of tiles that was asked for.
    """

    def __init__(self, technique: SingleImageTechnique, asked: int | None, tile: int | None) -> None:
        self._technique, self._asked, self._tile = technique, asked, tile
        self._device = technique.device
        self._bytes: dict[Size, float] = {}
        self._measured: dict[Size, int] = {}
        self._apart: set[Size] = set()
        self._limit = sys.maxsize
        tiling = technique.tiling()
        self._view = None if tiling is None else tiling.view

    @property
    def least(self) -> int:
        """Fewer than so many images are enlarged one by one."""
        return max(2, torch.get_num_threads() // 4) if self._device.type == "cpu" and self._asked is None else 2

    def most(self, picture: Picture) -> int:
        """How many images of this one's size go together; 1: it goes alone."""
        size = height, width = picture.size
        pixels = height * width
        if not self._technique.batches or size in self._apart:
            return 1
        if self._tile is not None and self._tile < max(size):
            return 1
        small = pixels <= SMALL**2
        if not small and (self._device.type == "cpu" or (self._view is not None and pixels > self._view**2)):
            return 1
        limits = [self._limit]
        limits.append(self._useful(pixels) if self._asked is None else self._asked)
        if self._asked is None or not small:
            limits.append(int(self._budget() // self._cost(size)))
        return max(1, min(limits))

    def halve(self, count: int) -> int:
        """Memory did not suffice for so many: the size from now on."""
        self._limit = max(1, count // 2)
        return self._limit

    def keep_apart(self, picture: Picture) -> None:
        """Images of this one's size go one by one from now on."""
        self._apart.add(picture.size)

    @contextmanager
    def measured(self, picture: Picture, count: int) -> Iterator[None]:
        """Within it, so many images like this are enlarged: note what memory each takes."""
        pixels = picture.size[0] * picture.size[1]
        known = count <= self._measured.get(picture.size, 0)
        cut = count == 1 and pixels > SMALL**2  # maybe
        if known or cut or not (HAS_PEAK or self._device.type == "cuda"):
            yield
            return
        before = self._taken()
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        yield
        # On a CPU the peak is the process's, and may be that of something before. So larger batches alone are measured
        # again, whose peak is their own, and the most counts: rather too much than too little.
        found = (self._peak() - before) / count
        self._bytes[picture.size] = max(found, self._bytes.get(picture.size, 0))
        self._measured[picture.size] = count

    def _useful(self, pixels: int) -> int:
        if self._device.type == "cpu":
            return torch.get_num_threads()
        return min(MOST, max(1, PIXELS // pixels))

    def _cost(self, size: Size) -> float:
        result = size[0] * size[1] * self._technique.scale**2
        return max(self._bytes.get(size, GUESS * result), 12 * result)

    def _budget(self) -> float:
        return budget(self._device) if self._device.type == "cuda" else free_memory() * SHARE["cpu"]

    def _taken(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        if _STATM.is_file():
            return int(_STATM.read_text().split()[1]) * resource.getpagesize()
        return _peak_resident()

    def _peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _peak_resident()


def _peak_resident() -> int:
    """Bytes of main memory that this process has had at its worst."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
