"""Folders of small pictures, and a run over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from octosr.prediction.enlarge import Outcome, Settings
from octosr.prediction.flow import enlarge_all
from octosr.prediction.formats import suffix_of
from octosr.prediction.inputs import Job, find_jobs
from octosr.prediction.journal import Journal
from octosr.techniques.base import SingleImageTechnique

RNG = np.random.default_rng(5)


class Log:
    """A watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.begun: list[list[str]] = []
        self.ended: list[tuple[str, int]] = []
        self.failed = 0

    def begin(self, jobs: list[Job]) -> None:
        self.begun.append([job.name for job in jobs])

    def advance(self, done: int, total: int) -> None:
        assert 0 < done <= total

    def end(self, job: Job, made: Outcome) -> None:
        self.ended.append((job.name, made.batch))

    def fail(self) -> None:
        self.failed += 1


class Flow:
    """Runs over the folder ``in``; every run has an output folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, Log()
        self.output = root
        self.problems: list[tuple[Path, str]] = []

    def picture(self, name: str, *shape: int, low: int = 0, high: int = 256, dtype: type = np.uint8) -> Path:
        path = self.root / "in" / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(RNG.integers(low, high, shape or (12, 16, 3)).astype(dtype)).save(path)
        return path

    def run(self, technique: SingleImageTechnique, output: str = "out", **settings: object) -> dict[str, Path]:
        self.log, self.output = Log(), self.root / output
        jobs = find_jobs([str(self.root / "in")], self.output, lambda path: suffix_of(path, "auto"))
        asked = Settings(**settings)
        self.problems = enlarge_all(jobs, technique, asked, Journal(self.output, "test", {}), self.log)
        return self.written()

    def written(self) -> dict[str, Path]:
        """By their names, without the journal; temporary files too."""
        found = {path.name: path for path in self.output.iterdir()} if self.output.exists() else {}
        found.pop("provenance.jsonl", None)
        return found

    def noted(self) -> list[str]:
        """What the journal knows, in its order."""
        return list(Journal(self.output, "test", {})._made)


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    """``flow.picture("a.png", 12, 16, 3)``, then ``flow.run(technique, batch_size=4)``."""
    return Flow(tmp_path)


@pytest.fixture
def pixels() -> Callable[[Path], np.ndarray]:
    """A file's values, as signed integers."""

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image).astype(np.int64)

    return read
