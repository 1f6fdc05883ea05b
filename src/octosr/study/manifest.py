"""Which technique x dataset cells are there, partial, failed or missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from octosr.catalog import DATASETS
from octosr.study import names
from octosr.study.document import Table
from octosr.study.inputs import Cell, ScoreSet

COLUMNS = ("technique", "dataset", "status", "images", "expected", "metrics", "kind", "note")


@dataclass(frozen=True)
class State:
    """What a sweep says about one of its cells.

    Attributes:
        status: ``done``, ``failed``, ``running`` or ``waiting``.
        note: why, e.g. the error's message.
    """

    status: Literal["done", "failed", "running", "waiting"]
    note: str = ""


def manifest(
    scores: ScoreSet,
    *,
    states: Mapping[Cell, State] | None = None,
    techniques: Iterable[str] = (),
    datasets: Iterable[str] = (),
) -> pd.DataFrame:
    """One row a cell.

    ``status`` is ``complete``; ``partial``: fewer images than expected, or a metric that the same dataset has for
    another technique is missing; ``failed``: no scores, and the sweep says that the run failed; ``missing``: no scores.
    Expected are as many images as the largest cell of the dataset has, and the study's 100 where the images are the
    study's.

    Args:
        scores: what there is.
        states: what a sweep says about its cells; cells it names appear even without scores.
        techniques: techniques that should be there besides those found.
        datasets: datasets that should be there besides those found.
    """
    states = {cell: State("failed", f"damaged: {why}") for cell, why in scores.damaged.items()} | dict(states or {})
    rows = scores.frame[~names.probes(scores.frame["technique"])]
    found = rows.groupby(["technique", "dataset"], observed=True)["image"].nunique().to_dict()
    valued = rows[rows["value"].notna()]
    counts = valued.groupby(["technique", "dataset", "metric"], observed=True)["value"].count().to_dict()
    wanted_techniques = {*scores.techniques, *techniques, *(t for t, _ in states if not names.is_probe(t))}
    wanted_datasets = {*scores.datasets, *datasets, *(d for _, d in states)}
    out = []
    for dataset in names.dataset_order(wanted_datasets):
        largest = max((n for (_, d), n in found.items() if d == dataset), default=0)
        studied = all((t, d) in scores.studied for t, d in found if d == dataset)
        count = DATASETS[dataset].count if dataset in DATASETS and studied else 0
        metrics = {m for (_, d, m) in counts if d == dataset}
        for technique in names.technique_order(wanted_techniques):
            cell = (technique, dataset)
            out.append(_row(cell, found.get(cell, 0), max(largest, count), metrics, counts, scores, states.get(cell)))
    return pd.DataFrame(out, columns=list(COLUMNS))


def _row(
    cell: Cell,
    images: int,
    expected: int,
    metrics: set[str],
    counts: Mapping[tuple[str, str, str], int],
    scores: ScoreSet,
    state: State | None,
) -> tuple[str, str, str, int, int, str, str, str]:
    technique, dataset = cell
    said = f"{state.status}: {state.note}".rstrip(": ") if state is not None and state.status != "done" else ""
    have = {m for m in metrics if counts.get((*cell, m), 0)}
    listed = ", ".join(names.metric_title(m) for m in names.metric_order(have))
    kind = scores.kinds.get(cell, "")
    if not images:
        status = "failed" if state is not None and state.status == "failed" else "missing"
        return (technique, dataset, status, 0, expected, "", kind, said)
    notes = []
    if images < expected:
        notes.append(f"{images} of {expected} images")
    for metric in names.metric_order(metrics):
        if names.is_generative(technique) and scores.compares(metric):
            continue
        n = counts.get((*cell, metric), 0)
        if n + scores.not_applicable.get((*cell, metric), 0) < images:
            reason = scores.unavailable.get((*cell, metric), "")
            notes.append(f"{names.metric_title(metric)} of {n} of {images} images" + (f" ({reason})" if reason else ""))
    status = "partial" if notes else "complete"
    return (technique, dataset, status, images, expected, listed, kind, "; ".join([*notes, said] if said else notes))


def summary(cells: pd.DataFrame) -> str:
    """One sentence about a manifest.

    >>> summary(pd.DataFrame({"status": ["complete", "missing"]}))
    '2 cells (technique x dataset): 1 complete, 0 partial, 0 failed, 1 missing.'
    """
    counts = cells["status"].value_counts()
    parts = [f"{int(counts.get(s, 0))} {s}" for s in ("complete", "partial", "failed", "missing")]
    return f"{len(cells)} cells (technique x dataset): {', '.join(parts)}."


def table(cells: pd.DataFrame) -> Table:
    """A manifest as a table of the report."""
    shown = cells.assign(technique=cells["technique"].map(names.titles(cells["technique"])))
    return Table(
        "manifest",
        "Which cells are there",
        shown,
        caption="partial: fewer images than the largest cell of the dataset (or than the study's 100), or scores that "
        "are missing where another technique has them.",
        missing="",
    )


def grid(cells: pd.DataFrame) -> Table:
    """The statuses as a grid, one row a dataset and one column a technique."""
    wide = cells.pivot(index="dataset", columns="technique", values="status")
    wide = wide.reindex(index=names.dataset_order(cells["dataset"]), columns=names.technique_order(cells["technique"]))
    wide = wide.rename(columns=names.titles(wide.columns))
    wide.columns.name = None
    return Table("manifest-grid", "Cells at a glance", wide.reset_index(), missing="")
