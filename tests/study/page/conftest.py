"""A small study, its images and its page, made once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import example

from octosr.study.document import Document
from octosr.study.page import ExplorerData, Extras, ImageRoots, Limits, collect, write


@dataclass
class Study:
    """A study on the disk: its frame, its document, where its images lie."""

    folder: Path
    frame: pd.DataFrame
    document: Document

    @property
    def roots(self) -> ImageRoots:
        return ImageRoots(self.folder / "hr", self.folder / "data")

    @property
    def extras(self) -> Extras:
        return Extras(colours=example.COLOURS, titles=example.TITLES)

    def explorer(self, limits: Limits | None = None, frame: pd.DataFrame | None = None) -> ExplorerData:
        return collect(
            self.frame if frame is None else frame,
            self.folder / "report",
            self.roots,
            higher_is_better=example.DIRECTIONS,
            title=lambda name: example.TITLES.get(name, name),
            metric_title=str.upper,
            limits=limits,
        )


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, demo_cache: Path) -> Study:
    """Photographs of the demo set enlarged fourfold by four pretended techniques."""
    folder = tmp_path_factory.mktemp("study")
    frame = example.make_study(folder, sorted((demo_cache / "demo-v1" / "LR").glob("*.png"))[:14], scale=4, samples=2)
    return Study(folder, frame, example.make_document(frame))


@pytest.fixture(scope="session")
def page(study: Study) -> Path:
    """Its page, with few embedded pictures, so that others come from the disk."""
    explorer = study.explorer(Limits(rounds=2))
    return write(study.document, explorer, study.folder / "report", study.extras)
