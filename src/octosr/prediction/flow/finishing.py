"""Results get their names in the order of the images; what failed is told in that order too."""

from __future__ import annotations

import errno
import queue
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch

from octosr.data.decode import UnreadableImage
from octosr.errors import ConfigError, OctoSRError
from octosr.prediction.flow.watcher import Watcher
from octosr.prediction.flow.writing import Abandoned, Result
from octosr.prediction.inputs import Job
from octosr.prediction.journal import Journal

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
LIMIT = 2**28
"""Bytes of results that wait to be encoded (256 MiB); one more may be above it."""


class Failure(NamedTuple):
    """An image that came to nothing."""

    job: Job
    error: Exception


class Finisher:
    """Takes images from the caller's thread, waits in a thread of its own until each is written, and renames it.

    Used as a context manager. However it is left, by Ctrl-C too, what it was given is finished first: seconds at most,
    where an image may have taken an hour.

    Args:
        journal: of the output folder.
        watcher: is told of every image.

    Attributes:
        problems: pairs (file, reason).
        stopped: set once an error ends the run: no more is encoded.
    """

    def __init__(self, journal: Journal, watcher: Watcher) -> None:
        self.problems: list[tuple[Path, str]] = []
        self.stopped = threading.Event()
        self._journal, self._watcher = journal, watcher
        self._entries: queue.SimpleQueue[Result | Failure | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._held = self._done = 0
        self._open: set[Result] = set()
        self._fatal: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="finisher")

    def __enter__(self) -> Finisher:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish.

        Raises:
            ConfigError: the disk is full.
            BaseException: an error that is no single image's, unless another is on its way already.
        """
        self._entries.put(None)
        self._thread.join()
        for result in list(self._open):
            result.discard(Abandoned())
        if self._fatal is not None and error is None:
            raise self._fatal

    def adopt(self, result: Result) -> None:
        """See to it that nothing is left of a result if it is never put."""
        self._open.add(result)

    def put(self, *entries: Result | Failure) -> None:
        """Give it the next images, all of whose rows are on their way; then wait while too many are not encoded yet.

        Raises:
            BaseException: an earlier image met an error that ends the run.
        """
        with self._changed:
            for entry in entries:
                self._held += _bytes(entry)
                self._entries.put(entry)
            self._changed.wait_for(lambda: self._held < LIMIT or self._fatal is not None)
            if self._fatal is not None:
                raise self._fatal

    def _run(self) -> None:
        while (entry := self._entries.get()) is not None:
            try:
                self._settle(entry)
            except BaseException as error:  # raised in the caller's thread
                self._end(error)
            with self._changed:
                self._held -= _bytes(entry)
                self._changed.notify_all()

    def _end(self, error: BaseException) -> None:
        with self._changed:
            if self._fatal is None:
                self._fatal = error
            self._changed.notify_all()
        self.stopped.set()

    def _settle(self, what: Result | Failure) -> None:
        try:
            if isinstance(what, Failure):
                raise what.error
            self._open.discard(what)
            made = what.outcome()
            if self._fatal is not None:
                raise Abandoned
            what.commit(self._journal)
        except BaseException as error:
            if isinstance(what, Result):
                what.discard(error)
            if self._fatal is not None or isinstance(error, Abandoned):
                return
            self.problems.append((what.job.source, self._reason(what.job, error)))
            self._watcher.fail()
        else:
            self._done += 1
            self._watcher.end(what.job, made)

    def _reason(self, job: Job, error: BaseException) -> str:
        """Why an image is not there.

        Raises:
            BaseException: it is no matter of this image alone.
        """
        if isinstance(error, UnreadableImage):
            return error.reason
        if isinstance(error, OctoSRError) and not isinstance(error, ConfigError):
            return str(error)
        if isinstance(error, MemoryError | torch.OutOfMemoryError):
            return f"the memory does not suffice ({error or 'out of memory'}): try a smaller tile=N, or format=png"
        if not isinstance(error, OSError):
            raise error
        if error.errno in _NO_SPACE or "No space left on device" in str(error):
            raise ConfigError(
                f"{job.target} cannot be written ({error.strerror or error}). {self._done} images were finished; "
                "the same command goes on when there is room."
            ) from error
        return f"{job.target} cannot be written: {error.strerror or error}"


def _bytes(entry: Result | Failure) -> int:
    return entry.bytes if isinstance(entry, Result) else 0
