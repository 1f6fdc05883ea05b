"""A result on its way to its file: its rows come from the network's thread and are encoded on others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from torch import Tensor

from octosr.atomic import replacing
from octosr.hashing import file_sha256
from octosr.prediction.enlarge import Outcome, Ready, Settings, blended
from octosr.prediction.flow.in_order import InOrder
from octosr.prediction.inputs import Job
from octosr.prediction.journal import Journal
from octosr.prediction.picture import Pixels
from octosr.prediction.rows import RowEncoder
from octosr.prediction.tiling import Report
from octosr.prediction.writers import Layout, Writer, open_writer

PIECE = 2**24
"""Bytes of float rows that are rounded at a time (16 MiB): an image of the study's size at once."""


class Abandoned(Exception):  # noqa: N818  (nothing is wrong with the image)
    """The run ended before this image was encoded."""


class Result:
    """A file under a temporary name.

    Args:
        job: the image, and the name of the result.

    Attributes:
        bytes: of the rows that it holds until they are encoded.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.bytes = 0
        self._file = ExitStack()
        self._temporary: Path | None = None
        self._made: tuple[Outcome, str] | None = None

    def begin(self) -> Path:
        """The temporary name."""
        self._temporary = self._file.enter_context(replacing(self.job.target))
        return self._temporary

    def complete(self, outcome: Outcome) -> None:
        """All is written: bring it to the disk and hash it, so that nothing is left to do but the renaming."""
        assert self._temporary is not None
        with self._temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        self._made = outcome, file_sha256(self._temporary)

    def outcome(self) -> Outcome:
        """What was written.

        Raises:
            Exception: what it failed with.
        """
        assert self._made is not None
        return self._made[0]

    def commit(self, journal: Journal) -> None:
        """Note it, and give it its name."""
        assert self._made is not None
        made, digest = self._made
        tiles = [{"tile": report.tile, "tiles": report.tiles, "halvings": report.halvings} for report in made.reports]
        facts = {"height": made.height, "width": made.width, "tiling": tiles, "batch": made.batch, "notes": made.notes}
        journal.add(self.job.name, digest, self.job.source, **facts)
        self._file.close()

    def discard(self, error: BaseException) -> None:
        """Remove what there is of it."""
        self._file.__exit__(type(error), error, error.__traceback__)


class Writing(Result):
    """A picture's result. It is a sink for rows (see :class:`octosr.prediction.tiling.Sink`).

    Args:
        job: see :class:`Result`.
        ready: the LR picture.
        scale: of the enlargement.
        settings: see :class:`Settings`.
        workers: on which rows are encoded, those of one picture one after the other.
        stopped: once it is set, no more work is begun.
    """

    def __init__(
        self, job: Job, ready: Ready, scale: int, settings: Settings, workers: Executor, stopped: threading.Event
    ) -> None:
        super().__init__(job)
        assert ready.picture is not None
        picture = ready.picture
        height, width = (side * scale for side in picture.size)
        bits = min(picture.bits, ready.kind.deepest)
        self.encoder = RowEncoder(picture, scale, bits)
        self._layout = Layout(height, width, self.encoder.channels, bits, picture.metadata, settings.quality)
        self._kind, self._notes = ready.kind, list(ready.notes)
        self._tasks, self._stopped = InOrder(workers), stopped
        self._open = ExitStack()
        self._writer: Writer | None = None
        self._last: Future[None] | None = None

    def write(self, rows: Tensor) -> None:
        """Encode rows once those before are: no more than two bands are in memory.

        Raises:
            Exception: what earlier rows failed with.
        """
        if self._last is not None:
            self._last.result()
        self.put(partial(self._pieces, rows), rows.nbytes)

    def put(self, rows: Callable[[], Iterable[Pixels]], size: int) -> None:
        """Write the bands that a function gives, which a worker calls and which holds so many bytes."""
        self.bytes = size
        self._last = self._tasks.submit(partial(self._encode, rows))

    def finish(self, report: Report, batch: int = 1) -> None:
        """All rows are on their way."""
        notes = [*self._notes, *blended([report])]
        outcome = Outcome(self._layout.height, self._layout.width, notes, [report], batch)
        self._last = self._tasks.submit(partial(self._finish, outcome))

    def outcome(self) -> Outcome:
        """What was written, once it is."""
        assert self._last is not None
        self._last.result()
        return super().outcome()

    def discard(self, error: BaseException) -> None:
        """Remove what there is of it, once no worker is at it."""
        if self._last is not None:
            wait([self._last])
        self._open.__exit__(type(error), error, error.__traceback__)
        super().discard(error)

    def _pieces(self, rows: Tensor) -> Iterator[Pixels]:
        """In pieces, since rounding makes several copies, and the next band is being made meanwhile."""
        for piece in rows.split(max(1, PIECE // (rows[:, :1].nbytes)), dim=1):
            yield self.encoder.encode(piece)

    def _encode(self, rows: Callable[[], Iterable[Pixels]]) -> None:
        if self._stopped.is_set():
            raise Abandoned
        if self._writer is None:
            self._writer = self._open.enter_context(open_writer(self.begin(), self._kind, self._layout))
        for band in rows():
            self._writer.write(band)

    def _finish(self, outcome: Outcome) -> None:
        self._open.close()
        self.complete(outcome)
