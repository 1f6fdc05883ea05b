"""Score the saved images of one cell, whoever made them, and say what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from octosr.evaluation.saved import saved_images
from octosr.evaluation.scoring import score_images
from octosr.evaluation.table import ScoreTable
from octosr.metrics.base import ImageMetric
from octosr.runs.build import prepare_metrics
from octosr.runs.claim import say_progress
from octosr.runs.console import console
from octosr.runs.record import run_record
from octosr.runs.sweep import CellResult, in_sweep
from octosr.scores.store import ScoreStore

log = logging.getLogger(__name__)

GENERATED = "generated, from no LR image"
"""Why the images of a generative technique are compared with nothing."""


@dataclass
class Cell:
    """The images of one technique on one dataset.

    Attributes:
        technique: name of the technique.
        dataset: name of the dataset.
        kind: ``study``, ``stand-in``, ``own``, ``demo`` or ``folder``.
        files: image name -> file.
        references: ``hr`` and ``lr``: image name -> file to compare with.
        apart: ``hr`` and ``lr``: image name -> why it is compared with no such file.
        absent: ``hr`` and ``lr``: why there are no such files on this machine.
        notes: remarks for the table of results.
        learned_from: where the images were generated, the training images by name, if they are on this machine.
        enlarged_by: the filter that brought those to the size of the generated ones.
    """

    technique: str
    dataset: str
    kind: str
    files: dict[str, Path]
    references: dict[str, dict[str, Path]] = field(default_factory=dict)
    apart: dict[str, dict[str, str]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    learned_from: dict[str, Path] = field(default_factory=dict)
    enlarged_by: str = "lanczos"

    @property
    def compares_with_nothing(self) -> bool:
        """Whether none of the images has anything to be compared with, by nature."""
        return bool(self.files) and all(self.files.keys() <= names.keys() for names in self.apart.values())

    def set_apart(self, reason: str, learned_from: Mapping[str, Path] | None = None, filter: str = "lanczos") -> None:
        """None of the images is compared with anything: such metrics are not applicable, which is not "missing"."""
        self.references, self.absent = {}, {}
        self.learned_from, self.enlarged_by = dict(learned_from or {}), filter
        self.apart = {kind: dict.fromkeys(self.files, reason) for kind in ("hr", "lr")}


@dataclass
class Judgement:
    """What came of scoring a cell.

    Attributes:
        result: the means.
        table: one row an image: ``image``, ``sha256`` and one column per metric and detail.
        problems: (file, reason) of images that cannot be read.
    """

    result: CellResult
    table: pd.DataFrame
    problems: list[tuple[str, str]]


def score_store(cfg: DictConfig) -> ScoreStore:
    """The score tables of a run's output folder."""
    return ScoreStore(Path(cfg.output_root) / "scores")


def judge(
    cfg: DictConfig,
    cell: Cell,
    metrics: Mapping[str, ImageMetric],
    missing: Mapping[str, str],
    device: Callable[[], torch.device],
) -> Judgement:
    """Score what is not known yet, and save every score as it is made.

    Args:
        cfg: the run's config.
        cell: the images.
        metrics: the metrics that were asked for; only those with something to score are prepared.
        missing: metric name -> why it is not available here.
        device: says where to score; asked only if there is something to score.

    Raises:
        MissingMetricError: a metric with something to score cannot be computed here and may not be skipped.
    """
    kinds: set[str] = {metric.compares_with for metric in metrics.values()}
    references: dict[str, dict[str, Path]] = {kind: files for kind, files in cell.references.items() if kind in kinds}
    images, problems = saved_images(cell.files, references)
    missing = dict(missing)
    usable = {name: m for name, m in metrics.items() if _applies(name, m, cell, missing)}

    def open_table(run_on: torch.device | None) -> ScoreTable:
        record = run_record(run_on, str(cfg.trainer.precision))
        owner = (score_store(cfg), cell.technique, cell.dataset, cell.kind)
        return ScoreTable(*owner, images, usable, missing=missing, run=record, apart=cell.apart)

    table = open_table(None)
    todo = {name: names for name, names in table.todo().items() if names}
    if todo:
        unavailable = prepare_metrics(cfg, cell.kind, {name: usable[name] for name in todo})
        missing |= unavailable
        usable = {name: metric for name, metric in usable.items() if name not in unavailable}
        todo = {name: names for name, names in todo.items() if name in usable}
        where = device()
        table = open_table(where)
        problems += _score(cfg, table, {name: usable[name].to(where) for name in todo}, todo)
    frame = table.finish()
    for name, failures in table.failures.items():
        by_reason: dict[str, list[str]] = {}
        for image, reason in failures:
            by_reason.setdefault(reason, []).append(image)
        for reason, images_failed in by_reason.items():
            more = f" and {len(images_failed) - 3} more" if len(images_failed) > 3 else ""
            log.warning("%s is not available for %s%s: %s", name, ", ".join(images_failed[:3]), more, reason)
    columns = [*usable, *missing]
    return Judgement(_result(cfg, cell, frame, columns, missing, problems), frame, problems)


def _applies(name: str, metric: ImageMetric, cell: Cell, missing: dict[str, str]) -> bool:
    """Whether a metric gets a column; it has none where a dataset has no references of its kind."""
    kind = metric.compares_with
    if kind in cell.absent:
        missing[name] = cell.absent[kind]
        return False
    return kind == "nothing" or bool(cell.references.get(kind)) or bool(cell.apart.get(kind))


def _score(
    cfg: DictConfig, table: ScoreTable, metrics: Mapping[str, ImageMetric], todo: Mapping[str, set[str]]
) -> list[tuple[str, str]]:
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=in_sweep()) as bar:
        total, scored = len(set().union(*todo.values())), 0

        def advance(n: int) -> None:
            nonlocal scored
            scored += n
            bar.advance(task, n)
            say_progress(scored, total, "images scored")

        task = bar.add_task("scoring", total=total)
        return score_images(
            table.images,
            metrics,
            todo,
            table,
            batch_size=cfg.metrics.batch_size,
            progress=advance,
        )


def _result(
    cfg: DictConfig,
    cell: Cell,
    frame: pd.DataFrame,
    metrics: list[str],
    missing: Mapping[str, str],
    problems: list[tuple[str, str]],
) -> CellResult:
    values = {name: float(frame[name].mean()) for name in metrics}  # the mean over what is available
    states = score_store(cfg).summary(cell.technique, cell.dataset)["state"]
    words = {name: str(states[name]) for name in metrics if values[name] != values[name]}
    parts = [f"{len(cell.files)} images"]
    parts += [
        f"{name}: {int(frame[name].notna().sum())} of {len(frame)}"
        for name in metrics
        if name not in missing and name not in words and frame[name].isna().any()
    ]
    if problems:
        parts.append(f"{len(problems)} unreadable")
    return CellResult(cell.technique, cell.dataset, cell.kind, values, ", ".join([*parts, *cell.notes]), words)
