"""RQ2 against counting by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from octosr.catalog import DATASETS
from octosr.study import behaviours
from octosr.study.inputs import ScoreSet, read_scores

# Counted from the study's raw scores: |C_B| and |C_W| of MoESR and DAN by MANIQA, in the order of its datasets.
COMMON_BEST = [7, 6, 7, 5, 8, 8, 10, 9, 10, 8, 8, 7, 3, 7]
COMMON_WORST = [7, 7, 4, 8, 9, 9, 8, 7, 9, 9, 6, 8, 7, 7]


def tau_b(x: list[float], y: list[float]) -> float:
    """Kendall's tau-b by going through all pairs."""
    n, concordant, ties_x, ties_y = len(x), 0, 0, 0
    for i in range(n):
        for j in range(i):
            a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
            concordant += a * b
            ties_x += a == 0
            ties_y += b == 0
    pairs = n * (n - 1) / 2
    return float(concordant / np.sqrt((pairs - ties_x) * (pairs - ties_y)))


def test_tau_of_the_studys_counts() -> None:
    counts = pd.DataFrame({"C_B": COMMON_BEST, "C_W": COMMON_WORST}, index=list(DATASETS))
    tau = behaviours.overlap_correlation(counts)
    assert f"{tau.value:.6f}" == "0.306912"
    assert f"{tau.p:.3f}" == "0.176"
    assert tau.value == pytest.approx(tau_b(COMMON_WORST, COMMON_BEST), abs=1e-12)
    rest = behaviours.overlap_correlation(10 - counts)
    assert (rest.value, rest.p) == (pytest.approx(tau.value), pytest.approx(tau.p))


def test_counts_from_raw_scores(study_folder: Path) -> None:
    paired = behaviours.pairs(read_scores(study_folder), "maniqa_study", "moesr", "dan")
    counts = behaviours.overlaps(paired, 10, higher_is_better=True)
    assert counts["C_B"].tolist() == COMMON_BEST
    assert counts["C_W"].tolist() == COMMON_WORST
    assert (counts["N_B"] == 10 - counts["C_B"]).all()
    assert (counts["N_W"] == 10 - counts["C_W"]).all()
    assert counts["C_B"].mean() == pytest.approx(7.357, abs=5e-4)
    assert counts["C_W"].mean() == pytest.approx(7.5)


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("k", [1, 3, 10, 20])
def test_any_two_techniques_and_any_k(make_scores: Callable[..., ScoreSet], k: int, higher: bool) -> None:
    rng = np.random.default_rng(k)
    a, b = rng.random((2, 20))
    scores = make_scores({("lanczos", "d", "niqe"): a.tolist(), ("mine", "d", "niqe"): b.tolist()})
    counts = behaviours.overlaps(behaviours.pairs(scores, "niqe", "mine", "lanczos"), k, higher)
    order = [set(np.argsort(-v if higher else v)[:k]) for v in (a, b)]
    reverse = [set(np.argsort(v if higher else -v)[:k]) for v in (a, b)]
    c_b, c_w = len(order[0] & order[1]), len(reverse[0] & reverse[1])
    assert counts.loc["d", ["C_B", "N_B", "C_W", "N_W"]].tolist() == [c_b, k - c_b, c_w, k - c_w]
    assert bool(counts.loc["d", "overlapping"]) == (k == 20)


def test_ties_at_the_cut_are_told() -> None:
    values = pd.Series({"d": 1.0, "b": 2.0, "a": 2.0, "c": 3.0})
    assert behaviours.extremes(values, 1, largest=True) == behaviours.Extremes(("c",), 0)
    assert behaviours.extremes(values, 2, largest=True) == behaviours.Extremes(("c", "a"), 2)
    assert behaviours.extremes(values, 3, largest=True) == behaviours.Extremes(("c", "a", "b"), 0)
    assert behaviours.extremes(values, 2, largest=False) == behaviours.Extremes(("d", "a"), 2)
    with pytest.raises(ValueError, match="no top 5 of 4"):
        behaviours.extremes(values, 5, largest=True)


def test_few_images_are_left_out_and_only_pairs_count(make_scores: Callable[..., ScoreSet]) -> None:
    nan = float("nan")
    scores = make_scores(
        {
            ("a", "x", "niqe"): [1, 2, 3, nan],
            ("b", "x", "niqe"): [3, 2, nan, 1],
            ("a", "y", "niqe"): [1, 2, 3],
            ("b", "y", "niqe"): [1, 2, 3],
            ("apa", "y", "niqe"): [1, 2, 3],
        }
    )
    paired = behaviours.pairs(scores, "niqe", "a", "b")
    assert paired["x"].index.tolist() == ["i0", "i1"]
    assert behaviours.overlaps(paired, 3, True).index.tolist() == ["y"]
    assert behaviours.pairs(scores, "niqe", "a", "apa") == {}
    with pytest.raises(ValueError, match="Two different techniques"):
        behaviours.pairs(scores, "niqe", "a", "a")


def test_agreement_over_images(make_scores: Callable[..., ScoreSet]) -> None:
    rng = np.random.default_rng(0)
    a = rng.random(30)
    b = a + rng.normal(size=30) * 0.3
    scores = make_scores({("a", "x", "niqe"): a.tolist(), ("b", "x", "niqe"): b.tolist()})
    row = behaviours.per_image(behaviours.pairs(scores, "niqe", "a", "b")).loc["x"]
    assert row["tau"] == pytest.approx(tau_b(a.tolist(), b.tolist()), abs=1e-12)
    ranks = [np.argsort(np.argsort(v)) for v in (a, b)]
    assert row["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-12)
    assert row["images"] == 30
    assert 0 < row["tau_p"] < 0.01


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, 2.0]])
def test_correlations_that_do_not_exist_are_none(values: list[float]) -> None:
    found = behaviours.kendall(pd.Series(values), pd.Series(range(len(values))))
    assert (found.value, found.p, found.n) == (None, None, len(values))


def test_best_and_worst_images_and_their_contrast(make_scores: Callable[..., ScoreSet]) -> None:
    scores = make_scores(
        {
            ("a", "x", "niqe"): [5, 2, 9],
            ("b", "x", "niqe"): [4, 3, 1],
            ("a", "x", "rms_contrast"): [10, 20, 30],
            ("b", "x", "rms_contrast"): [11, 21],
        }
    )
    extreme = behaviours.best_and_worst_images(behaviours.pairs(scores, "niqe", "a", "b"), higher_is_better=False)
    assert extreme.loc["x"].tolist() == ["i2", "b", 1.0, "i2", "a", 9.0]
    assert scores.metrics == ["niqe"]  # contrast describes, it does not rank
    sharp = behaviours.sharpness(scores, extreme, "a", "b")
    assert sharp[["which", "image", "a"]].to_numpy().tolist() == [["best", "i2", 30.0], ["worst", "i2", 30.0]]
    assert sharp["b"].isna().all()
