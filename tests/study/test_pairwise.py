"""Tests between two techniques against enumeration and hand-worked corrections."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from octosr.study.inputs import ScoreSet
from octosr.study.statistics.few import smallest_mannwhitney_p, smallest_wilcoxon_p
from octosr.study.statistics.outcomes import first_and_second, totals, win_tie_loss
from octosr.study.statistics.pairwise import compare, holm, paired, unpaired


def exact_wilcoxon(change: np.ndarray) -> float:
    """Two-sided p by going through all 2^n signs."""
    ranks = stats.rankdata(np.abs(change))
    observed = abs((np.sign(change) * ranks).sum())
    signs = np.array(list(itertools.product([-1, 1], repeat=len(change))))
    return float((np.abs(signs @ ranks) >= observed - 1e-9).mean())


def exact_mannwhitney(a: np.ndarray, b: np.ndarray) -> float:
    """Two-sided p by going through all ways to part the values."""
    everything, n = np.concatenate([a, b]), len(a)
    ranks = stats.rankdata(everything)
    middle = n * (len(everything) + 1) / 2
    observed = abs(ranks[:n].sum() - middle)
    sums = [ranks[list(c)].sum() for c in itertools.combinations(range(len(everything)), n)]
    return float((np.abs(np.array(sums) - middle) >= observed - 1e-9).mean())


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_equals_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 9)) + np.array([[0.1], [0.0]])
    effect, p = paired(a, b)
    assert p == pytest.approx(exact_wilcoxon(a - b), abs=1e-12)
    ranks = stats.rankdata(np.abs(a - b))
    positive, negative = ranks[a > b].sum(), ranks[a < b].sum()
    assert effect == pytest.approx((positive - negative) / (positive + negative), abs=1e-12)
    assert paired(b, a) == (pytest.approx(-effect), pytest.approx(p))


@pytest.mark.parametrize("n", [7, 10, 13])
def test_wilcoxon_with_ties_equals_enumeration_and_scipy(n: int) -> None:
    change = np.random.default_rng(n).integers(-3, 6, n).astype(float)
    change = change[change != 0]
    assert len(np.unique(np.abs(change))) < len(change)
    _, p = paired(change, np.zeros_like(change))
    assert p == pytest.approx(exact_wilcoxon(change), abs=1e-12)
    if n < 13:  # scipy takes seconds there
        assert p == pytest.approx(stats.wilcoxon(change).pvalue, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_mannwhitney_equals_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.random(6) + 0.2, rng.random(5)
    effect, p = unpaired(a, b)
    assert p == pytest.approx(exact_mannwhitney(a, b), abs=1e-12)
    delta = np.sign(a[:, None] - b[None]).mean()  # Cliff's delta
    assert effect == pytest.approx(delta, abs=1e-12)


def test_too_few_give_no_p() -> None:
    assert np.isnan(paired(np.arange(5.0), np.arange(5.0) + 1)[1])
    assert paired(np.arange(6.0), np.arange(6.0) + np.linspace(1, 2, 6))[1] == pytest.approx(0.03125)
    assert np.isnan(unpaired(np.arange(3.0), np.arange(3.0) + 10)[1])
    assert unpaired(np.arange(4.0), np.arange(4.0) + 10)[1] == pytest.approx(2 / 70)
    assert smallest_wilcoxon_p(8) == pytest.approx(exact_wilcoxon(np.arange(1.0, 9)))
    assert smallest_mannwhitney_p(4, 5) == pytest.approx(exact_mannwhitney(np.arange(4.0), np.arange(5.0) + 9))


def test_identical_scores_are_no_difference() -> None:
    same = np.full(10, 3.0)
    assert paired(same, same) == (0.0, 1.0)
    assert unpaired(same, same) == (0.0, 1.0)
    infinite = np.array([np.inf] * 4 + [1, 2, 3, 4.0])
    assert paired(infinite, infinite) == (0.0, 1.0)
    effect, p = paired(np.full(8, np.inf), np.arange(8.0))  # PSNR of a perfect result
    assert (effect, p) == (1.0, pytest.approx(2 / 2**8))


def test_holm_by_hand() -> None:
    # sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 -> 0.02, 0.03, 0.06, 0.04 -> never falling: 0.06 at the end
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.7, 0.8])) == pytest.approx([1.0, 1.0])


@pytest.fixture
def scores(make_scores: Callable[..., ScoreSet]) -> ScoreSet:
    rng = np.random.default_rng(1)
    base = rng.normal(10, 2, 30)
    return make_scores(
        {
            ("dan", "x", "niqe"): base.tolist(),
            ("moesr", "x", "niqe"): (base - 0.5 + rng.normal(0, 0.1, 30)).tolist(),  # lower is better
            ("bicubic", "x", "niqe"): (base + rng.normal(0, 0.1, 30)).tolist(),
            ("apa", "x", "niqe"): rng.normal(4, 1, 30).tolist(),
            ("dan", "y", "niqe"): [1, 2, 3],
            ("moesr", "y", "niqe"): [2, 3, 4],
        }
    )


def test_who_is_better_and_what_is_a_tie(scores: ScoreSet) -> None:
    table = compare(scores, "niqe").set_index(["dataset", "a", "b"])
    assert len(table) == 7
    assert table.loc[("x", "dan", "moesr"), "verdict"] == "moesr"
    assert table.loc[("x", "dan", "bicubic"), "verdict"] == "tie"
    assert table.loc[("x", "apa", "dan"), "verdict"] == "apa"
    assert table.loc[("y", "dan", "moesr"), "verdict"] == "too few"
    assert np.isnan(table.loc[("y", "dan", "moesr"), "p_holm"])
    assert table["test"].to_dict() == {key: "Mann-Whitney" if "apa" in key else "Wilcoxon" for key in table.index}
    row = table.loc[("x", "dan", "moesr")]
    assert row["effect"] == pytest.approx(-1, abs=0.05)
    assert row["difference"] == pytest.approx(0.5, abs=0.1)
    tested = table["p"].dropna()
    assert table.loc[tested.index, "p_holm"].to_numpy() == pytest.approx(_holm(tested.to_numpy()))


def _holm(p: np.ndarray) -> np.ndarray:
    order, out, running = np.argsort(p), np.empty(len(p)), 0.0
    for i, place in enumerate(order):
        running = max(running, min(1.0, (len(p) - i) * p[place]))
        out[place] = running
    return out


def test_wins_ties_and_losses(scores: ScoreSet) -> None:
    matrix = win_tie_loss(compare(scores, "niqe"))
    assert matrix.loc["moesr", "dan"] == (1, 0, 0)  # the dataset with too few images does not count
    assert matrix.loc["dan", "moesr"] == (0, 0, 1)
    assert matrix.loc["dan", "bicubic"] == (0, 1, 0)
    assert matrix.loc["apa", "apa"] is None
    assert totals(matrix).to_dict("index") == {
        "apa": {"wins": 3, "ties": 0, "losses": 0},
        "moesr": {"wins": 2, "ties": 0, "losses": 1},
        "dan": {"wins": 0, "ties": 1, "losses": 2},
        "bicubic": {"wins": 0, "ties": 1, "losses": 2},
    }


def test_whether_the_first_is_really_ahead_of_the_second() -> None:
    means = pd.DataFrame(
        {"a": [1.0, 1.0, 1.0, np.nan], "b": [2.0, 2.0, 2.0, 1.0], "c": [3.0, np.nan, 3.0, np.nan]}, index=list("wxyz")
    )
    verdicts = {"w": "a", "x": "tie", "y": "b"}
    rows = [(d, "a", "b", v) for d, v in verdicts.items()] + [("w", "a", "c", "a"), ("w", "b", "c", "tie")]
    table = first_and_second(means, pd.DataFrame(rows, columns=["dataset", "a", "b", "verdict"]), higher=False)
    assert table.to_dict("index") == {
        "w": {"best": "a", "second": "b", "lead": "significant"},
        "x": {"best": "a", "second": "b", "lead": "tie"},
        "y": {"best": "a", "second": "b", "lead": "reversed"},
    }


def test_only_common_images_are_paired(make_scores: Callable[..., ScoreSet]) -> None:
    scores = make_scores({("a", "x", "psnr"): range(10), ("b", "x", "psnr"): [v + 1 + v / 9 for v in range(7)]})
    (row,) = compare(scores, "psnr").to_dict("records")
    assert (row["n_a"], row["n_b"], row["test"], row["verdict"]) == (7, 7, "Wilcoxon", "b")
    assert row["difference"] == pytest.approx(-1 - 3 / 9)


def test_one_technique_has_nobody_to_compare_with(make_scores: Callable[..., ScoreSet]) -> None:
    table = compare(make_scores({("a", "x", "psnr"): [1, 2]}), "psnr")
    assert table.empty
    assert win_tie_loss(table).empty
