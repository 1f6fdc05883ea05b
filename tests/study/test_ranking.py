"""RQ1 against independent computation and the study's published results."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from octosr.study import ranking
from octosr.study.inputs import ScoreSet
from octosr.study.published import as_table, published_means

NIQE = as_table(published_means(), "niqe_study")
MANIQA = as_table(published_means(), "maniqa_study")


def test_means_are_over_what_is_available(make_scores: Callable[..., ScoreSet]) -> None:
    nan = float("nan")
    scores = make_scores(
        {
            ("dan", "isaid", "niqe"): [1, 2, nan],
            ("moesr", "isaid", "niqe"): [nan, nan],
            ("dan", "ships", "niqe"): [7],
            ("bicubic_noise", "ships", "niqe"): [0.1],
        }
    )
    table = ranking.means(scores, "niqe")
    assert list(table.index) == ["ships", "isaid"]  # the study's order
    assert list(table.columns) == ["dan", "moesr"]  # without the probe
    assert np.array_equal(table.to_numpy(), [[7, nan], [1.5, nan]], equal_nan=True)


def test_mean_ranks_counts_and_overall_are_the_studys() -> None:
    niqe, maniqa = ranking.mean_ranks(NIQE, False), ranking.mean_ranks(MANIQA, True)
    assert niqe.round(3).to_dict() == {"apa": 1.714, "moesr": 2.0, "dan": 3.071, "fastgan": 3.357, "blindsr": 4.857}
    assert maniqa.round(3).to_dict() == {"moesr": 1.357, "dan": 2.0, "blindsr": 2.643, "apa": 4.214, "fastgan": 4.786}
    counts = ranking.counts(NIQE, False)
    assert counts["best"].to_dict() == {"apa": 8, "blindsr": 0, "dan": 0, "fastgan": 0, "moesr": 6}
    assert counts["worst"].to_dict() == {"apa": 0, "blindsr": 13, "dan": 1, "fastgan": 0, "moesr": 0}
    counts = ranking.counts(MANIQA, True)
    assert counts["best"].to_dict() == {"apa": 0, "blindsr": 0, "dan": 5, "fastgan": 0, "moesr": 9}
    assert counts["worst"].to_dict() == {"apa": 3, "blindsr": 0, "dan": 0, "fastgan": 11, "moesr": 0}
    both = ranking.overall({"n": NIQE, "m": MANIQA}, {"n": False, "m": True})["mean"].round(3)
    assert both.to_dict() == {"moesr": 1.679, "dan": 2.536, "apa": 2.964, "blindsr": 3.75, "fastgan": 4.071}
    assert list(both.index) == ["moesr", "dan", "apa", "blindsr", "fastgan"]


def test_equal_means_share_places() -> None:
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 3.0], "c": [5.0, np.nan]}, index=["x", "y"])
    places = ranking.ranks(table, higher_is_better=False)
    assert np.array_equal(places.to_numpy(), [[1.5, 1.5, 3], [1, 2, np.nan]], equal_nan=True)
    extremes = ranking.best_and_worst(table, higher_is_better=False)
    assert extremes.loc["x", "best"] == ("a", "b")
    assert extremes.loc["y"].tolist() == [("a",), 2.0, ("b",), 3.0]
    assert ranking.counts(table, higher_is_better=True).to_numpy().tolist() == [[0, 2], [1, 1], [1, 0]]


def test_domain_means_need_every_dataset_of_the_domain() -> None:
    table = NIQE.copy()
    table.loc["flowers", "dan"] = np.nan
    means = ranking.domain_means(table)
    assert np.isnan(means.loc["Flora", "dan"])
    assert means.loc["Flora", "apa"] == pytest.approx((14.78711393 + 15.24125221) / 2, abs=1e-12)
    assert list(means.index) == ["Aerial", "Fauna", "Flora", "Medical", "Satellite"]


def test_single_extremes_skip_gaps_and_name_the_dataset() -> None:
    table = pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, 0.5]}, index=["flowers", "plantpat"])
    (row,) = ranking.single_extremes(table, higher_is_better=False).itertuples(index=False)
    assert tuple(row) == ("Flora", "b", "plantpat", 0.5, "b", "flowers", 2.0)


@pytest.mark.parametrize("seed", range(20))
def test_complete_block_is_the_largest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random((7, 5))
    values[rng.random(values.shape) < 0.35] = np.nan
    table = pd.DataFrame(values, columns=list("abcde"))
    found = ranking.complete_block(table)
    assert not found.isna().any(axis=None)
    largest = 0
    for width in range(2, 6):  # every choice of columns
        for columns in itertools.combinations("abcde", width):
            largest = max(largest, table[list(columns)].dropna().size)
    assert found.size == largest
    if found.size:
        assert found.shape[1] >= 2


def test_complete_block_of_nothing() -> None:
    assert ranking.complete_block(pd.DataFrame()).size == 0
    assert ranking.complete_block(pd.DataFrame({"a": [1.0]})).size == 0
    assert len(ranking.mean_ranks(pd.DataFrame({"a": [1.0]}), True)) == 0


def test_overall_is_over_what_all_metrics_have() -> None:
    one = pd.DataFrame({"a": [1.0, 1.0], "b": [2.0, 2.0], "c": [3.0, 3.0]}, index=["x", "y"])
    two = pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, np.nan]}, index=["x", "y"])
    both = ranking.overall({"p": one, "q": two}, {"p": False, "q": True})
    assert both.loc["a"].tolist() == [1.0, 2.0, 1.5]
    assert set(both.index) == {"a", "b"}
    assert ranking.overall({}, {}).empty
