"""The score store: one CSV table per technique and dataset, with a sidecar that says where every number comes from.

``root/TECHNIQUE/DATASET.csv`` has one row an image and one column a metric, and columns like ``niqe:blocks`` for what a
metric says beside its score. ``DATASET.json`` beside it is described in :mod:`octosr.scores.sidecar`. Writers take a
lock and merge, readers need none. Damaged files are set aside by the next writer, which keeps the rows that are whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from octosr.scores import queries
from octosr.scores.content import Content, DamagedTableError, ScoreStoreError
from octosr.scores.files import commit, load
from octosr.scores.locking import load_or_mend, locked
from octosr.scores.rows import NOT_APPLICABLE, Column, Key, Rows, Value, is_detail, merge, metric_of
from octosr.scores.table import from_frame, to_frame

__all__ = ["DamagedTableError", "ScoreStore", "ScoreStoreError"]


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
        """The table: ``image``, ``sha256``, one column per metric and detail; NaN where there is no score.

        Empty if there is no such cell. The columns of details have a colon in their names.

        Raises:
            DamagedTableError: the files are damaged or were changed by something else.
        """
        content = load(self.path(technique, dataset))
        return to_frame(content.rows, list(content.columns))

    def info(self, technique: str, dataset: str) -> dict[str, Any]:
        """The sidecar; besides what stands there, ``provenance`` is the latest run that some number comes from.

        ``metrics`` holds definition, definition_id, higher_is_better, mean and n of each column.
        """
        content = load(self.path(technique, dataset))
        return content.described | {"provenance": content.runs[-1]} if content.runs else content.described

    def metrics(self, technique: str, dataset: str) -> dict[str, bool | None]:
        """The metrics that have a column, without details, and whether higher is better."""
        columns = load(self.path(technique, dataset)).columns
        return {name: column.higher_is_better for name, column in columns.items() if not is_detail(name)}

    def provenance(self, technique: str, dataset: str, column: str) -> list[dict[str, Any] | None]:
        """The run that each number of a column comes from, in the order of the rows."""
        content = load(self.path(technique, dataset))
        runs = [row.runs.get(column) for row in content.rows.values()]
        return [None if run is None else content.runs[run] for run in runs]

    def known(
        self,
        technique: str,
        dataset: str,
        metric: str,
        definition: Mapping[str, Value],
        details: Sequence[str] = (),
        kind: str | None = None,
    ) -> dict[Key, float]:
        """What need not be scored again; see :func:`octosr.scores.queries.known`."""
        return queries.known(load(self.path(technique, dataset)), metric, definition, details, kind)

    def summary(self, technique: str, dataset: str) -> pd.DataFrame:
        """By metric: mean, n, higher_is_better and state; see :func:`octosr.scores.queries.summary`."""
        return queries.summary(load(self.path(technique, dataset)))

    def mend(self, technique: str, dataset: str) -> list[Path]:
        """If the files of a cell are damaged, set them aside and keep the rows that are certainly whole.

        Returns:
            Where the damaged files are now; empty if there was nothing to mend.
        """
        path = self.path(technique, dataset)
        if not path.parent.is_dir():
            return []
        with locked(path):
            content, aside = load_or_mend(path)
            if aside and content.rows:
                described = content.described
                commit(path, content, {key: described[key] for key in ("technique", "dataset", "kind")})
        return aside

    def write(
        self,
        technique: str,
        dataset: str,
        table: pd.DataFrame,
        definitions: Mapping[str, Mapping[str, Value]],
        provenance: Mapping[str, Any],
        *,
        higher_is_better: Mapping[str, bool | None] | None = None,
        kind: str | None = None,
        names: Sequence[str] | None = None,
        references: Mapping[str, Mapping[str, str]] | None = None,
        reasons: Mapping[str, Mapping[str, str]] | None = None,
    ) -> pd.DataFrame:
        """Merge new scores into the table of a cell; see :func:`octosr.scores.rows.merge` for what is kept.

        Scores of another kind of data (stand-ins, where the study's images are scored now) are never kept.

        Args:
            technique: name of the technique.
            dataset: name of the dataset.
            table: columns ``image``, ``sha256`` (of the image file) and one per metric and detail; NaN where this run
                has no score to add.
            definitions: for each of these columns, everything that determines its values besides the image.
            provenance: plain values about this run (date, versions, device), kept for the numbers that come from it.
            higher_is_better: direction of each metric, None where it has none or it is not known.
            kind: ``study``, ``stand-in``, ``own``, ``demo`` or ``folder``; ``provenance["kind"]`` if not given.
            names: all images of the dataset now; others are dropped from the table.
            references: ``hr`` and ``lr``: image -> sha256 of the file it is compared with by metrics whose definition
                says ``compares_with``.
            reasons: metric -> image -> why there is no score; those that begin with "not applicable" are no attempts.

        Returns:
            The whole table after the merge.

        Raises:
            ValueError: a column without a definition or the other way round, an image twice.
            ScoreStoreError: a later version wrote the table, or another process holds the lock for a minute.
        """
        rows, metrics = from_frame(table)
        if set(metrics) != set(definitions):
            raise ValueError(f"Metric columns {metrics} and definitions {list(definitions)} do not match.")
        _add_facts(rows, references or {}, reasons or {})
        directions = higher_is_better or {}
        columns = {m: Column(dict(definitions[m]), directions.get(m)) for m in metrics}
        kind = kind if kind is not None else provenance.get("kind")
        path = self.path(technique, dataset)
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            old, _ = load_or_mend(path)
            if old.described.get("kind", kind) != kind:
                old = Content()
            run = dict(provenance)
            runs = old.runs if run in old.runs else [*old.runs, run]
            _sign(rows, metrics, runs.index(run))
            rows, columns = merge((old.rows, old.columns), (rows, columns), names)
            commit(path, Content(rows, columns, runs), {"technique": technique, "dataset": dataset, "kind": kind})
        return to_frame(rows, list(columns))


def _add_facts(
    rows: Rows, references: Mapping[str, Mapping[str, str]], reasons: Mapping[str, Mapping[str, str]]
) -> None:
    for kind, digests in references.items():
        for image, digest in digests.items():
            if image in rows:
                rows[image].references[kind] = digest
    for column, by_image in reasons.items():
        for image, reason in by_image.items():
            if image in rows and column not in rows[image].scores:
                rows[image].reasons[column] = reason


def _sign(rows: Rows, columns: Sequence[str], run: int) -> None:
    """Write into new rows which run they come from."""
    for row in rows.values():
        tried = {c for c, reason in row.reasons.items() if not reason.startswith(NOT_APPLICABLE)}
        for column in columns:
            if column in row.scores or column in tried or (is_detail(column) and metric_of(column) in row.scores):
                row.runs[column] = run
