"""All results that more than one part of the report needs, each computed once and only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from octosr.study import names, ranking
from octosr.study.inputs import Cell, InputError, ScoreSet
from octosr.study.manifest import State, manifest
from octosr.study.options import Options
from octosr.study.statistics.bootstrap import intervals
from octosr.study.statistics.omnibus import Omnibus, over_datasets
from octosr.study.statistics.pairwise import compare


class Analysis:
    """Results of a set of scores.

    Args:
        scores: the scores.
        options: settings; techniques and metrics they name must be there.
        states: what a sweep says about its cells.

    Raises:
        InputError: a technique or metric that the options name has no score.
    """

    def __init__(
        self, scores: ScoreSet, options: Options | None = None, states: Mapping[Cell, State] | None = None
    ) -> None:
        self.scores = scores
        self.options = options or Options()
        self.states = dict(states or {})
        asked = [*(self.options.pair or ()), *(t for p in self.options.improvement_pairs or () for t in p)]
        _known("technique", asked, scores.techniques)
        metrics = [*(self.options.overall or ()), *filter(None, [self.options.behaviour_metric])]
        _known("metric", metrics, scores.metrics)

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics that can rank."""
        return self.scores.metrics

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The manifest."""
        wanted = {"techniques": self.options.techniques, "datasets": self.options.datasets}
        return manifest(self.scores, states=self.states, **wanted)

    @cached_property
    def means(self) -> dict[str, pd.DataFrame]:
        """By metric: means, datasets x techniques."""
        return {m: ranking.means(self.scores, m) for m in self.metrics}

    @cached_property
    def comparisons(self) -> dict[str, pd.DataFrame]:
        """By metric: tests of every two techniques on every dataset."""
        return {m: compare(self.scores, m, self.options.alpha) for m in self.metrics}

    @cached_property
    def omnibus(self) -> dict[str, Omnibus]:
        """By metric: tests over datasets."""
        return {m: over_datasets(t, self.higher(m), self.options.alpha) for m, t in self.means.items()}

    @cached_property
    def intervals(self) -> dict[str, pd.DataFrame]:
        """By metric: confidence intervals of the means."""
        o = self.options
        return {m: intervals(self.scores, m, level=o.level, resamples=o.resamples, seed=o.seed) for m in self.metrics}

    @cached_property
    def overall_metrics(self) -> list[str]:
        """Metrics that the overall ranking counts."""
        if self.options.overall is not None:
            return list(self.options.overall)
        chosen = [_variant(self.metrics, name) for name in ("niqe", "maniqa")]
        if all(chosen):
            return [m for m in chosen if m]
        return self.metrics

    @cached_property
    def overall(self) -> pd.DataFrame:
        """Overall ranking; see :func:`octosr.study.ranking.overall`."""
        return ranking.overall({m: self.means[m] for m in self.overall_metrics}, self.scores.higher_is_better)

    @cached_property
    def behaviour_metric(self) -> str | None:
        """The metric by which behaviours are compared."""
        chosen = self.options.behaviour_metric or _variant(self.metrics, "maniqa")
        return chosen or next(iter(self.metrics), None)

    @cached_property
    def pair(self) -> tuple[str, str] | None:
        """The two techniques whose behaviours are compared; None if no two share images.

        The two best overall that do, plain interpolation only where there is nothing else.
        """
        if self.options.pair is not None:
            return self.options.pair
        order = [*self.overall.index, *(t for t in self.scores.techniques if t not in self.overall.index)]
        order = sorted((str(t) for t in order if not names.is_generative(str(t))), key=names.is_interpolation)
        for i, second in enumerate(order):
            for first in order[:i]:
                if self._share_images(first, second):
                    return first, second
        return None

    def best_two(self, metric: str) -> tuple[str, str] | None:
        """The two techniques with the best mean ranks by a metric."""
        order = ranking.mean_ranks(self.means[metric], self.higher(metric)).index
        return (str(order[0]), str(order[1])) if len(order) >= 2 else None

    def higher(self, metric: str) -> bool:
        """Whether a higher value of the metric is better."""
        return self.scores.direction(metric)

    def _share_images(self, a: str, b: str) -> bool:
        rows = self.scores.of(self.behaviour_metric) if self.behaviour_metric else self.scores.frame.iloc[:0]
        keys = [set(map(tuple, rows.loc[rows["technique"] == t, ["dataset", "image"]].to_numpy())) for t in (a, b)]
        return bool(keys[0] & keys[1])


def _variant(metrics: list[str], name: str) -> str | None:
    """The variant of a metric that stands for it: the study's if it is there, else the plain one, else any."""
    wanted = [f"{name}_study", name, *(m for m in metrics if m.startswith(f"{name}_"))]
    return next((m for m in wanted if m in metrics), None)


def _known(what: str, asked: list[str], there: list[str]) -> None:
    for name in asked:
        if name not in there:
            raise InputError(f"There are no scores of the {what} '{name}'. There are: {', '.join(there) or 'none'}.")
