"""The score store: one CSV table per technique and dataset, with a sidecar that says what every column is.

``root/TECHNIQUE/DATASET.csv`` has one row an image and one column a metric. ``DATASET.json`` beside it holds the
definition, direction, mean and count of each metric, the kind of data, the provenance, and the sha256 of the CSV.
Writers take a lock and merge, readers need none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from octosr.scores.files import SCHEMA, Content, ScoreStoreError, commit, load, next_file
from octosr.scores.table import Column, Value, definition_id, from_frame, merge, to_frame

LOCK_SECONDS = 60.0


class ScoreStore:
    """Score tables under one folder.

    Args:
        root: the folder, made when first written to.

    >>> import tempfile
    >>> store = ScoreStore(tempfile.mkdtemp())
    >>> table = pd.DataFrame({"image": ["a", "b"], "sha256": ["0" * 64, "1" * 64], "niqe": [4.0, 6.0]})
    >>> _ = store.write("bicubic", "isaid", table, {"niqe": {"version": "1"}}, {"kind": "study"})
    >>> float(store.summary("bicubic", "isaid")["mean"]["niqe"])
    5.0
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def path(self, technique: str, dataset: str) -> Path:
        """The CSV file of a cell, whether it exists or not."""
        for name in (technique, dataset):
            if not name or name.startswith(".") or any(c in name for c in "/\\\0"):
                raise ScoreStoreError(f"'{name}' cannot name a score table: it must be a plain file name.")
        return self.root / technique / f"{dataset}.csv"

    def cells(self) -> list[tuple[str, str]]:
        """All (technique, dataset) that have a table, sorted."""
        return sorted((p.parent.name, p.stem) for p in self.root.glob("*/*.json") if not p.name.startswith("."))

    def read(self, technique: str, dataset: str) -> pd.DataFrame:
        """The table: columns ``image``, ``sha256`` and one per metric; NaN means not available. Empty if there is none.

        Raises:
            ScoreStoreError: the files are damaged or were changed by something else.
        """
        content = load(self.path(technique, dataset))
        return to_frame(content.rows, list(content.columns))

    def info(self, technique: str, dataset: str) -> dict[str, Any]:
        """The sidecar: ``kind``, ``metrics`` (definition, definition_id, higher_is_better, mean, n), ``provenance``."""
        return load(self.path(technique, dataset)).sidecar

    def known(self, technique: str, dataset: str, metric: str, definition: Mapping[str, Value]) -> dict[str, float]:
        """Scores of a metric with exactly this definition: image sha256 -> score."""
        content = load(self.path(technique, dataset))
        column = content.columns.get(metric)
        if column is None or column.id != definition_id(definition):
            return {}
        return {row.sha256: row.scores[metric] for row in content.rows.values() if metric in row.scores}

    def summary(self, technique: str, dataset: str) -> pd.DataFrame:
        """By metric: ``mean`` over the images that have a score, their number ``n``, and ``higher_is_better``."""
        metrics = self.info(technique, dataset).get("metrics", {})
        frame = {
            "mean": pd.Series({m: _number(v["mean"]) for m, v in metrics.items()}, dtype="float64"),
            "n": pd.Series({m: v["n"] for m, v in metrics.items()}, dtype="int64"),
            "higher_is_better": pd.Series({m: v["higher_is_better"] for m, v in metrics.items()}, dtype=object),
        }
        return pd.DataFrame(frame, index=list(metrics))

    def write(
        self,
        technique: str,
        dataset: str,
        table: pd.DataFrame,
        definitions: Mapping[str, Mapping[str, Value]],
        provenance: Mapping[str, Any],
        *,
        higher_is_better: Mapping[str, bool] | None = None,
        kind: str | None = None,
        names: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Merge scores into the table of a cell; see :func:`octosr.scores.table.merge` for what is kept.

        Scores of another kind of data (stand-ins, where the study's images are scored now) are never kept.

        Args:
            technique: name of the technique.
            dataset: name of the dataset.
            table: columns ``image``, ``sha256`` (of the image file) and one per metric; NaN means not available.
            definitions: for each metric column, everything that determines its values besides the image.
            provenance: plain values about this run; replaces the one before.
            higher_is_better: direction of each metric, where known.
            kind: ``study``, ``stand-in``, ``demo`` or ``folder``; ``provenance["kind"]`` if not given.
            names: all images of the dataset now; others are dropped from the table.

        Returns:
            The whole table after the merge.

        Raises:
            ValueError: a column without a definition or the other way round, an image twice.
            ScoreStoreError: the old files are damaged, or another process holds the lock for a minute.
        """
        rows, metrics = from_frame(table)
        if set(metrics) != set(definitions):
            raise ValueError(f"Metric columns {metrics} and definitions {list(definitions)} do not match.")
        directions = higher_is_better or {}
        columns = {m: Column(dict(definitions[m]), directions.get(m)) for m in metrics}
        kind = kind if kind is not None else provenance.get("kind")
        path = self.path(technique, dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{dataset}.lock"), timeout=LOCK_SECONDS)
        try:
            with lock:
                old = load(path)
                if old.unfinished:
                    next_file(path).replace(path)
                if old.sidecar.get("kind", kind) != kind:
                    old = Content()
                rows, columns = merge((old.rows, old.columns), (rows, columns), names)
                head = {"schema": SCHEMA, "technique": technique, "dataset": dataset, "kind": kind}
                commit(path, rows, columns, head, dict(provenance))
        except Timeout as error:
            raise ScoreStoreError(
                f"{lock.lock_file} has been held by another process for {LOCK_SECONDS:.0f} s, so {path} could not be "
                "written. Wait for that process, or end it, and run again."
            ) from error
        return to_frame(rows, list(columns))


def _number(mean: float | str | None) -> float:
    return math.nan if mean is None else float(mean)
