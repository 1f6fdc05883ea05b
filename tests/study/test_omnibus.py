"""Tests over datasets and bootstrap intervals against their formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from octosr.study.inputs import ScoreSet
from octosr.study.published import as_table, published_means
from octosr.study.statistics.bootstrap import intervals
from octosr.study.statistics.omnibus import critical_difference, over_datasets

MANIQA = as_table(published_means(), "maniqa_study")


def test_friedman_by_its_formula() -> None:
    found = over_datasets(MANIQA, higher_is_better=True)
    ranks = (-MANIQA).rank(axis=1).to_numpy()
    n, k = ranks.shape
    chi2 = 12 * n / (k * (k + 1)) * ((ranks.mean(0) ** 2).sum() - k * (k + 1) ** 2 / 4)  # Demsar 2006, section 3.2.2
    assert found.statistic == pytest.approx(chi2, abs=1e-9)
    assert found.p == pytest.approx(stats.chi2.sf(chi2, k - 1), rel=1e-9)
    assert found.reason == ""
    assert (len(found.datasets), found.techniques) == (14, ("apa", "blindsr", "dan", "fastgan", "moesr"))


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)])
def test_critical_difference_has_demsars_quantiles(k: int, q: float) -> None:
    n = 14
    assert critical_difference(k, n) / np.sqrt(k * (k + 1) / (6 * n)) == pytest.approx(q, abs=1.1e-3)


def test_nemenyi_and_critical_difference_agree() -> None:
    found = over_datasets(MANIQA, higher_is_better=True)
    gap = found.critical_difference
    assert gap is not None
    for a in found.techniques:
        for b in found.techniques:
            if a != b:
                apart = abs(found.mean_ranks[a] - found.mean_ranks[b]) > gap
                assert apart == (found.nemenyi.loc[a, b] < 0.05)
    assert list(found.mean_ranks.index) == ["moesr", "dan", "blindsr", "apa", "fastgan"]
    assert found.nemenyi.loc["moesr", "dan"] > 0.05  # the study's winner is not significantly better than the second


def test_too_few_is_said_and_gaps_are_left_out() -> None:
    few = over_datasets(MANIQA.iloc[:4], higher_is_better=True)
    assert "too few" in few.reason
    assert np.isnan(few.p)
    assert few.critical_difference is None
    assert "nothing to test" in over_datasets(MANIQA[["dan"]], higher_is_better=True).reason
    gaps = MANIQA.copy()
    gaps.loc["isaid", "apa"] = np.nan
    assert len(over_datasets(gaps, higher_is_better=True).datasets) == 13
    equal = pd.DataFrame(1.0, index=list("abcdef"), columns=list("xyz"))
    assert "equal" in over_datasets(equal, higher_is_better=True).reason


def test_two_techniques_get_wilcoxon_over_datasets() -> None:
    found = over_datasets(MANIQA[["dan", "moesr"]], higher_is_better=True)
    assert found.p == pytest.approx(stats.wilcoxon(MANIQA["dan"], MANIQA["moesr"]).pvalue)
    assert found.critical_difference is None
    assert "Wilcoxon" in found.reason


def bca(values: np.ndarray, level: float, resamples: int, seed: int) -> tuple[float, float]:
    """Efron's BCa interval of the mean, written out."""
    rng = np.random.default_rng(seed)
    means = np.sort(rng.choice(values, (resamples, len(values))).mean(1))
    z0 = stats.norm.ppf((means < values.mean()).mean())
    jack = np.array([np.delete(values, i).mean() for i in range(len(values))])
    d = jack.mean() - jack
    a = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(means, stats.norm.cdf(z0 + (z0 + z) / (1 - a * (z0 + z))))
    return float(low), float(high)


def test_intervals_equal_bca_written_out(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(3)
    skewed, normal = rng.exponential(1, 60), rng.normal(0, 1, 40)
    scores = make_scores({("dan", "x", "niqe"): skewed.tolist(), ("moesr", "x", "niqe"): normal.tolist()})
    table = intervals(scores, "niqe", resamples=20000, seed=5).set_index("technique")
    for technique, values in (("dan", skewed), ("moesr", normal)):
        low, high = bca(values, 0.95, 20000, 9)
        width = high - low
        assert table.loc[technique, "mean"] == pytest.approx(values.mean())
        assert table.loc[technique, "low"] == pytest.approx(low, abs=0.03 * width)
        assert table.loc[technique, "high"] == pytest.approx(high, abs=0.03 * width)
    again = intervals(scores, "niqe", resamples=20000, seed=5).set_index("technique")
    pd.testing.assert_frame_equal(table, again)


def test_intervals_do_not_depend_on_the_other_cells(make_scores: Callable[..., ScoreSet]) -> None:
    values = np.random.default_rng(0).random((3, 20)).tolist()
    alone = intervals(make_scores({("dan", "x", "niqe"): values[0]}), "niqe")
    among = make_scores(
        {("apa", "w", "niqe"): values[1], ("dan", "x", "niqe"): values[0], ("dan", "z", "niqe"): values[2]}
    )
    row = intervals(among, "niqe").query("dataset == 'x'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, row)


def test_no_interval_from_nothing(make_scores: Callable[..., ScoreSet]) -> None:
    nan, inf = float("nan"), float("inf")
    scores = make_scores(
        {
            ("a", "x", "psnr"): [1, 2, 3, nan, nan, nan],
            ("b", "x", "psnr"): [2, 2, 2, 2, 2],
            ("c", "x", "psnr"): [1, 2, 3, 4, inf],
        }
    )
    table = intervals(scores, "psnr").set_index("technique")
    assert table.loc["a", ["low", "high"]].isna().all()
    assert table.loc["a", ["mean", "images"]].tolist() == [2, 3]
    assert table.loc["b", ["low", "high"]].tolist() == [2, 2]
    assert table.loc["c", ["low", "high"]].isna().all()
