"""The table of one cell while it is being filled: what is known already, and new scores saved as they are made."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from octosr.evaluation.saved import SavedImage
from octosr.evaluation.scoring import definition_of
from octosr.metrics.base import Definition, ImageMetric
from octosr.scores.rows import NOT_APPLICABLE, detail_column
from octosr.scores.store import ScoreStore

SAVE_SECONDS = 1.0
"""A kill loses the scores of so many seconds at most, and those of the batch that was being scored."""
_SHARE = 20  # saving takes at most 1/20 of the time, however large the table


class ScoreTable:
    """Scores on their way into the store; a :class:`octosr.evaluation.scoring.Sink`.

    Args:
        store: the store.
        technique: name of the technique.
        dataset: name of the dataset.
        kind: kind of the data.
        images: all images of the cell, in the order of the table.
        metrics: the metrics that can be computed here.
        missing: metric name -> why it cannot be computed here.
        run: plain values about this run, kept for each number it makes.
        apart: what an image would be compared with (``hr``, ``lr``) -> image name -> why it is compared with nothing
            of the kind, e.g. because it was generated from no LR image.
    """

    def __init__(
        self,
        store: ScoreStore,
        technique: str,
        dataset: str,
        kind: str,
        images: Sequence[SavedImage],
        metrics: Mapping[str, ImageMetric],
        *,
        missing: Mapping[str, str] | None = None,
        run: Mapping[str, Any] | None = None,
        apart: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.store, self.cell, self.kind = store, (technique, dataset), kind
        self.images, self.metrics, self.missing = images, metrics, missing or {}
        self.run = dict(run or {}) | {"kind": kind}
        self.apart = apart or {}
        self.failures: dict[str, list[tuple[str, str]]] = {}
        self.computed = dict.fromkeys(metrics, 0)
        self.definitions: dict[str, Definition] = {}
        for name, metric in metrics.items():
            self.definitions[name] = definition_of(metric)
            for detail in metric.detail_names:
                self.definitions[detail_column(name, detail)] = self.definitions[name] | {"detail": detail}
        for name, reason in self.missing.items():
            self.definitions[name] = {"not_available": reason.splitlines()[0]}
        self._scores: dict[str, dict[str, float]] = {}
        self._reasons: dict[str, dict[str, str]] = {}
        self._saved, self._took = time.monotonic(), 0.0

    def todo(self) -> dict[str, set[str]]:
        """Metric name -> names of the images that have to be scored, once damaged files have been mended."""
        self.store.mend(*self.cell)
        return {name: self._unknown(name, metric) for name, metric in self.metrics.items()}

    def _unknown(self, name: str, metric: ImageMetric) -> set[str]:
        details = [detail_column(name, detail) for detail in metric.detail_names]
        known = self.store.known(*self.cell, name, self.definitions[name], details, self.kind)
        kind = metric.compares_with
        return {
            image.name
            for image in self.images
            if (kind == "nothing" or kind in image.references) and image.key(kind) not in known
        }

    def add(self, metric: str, image: SavedImage, score: float, details: Mapping[str, float]) -> None:
        """One score, and what the metric says beside it."""
        row = self._scores.setdefault(image.name, {})
        row[metric] = score
        row |= {detail_column(metric, detail): value for detail, value in details.items()}
        self.computed[metric] += 1

    def fail(self, metric: str, image: SavedImage, reason: str) -> None:
        """The metric cannot judge this image."""
        self._reasons.setdefault(metric, {})[image.name] = reason
        self.failures.setdefault(metric, []).append((image.name, reason))

    def checkpoint(self) -> None:
        """Save, if the last time was long enough ago."""
        now = time.monotonic()
        if now - self._saved >= max(SAVE_SECONDS, _SHARE * self._took):
            named = {*self._scores, *(image for by_image in self._reasons.values() for image in by_image)}
            self._write([image for image in self.images if image.name in named])
            self._saved = time.monotonic()
            self._took = self._saved - now

    def finish(self) -> pd.DataFrame:
        """Save everything; returns the whole table: ``image``, ``sha256``, one column per metric and detail."""
        for name, metric in self.metrics.items():
            for image, reason in self.apart.get(metric.compares_with, {}).items():
                self._reasons.setdefault(name, {})[image] = f"{NOT_APPLICABLE}: {reason}"
        return self._write(self.images)

    def _write(self, images: Sequence[SavedImage]) -> pd.DataFrame:
        kinds = {metric.compares_with for metric in self.metrics.values() if metric.needs_reference}
        rows = [
            {"image": image.name, "sha256": image.sha256}
            | {column: self._scores.get(image.name, {}).get(column, math.nan) for column in self.definitions}
            for image in images
        ]
        table = self.store.write(
            *self.cell,
            pd.DataFrame(rows, columns=["image", "sha256", *self.definitions]),
            self.definitions,
            self.run,
            higher_is_better={name: metric.higher_is_better for name, metric in self.metrics.items()},
            kind=self.kind,
            names=[image.name for image in self.images],
            references={
                kind: {i.name: i.reference_sha256[kind] for i in images if kind in i.reference_sha256}
                for kind in sorted(kinds)
            },
            reasons=self._reasons,
        )
        self._scores, self._reasons = {}, {}
        return table
