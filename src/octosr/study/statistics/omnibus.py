"""Over datasets: Friedman's test, and Nemenyi's between every two techniques with the critical difference.

Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from octosr.errors import OctoSRError
from octosr.study.ranking import complete_block, ranks
from octosr.study.statistics.pairwise import paired

MIN_DATASETS = 5
"""Below this the chi-square approximation of Friedman's statistic says nothing."""


@dataclass(frozen=True)
class Omnibus:
    """Outcome of the tests over datasets.

    Attributes:
        reason: why there is no test; empty if there is one.
        datasets: those with a mean for every technique that takes part.
        techniques: those that take part.
        mean_ranks: technique -> mean rank, best first.
        statistic: Friedman's chi-square; NaN without a test.
        p: its p value.
        nemenyi: p values between every two techniques; empty without a test.
        critical_difference: mean ranks further apart than this differ significantly; None without a test.
    """

    reason: str
    datasets: tuple[str, ...]
    techniques: tuple[str, ...]
    mean_ranks: pd.Series
    statistic: float = float("nan")
    p: float = float("nan")
    nemenyi: pd.DataFrame = field(default_factory=pd.DataFrame)
    critical_difference: float | None = None


def over_datasets(table: pd.DataFrame, higher_is_better: bool, alpha: float = 0.05) -> Omnibus:
    """Friedman and Nemenyi on the means of every dataset, over the largest part of the table without gaps.

    Two techniques are compared by Wilcoxon's test on the means instead (Demsar's advice); ``p`` is its p value then.

    Args:
        table: means, datasets x techniques.
        higher_is_better: the metric's direction.
        alpha: level of the critical difference.
    """
    block = complete_block(table)
    n, k = block.shape
    place = ranks(block, higher_is_better)
    mean = place.mean().sort_values(kind="stable")
    about = (tuple(map(str, block.index)), tuple(map(str, block.columns)), mean)
    if k < 2:
        return Omnibus("there is nothing to test: no dataset has the means of two techniques", *about)
    if n < MIN_DATASETS:
        return Omnibus(f"too few for a test: {n} datasets with all of {k} techniques", *about)
    if k == 2:
        _, p = paired(block.iloc[:, 0].to_numpy(), block.iloc[:, 1].to_numpy(), alpha)
        reason = "two techniques only: Wilcoxon's test on the means of the datasets" + (
            "" if p == p else f", for which {n} datasets are too few"
        )
        return Omnibus(reason, *about, p=p)
    if (place.nunique(axis=1) == 1).all():
        return Omnibus("all means are equal on every dataset", *about)
    friedman = stats.friedmanchisquare(*(place[column] for column in place.columns))
    return Omnibus(
        "",
        *about,
        statistic=float(friedman.statistic),
        p=float(friedman.pvalue),
        nemenyi=_nemenyi(place),
        critical_difference=critical_difference(k, n, alpha),
    )


def critical_difference(techniques: int, datasets: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks, q * sqrt(k (k + 1) / (6 N)) with q from the studentised range.

    >>> round(critical_difference(5, 14), 2)  # q = 2.728 in Demsar's table
    1.63
    """
    q = stats.studentized_range.ppf(1 - alpha, techniques, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(techniques * (techniques + 1) / (6 * datasets)))


def _nemenyi(place: pd.DataFrame) -> pd.DataFrame:
    try:
        from scikit_posthocs import posthoc_nemenyi_friedman
    except ImportError as error:
        raise OctoSRError("The report's statistics need scikit-posthocs: pip install 'octosr[report]'") from error
    p = posthoc_nemenyi_friedman(place.to_numpy())  # ranks of ranks are the same ranks
    return pd.DataFrame(p.to_numpy(), index=place.columns, columns=place.columns)
