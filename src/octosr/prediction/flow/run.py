"""From files to enlarged files: which images go together, and what happens to each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from octosr.cores import one_core_workers
from octosr.prediction.enlarge import Ready, Settings, enlarge_bands, read
from octosr.prediction.flow.batch import Batch
from octosr.prediction.flow.finishing import Failure, Finisher
from octosr.prediction.flow.grouping import Item, groups
from octosr.prediction.flow.reading import Ahead
from octosr.prediction.flow.sizes import BatchSizes
from octosr.prediction.flow.watcher import Watcher
from octosr.prediction.flow.writing import Result, Writing
from octosr.prediction.inputs import Job
from octosr.prediction.journal import Journal
from octosr.prediction.picture import Picture, PlaneSource
from octosr.prediction.tiling import upscale
from octosr.prediction.tiling.memory import attempt
from octosr.techniques.base import SingleImageTechnique

log = logging.getLogger(__name__)

ENCODERS = 8
"""Threads that encode, at most; no more than there are cores."""
Context = Callable[[], AbstractContextManager[object]]


def enlarge_all(
    jobs: Sequence[Job],
    technique: SingleImageTechnique,
    settings: Settings,
    journal: Journal,
    watcher: Watcher,
    context: Context = nullcontext,
) -> list[tuple[Path, str]]:
    """Enlarge image files.

    While the technique is at work, the next files are decoded and the last results encoded on other threads. Small
    images of one size that follow each other are enlarged as one batch. A file takes its name when it is complete and
    noted in the journal, in the order of the jobs.

    Args:
        jobs: the files, and where their results go.
        technique: on the device to use, with its weights, at the scale wanted.
        settings: see :class:`Settings`.
        journal: of the output folder.
        watcher: is told of every image.
        context: what the technique runs in, such as a precision.

    Returns:
        Pairs (file, reason) of the images that came to nothing, in their order; the others are written.

    Raises:
        ConfigError: a setting does not suit the technique, or the disk is full; earlier images are written.
        BaseException: Ctrl-C and the like; what was written is kept, and no temporary file is left.
    """
    training = technique.training
    technique.eval()
    workers = one_core_workers(min(ENCODERS, _cores()), "encoder")
    prepare = partial(_read, scale=technique.scale, settings=settings)
    try:
        with Finisher(journal, watcher) as finisher, Ahead(prepare, jobs, lambda ready: ready.bytes) as ahead:
            run = _Run(technique, settings, finisher, workers, context)
            for group in groups(ahead, run.sizes):
                watcher.begin([item.job for item in group])
                run.enlarge(group, watcher)
            run.collect()
        return finisher.problems
    finally:
        workers.shutdown()
        technique.train(training)


def _read(job: Job, scale: int, settings: Settings) -> Ready:
    return read(job.source, job.target, scale, settings)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Run:
    """What the caller's thread does: everything that the technique is needed for."""

    def __init__(
        self,
        technique: SingleImageTechnique,
        settings: Settings,
        finisher: Finisher,
        workers: Executor,
        context: Context,
    ) -> None:
        self.technique, self.settings, self.finisher = technique, settings, finisher
        self.workers, self.context = workers, context
        self.sizes = BatchSizes(technique, settings.batch_size, settings.tile)
        self._on_its_way: tuple[Batch | None, list[Result | Failure]] = (None, [])

    def enlarge(self, group: Sequence[Item], watcher: Watcher) -> None:
        """A group, all that go together at once."""
        pictures = [item.picture for item in group if item.picture is not None]
        if len(pictures) < 2:
            self.collect()
            for item in group:
                self._alone(item, watcher)
        elif not self._together(group, pictures):
            start = 0
            while start < len(group):
                count = self.sizes.most(pictures[0])  # fewer than before, and maybe less still after the next
                self.enlarge(group[start : start + count], watcher)
                start += count

    def collect(self) -> None:
        """Have the last batch encoded, once a GPU is done with it."""
        batch, entries = self._on_its_way
        self._on_its_way = None, []
        if batch is not None:
            for writing in batch.writings:
                self.finisher.adopt(writing)
            batch.hand_over()
        self.finisher.put(*entries)

    def _together(self, group: Sequence[Item], pictures: Sequence[Picture]) -> bool:
        """Begin a batch; False: its images go in smaller ones, or one by one."""
        entries = [self._entry(item) for item in group]
        writings = [entry for entry in entries if isinstance(entry, Writing)]
        batch = self._begin(pictures, writings)
        if batch is None:
            return False
        self.collect()  # the batch before: a GPU is at this one meanwhile
        self._on_its_way = batch, entries
        if self.technique.device.type != "cuda":
            self.collect()
        return True

    def _begin(self, pictures: Sequence[Picture], writings: Sequence[Writing]) -> Batch | None:
        count = len(pictures)

        def work() -> Batch:
            with self.context(), self.sizes.measured(pictures[0], count):
                return Batch(self.technique, pictures, writings, self.settings.self_ensemble)

        try:
            batch = attempt(work, self.technique.device)
        except Exception as error:
            # If it is not the batch that it cannot do, each image says so by itself.
            log.warning("%d images could not be enlarged together, they go one by one: %s", count, error)
            self.sizes.keep_apart(pictures[0])
            return None
        if batch is None:
            fewer = self.sizes.halve(count)
            log.warning("Memory ran out: going on with %d instead of %d images at once.", fewer, count)
        return batch

    def _alone(self, item: Item, watcher: Watcher) -> None:
        entry = self._entry(item)
        if isinstance(entry, Result):
            self.finisher.adopt(entry)
            try:
                self._made(item, entry, watcher)
            except Exception as error:
                entry.discard(error)
                entry = Failure(item.job, error)
        self.finisher.put(entry)

    def _made(self, item: Item, entry: Result, watcher: Watcher) -> None:
        settings, picture = self.settings, item.picture
        if picture is None or not isinstance(entry, Writing):
            with self.context():
                made = enlarge_bands(item.job.source, entry.begin(), self.technique, settings, watcher.advance)
            entry.complete(made)
            return
        with self.context(), self.sizes.measured(picture, 1):
            report = upscale(
                self.technique,
                PlaneSource(picture.colours),
                entry,
                tile=settings.tile,
                self_ensemble=settings.self_ensemble,
                progress=watcher.advance,
            )
        entry.finish(report)

    def _entry(self, item: Item) -> Result | Failure:
        if item.error is not None:
            return Failure(item.job, item.error)
        if item.ready is None or item.ready.picture is None:
            return Result(item.job)
        stopped = self.finisher.stopped
        return Writing(item.job, item.ready, self.technique.scale, self.settings, self.workers, stopped)
