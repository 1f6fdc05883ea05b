"""What is kept of a whole image between two stages: in memory where it is small, else on a disk."""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
from typing import IO

import torch
from torch import Tensor

from octosr.errors import DiskError
from octosr.prediction.tiling.memory import is_out_of_memory

log = logging.getLogger(__name__)


class FeatureMap:
    """Takes rows as a sink does, of any number of channels and where they were made, and is then a source.

    A file has no name, and is gone when the process is. It is read and written, not mapped: pages of a mapped file
    would count as memory of this process.

    Args:
        height: of the whole map.
        width: of it.
        memory: bytes that it may take in memory, on the device where the rows are.
    """

    def __init__(self, height: int, width: int, memory: float) -> None:
        self.height, self.width = height, width
        self._memory = memory
        self._done = 0
        # Either (H, W, C), so that what a tile has of a row is in one piece.
        self._held: Tensor | None = None
        self._file: IO[bytes] | None = None
        self._channels, self._dtype = 0, torch.float32

    def write(self, rows: Tensor) -> None:
        """The next rows, (C, r, W).

        Raises:
            DiskError: there is no room for the file.
        """
        if not self._done:
            self._begin(rows)
        pixels = rows.permute(1, 2, 0)
        if self._held is not None:
            self._held[self._done : self._done + len(pixels)] = pixels
        else:
            assert self._file is not None
            try:
                self._file.write(_bytes(pixels.contiguous().cpu()))
            except OSError as error:
                raise _no_room(error.strerror or str(error), rows[:, 0].nbytes * self.height) from error
        self._done += rows.shape[1]

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """See :class:`~octosr.prediction.tiling.Source`: (C, h, w), in the dtype in which it was written."""
        if self._held is not None:
            return self._held[top:bottom, left:right].permute(2, 0, 1)
        assert self._file is not None
        part = torch.empty(bottom - top, right - left, self._channels, dtype=self._dtype)
        pixel = self._channels * part.element_size()
        for number, row in enumerate(range(top, bottom)):
            line = _bytes(part[number])
            self._file.seek((row * self.width + left) * pixel)
            if self._file.readinto(line) != len(line):  # type: ignore[attr-defined]
                raise DiskError(f"A temporary file in {tempfile.gettempdir()} was cut short while it was in use.")
        return part.permute(2, 0, 1)

    def close(self) -> None:
        """Free what it takes."""
        self._held = None
        if self._file is not None:
            self._file.close()

    def _begin(self, rows: Tensor) -> None:
        self._channels, self._dtype = rows.shape[0], rows.dtype
        size = rows[:, 0].nbytes * self.height
        if size <= self._memory:
            try:
                self._held = rows.new_empty((self.height, self.width, self._channels))
                return
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
        folder = tempfile.gettempdir()
        if shutil.disk_usage(folder).free < size:
            raise _no_room("No space left on device", size)
        log.debug("Features of %d MB are kept in %s.", size // 10**6, folder)
        self._file = tempfile.TemporaryFile(prefix="octosr-")  # noqa: SIM115  (open until the map is closed)


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor on the CPU, of any dtype."""
    return tensor.view(-1).view(torch.uint8).numpy().data


def _no_room(reason: str, size: int) -> DiskError:
    return DiskError(
        f"Between the blocks of its network, an image of this size needs a temporary file of {math.ceil(size / 1e6)} "
        f"MB in {tempfile.gettempdir()} ({reason}): make room there, or set the environment variable TMPDIR to a "
        "folder with more."
    )
