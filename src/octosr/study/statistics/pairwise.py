"""Every two techniques on every dataset: Wilcoxon where images pair up, Mann-Whitney where they do not.

p values of one metric are corrected together (Holm 1979), over all pairs of techniques and all datasets: whoever reads
such a table looks at all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from octosr.errors import OctoSRError
from octosr.study import names
from octosr.study.inputs import ScoreSet
from octosr.study.statistics.few import smallest_mannwhitney_p, smallest_wilcoxon_p

COLUMNS = (
    "dataset",
    "a",
    "b",
    "test",
    "n_a",
    "n_b",
    "difference",
    "effect",
    "p",
    "p_holm",
    "verdict",
)
Values = NDArray[np.float64]
TOO_FEW = "too few"
_EXACT_WITH_TIES = 13  # as scipy.stats.wilcoxon


def compare(scores: ScoreSet, metric: str, alpha: float = 0.05) -> pd.DataFrame:
    """Test every two techniques on every dataset.

    Returns:
        Columns: ``dataset``, techniques ``a`` and ``b``; ``test`` (``Wilcoxon`` or ``Mann-Whitney``); ``n_a``, ``n_b``
        (equal for pairs); ``difference``: mean of a less mean of b, over the images tested; ``effect``: matched-pairs
        rank-biserial correlation for pairs, rank-biserial (Cliff's delta) otherwise, +1: a better throughout, 0: no
        difference; ``p`` and ``p_holm`` (NaN where there are too few images); ``verdict``: the better technique,
        ``tie`` (not significant after Holm, or identical scores) or ``too few`` (no outcome could be significant).
    """
    higher = scores.direction(metric)
    rows = [_test(dataset, a, b, x, y, higher, alpha) for dataset, a, b, x, y in _cells(scores.of(metric))]
    table = pd.DataFrame(rows, columns=[c for c in COLUMNS if c not in ("p_holm", "verdict")])
    tested = table["p"].notna()
    table["p_holm"] = float("nan")
    if tested.any():
        table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"].to_numpy())
    significant = table["p_holm"] <= alpha
    winner = table["a"].where(table["effect"] > 0, table["b"])
    table["verdict"] = winner.where(significant, "tie").where(tested, TOO_FEW)
    return table[list(COLUMNS)]


def holm(p: Values) -> Values:
    """p values after Holm's step-down correction."""
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise OctoSRError("The report's statistics need statsmodels: pip install 'octosr[report]'") from error
    return np.asarray(multipletests(p, method="holm")[1])


def _cells(rows: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.Series, pd.Series]]:
    rows = rows[rows["value"].notna()]
    for dataset in names.dataset_order(rows["dataset"].unique()):
        part = rows[rows["dataset"] == dataset]
        groups = {t: g.set_index("image")["value"] for t, g in part.groupby("technique", observed=True)}
        for a, b in itertools.combinations(names.technique_order(groups), 2):
            yield dataset, a, b, groups[a], groups[b]


def _test(
    dataset: str, a: str, b: str, x: pd.Series, y: pd.Series, higher: bool, alpha: float
) -> tuple[str, str, str, str, int, int, float, float, float]:
    common = x.index.intersection(y.index)
    sign = 1 if higher else -1
    if len(common):
        u, v = x.loc[common].to_numpy(), y.loc[common].to_numpy()
        effect, p = paired(sign * u, sign * v, alpha)
        test = "Wilcoxon"
    else:
        u, v = x.to_numpy(), y.to_numpy()
        effect, p = unpaired(sign * u, sign * v, alpha)
        test = "Mann-Whitney"
    difference = float(u.mean() - v.mean()) if np.isfinite(u).all() and np.isfinite(v).all() else float("nan")
    return dataset, a, b, test, len(u), len(v), difference, effect, p


def paired(a: Values, b: Values, alpha: float = 0.05) -> tuple[float, float]:
    """Wilcoxon's signed-rank test; pairs without a difference are dropped, as Wilcoxon did.

    Args:
        a: scores, larger is better.
        b: scores of the same images.
        alpha: p is NaN where no outcome could be below it.

    Returns:
        The matched-pairs rank-biserial correlation (Kerby 2014; 0 for identical scores) and the two-sided p value (1
        for identical scores).
    """
    both_infinite = np.isinf(a) & (a == b)  # their difference is not a number, but there is none
    change = np.where(both_infinite, 0.0, np.subtract(a, b, where=~both_infinite, out=np.zeros_like(a)))
    change = change[change != 0]
    if smallest_wilcoxon_p(len(a)) > alpha:
        return _rank_biserial(change), float("nan")
    if not len(change):
        return 0.0, 1.0
    return _rank_biserial(change), _wilcoxon_p(change)


def _wilcoxon_p(change: Values) -> float:
    if len(change) <= _EXACT_WITH_TIES and len(np.unique(np.abs(change))) < len(change):
        # scipy.stats.wilcoxon goes through all signs here too, but one by one: some twenty times slower
        ranks = _signed_ranks(change)
        settings: Any = {"permutation_type": "samples", "n_resamples": np.inf, "vectorized": True, "batch": 4096}
        return float(stats.permutation_test((ranks,), lambda x, axis: x.sum(axis=axis), **settings).pvalue)
    return float(stats.wilcoxon(change).pvalue)


def _rank_biserial(change: Values) -> float:
    ranks = _signed_ranks(change)
    return float(ranks.sum() / np.abs(ranks).sum()) if len(change) else 0.0


def _signed_ranks(change: Values) -> Values:
    return np.sign(change) * stats.rankdata(np.abs(change))


def unpaired(a: Values, b: Values, alpha: float = 0.05) -> tuple[float, float]:
    """Mann-Whitney's rank-sum test.

    Args:
        a: scores, larger is better.
        b: scores of other images.
        alpha: p is NaN where no outcome could be below it.

    Returns:
        The rank-biserial correlation, which is Cliff's delta: P(a > b) - P(a < b); and the two-sided p value.
    """
    result = stats.mannwhitneyu(a, b)
    effect = float(2 * result.statistic / (len(a) * len(b)) - 1)
    if smallest_mannwhitney_p(len(a), len(b)) > alpha:
        return effect, float("nan")
    everything = np.concatenate([a, b])
    identical = bool((everything == everything[0]).all())  # scipy's p is not a number there
    return effect, 1.0 if identical else float(result.pvalue)
