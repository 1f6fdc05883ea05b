"""All scores of a report: a tidy frame, and what is known about its columns and cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from octosr.catalog import DATASETS
from octosr.errors import OctoSRError
from octosr.study import names, scores_frame

Cell = tuple[str, str]
"""(technique, dataset)."""


class InputError(OctoSRError):
    """Scores cannot be read; the message names the file and the remedy."""


@dataclass
class ScoreSet:
    """Scores from one or more inputs.

    Attributes:
        frame: tidy frame (:mod:`octosr.study.scores_frame`) of the metrics.
        details: the same of what metrics say beside the score; ``metric`` is ``METRIC:DETAIL``, e.g. ``niqe:blocks``.
        higher_is_better: direction of each metric; None where nobody said and the name does not tell.
        kinds: what the images of a cell are: ``study``, ``stand-in``, ``own``, ``demo``, ``folder``.
        definitions: (technique, dataset, metric) -> what determines the values.
        unavailable: (technique, dataset, metric) -> why the metric has no value there (for some or all images).
        not_applicable: (technique, dataset, metric) -> number of images that the metric does not apply to; they have
            no row.
        damaged: cells whose table cannot be read -> what is wrong.
        conflicts: directions that inputs disagree about, as sentences.
        sources: where the scores come from, one line each.
    """

    frame: pd.DataFrame
    details: pd.DataFrame = field(default_factory=lambda: empty())
    higher_is_better: dict[str, bool | None] = field(default_factory=dict)
    kinds: dict[Cell, str] = field(default_factory=dict)
    definitions: dict[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    unavailable: dict[tuple[str, str, str], str] = field(default_factory=dict)
    not_applicable: dict[tuple[str, str, str], int] = field(default_factory=dict)
    damaged: dict[Cell, str] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """See :meth:`validate`."""
        self.validate()

    def validate(self) -> None:
        """Check the frames; fill in directions that the metrics' names tell.

        Raises:
            InputError: a score stands there twice, or a column is missing.
        """
        for frame in (self.frame, self.details):
            try:
                scores_frame.check(frame)
            except ValueError as error:
                raise InputError(f"{'; '.join(self.sources) or 'the frame'}: {error}") from error
        for metric in self.frame["metric"].unique():
            if self.higher_is_better.get(metric) is None:
                self.higher_is_better[metric] = names.usual_direction(metric)

    @property
    def techniques(self) -> list[str]:
        """Techniques to be ranked that have a row, in the study's order; probes are not among them."""
        return [t for t in names.technique_order(self.frame["technique"].unique()) if not names.is_probe(t)]

    @property
    def datasets(self) -> list[str]:
        """Datasets that have a row, in the study's order."""
        return names.dataset_order(self.frame["dataset"].unique())

    @property
    def metrics(self) -> list[str]:
        """Metrics with a value of a technique to be ranked and a known direction: those that can rank."""
        ranked = self.frame[~names.probes(self.frame["technique"])]
        counts = ranked.groupby("metric", observed=True)["value"].count()
        found = names.metric_order(counts[counts > 0].index)
        return [m for m in found if self.higher_is_better.get(m) is not None and m not in names.DESCRIPTIVE]

    def of(self, metric: str, *, probes: bool = False) -> pd.DataFrame:
        """The rows of one metric, without probes unless asked for."""
        rows = self.frame[self.frame["metric"] == metric]
        return rows if probes else rows[~names.probes(rows["technique"])]

    @cached_property
    def studied(self) -> frozenset[Cell]:
        """Cells of the study's own images: filed as such, and named as the study's images are.

        Images of any origin can lie in a folder with a study dataset's name, so the kind alone does not tell.
        """
        rows = self.frame[["technique", "dataset", "image"]].drop_duplicates()
        rows = rows[~names.generative(rows["technique"]) & rows["dataset"].isin(list(DATASETS))]
        foreign = {
            (technique, dataset)
            for technique, dataset, image in rows.itertuples(index=False)
            if ":" not in image and not DATASETS[dataset].is_study_stem(image)
        }
        return frozenset(c for c, kind in self.kinds.items() if kind == "study" and c not in foreign)

    def compares(self, metric: str) -> bool:
        """Whether the metric compares with another image, HR or LR: it has no value where that is missing."""
        said = (d.get("compares_with", "nothing") for (_, _, m), d in self.definitions.items() if m == metric)
        return metric in names.NEEDS_REFERENCE or any(other != "nothing" for other in said)

    def direction(self, metric: str) -> bool:
        """Whether a higher value is better.

        Raises:
            InputError: nobody said.
        """
        higher = self.higher_is_better.get(metric)
        if higher is None:
            raise InputError(
                f"Whether a higher {metric} is better is not known: the inputs do not say. Give its direction."
            )
        return higher


def empty() -> pd.DataFrame:
    """A tidy frame without rows."""
    frame = pd.DataFrame({column: pd.Series([], dtype=object) for column in scores_frame.COLUMNS})
    return frame.astype({"value": "float64"})


def tidy(
    technique: Iterable[str] | str,
    dataset: Iterable[str] | str,
    image: Iterable[str],
    file: Iterable[str],
    metric: Iterable[str] | str,
    value: Iterable[float],
) -> pd.DataFrame:
    """A tidy frame from columns; one string stands for a whole column. The domain follows from the dataset."""
    rows = len(list(file := list(file)))

    def column(values: Iterable[str] | str) -> pd.Series:
        # object, not pandas' own strings: names of files may hold bytes that are no valid Unicode
        return pd.Series([values] * rows if isinstance(values, str) else list(values), dtype=object)

    datasets = column(dataset)
    return pd.DataFrame(
        {
            "technique": column(technique),
            "dataset": datasets,
            "domain": pd.Series([names.domain_of(d) for d in datasets], dtype=object),
            "image": column(image),
            "file": column(file),
            "metric": column(metric),
            "value": pd.Series(list(value), dtype="float64"),
        }
    )


def merge(sets: Iterable[ScoreSet]) -> ScoreSet:
    """One set of all; a score that stands in two inputs must be the same in both.

    Raises:
        InputError: two inputs give one image different scores.
    """
    parts = list(sets)
    if len(parts) == 1:
        return parts[0]
    merged = ScoreSet(empty())
    for part in parts:
        for metric, higher in part.higher_is_better.items():
            known = merged.higher_is_better.setdefault(metric, higher)
            if known is None:
                merged.higher_is_better[metric] = higher
            elif higher is not None and higher != known:
                merged.conflicts.append(f"Inputs disagree whether a higher {metric} is better.")
        merged.kinds |= part.kinds
        merged.definitions |= part.definitions
        merged.unavailable |= part.unavailable
        merged.not_applicable |= part.not_applicable
        merged.damaged |= part.damaged
        merged.conflicts += part.conflicts
        merged.sources += part.sources
    merged.frame = _united([part.frame for part in parts], merged.sources)
    merged.details = _united([part.details for part in parts], merged.sources)
    merged.validate()
    return merged


def _united(frames: list[pd.DataFrame], sources: list[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return empty()
    frame = pd.concat(filled, ignore_index=True)
    key = ["technique", "dataset", "metric", "file"]
    frame = frame.drop_duplicates([*key, "value"], ignore_index=True)
    twice = frame.duplicated(key)
    if twice.any():
        row = frame[twice].iloc[0]
        raise InputError(
            f"{'; '.join(sources)}: the {row['metric']} of {row['file']} ({row['technique']} on {row['dataset']}) "
            "differs between two inputs. Leave one of them out."
        )
    return frame
