"""I% and net changes against the formulas written out."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from octosr.study.improvement import improvement, net, percent
from octosr.study.published import as_table, published_means

NIQE = as_table(published_means(), "niqe_study")
MANIQA = as_table(published_means(), "maniqa_study")


@pytest.mark.parametrize(
    ("table", "winner", "loser", "higher", "rows", "mean"),
    [
        (NIQE, "moesr", "apa", False, 6, 3.214),
        (NIQE, "apa", "moesr", False, 8, 5.403),
        (MANIQA, "dan", "moesr", True, 5, 1.482),
        (MANIQA, "moesr", "dan", True, 9, 3.252),
    ],
)
def test_averages_as_published(
    table: pd.DataFrame, winner: str, loser: str, higher: bool, rows: int, mean: float
) -> None:
    found = improvement(table, winner, loser, higher)
    assert len(found) == rows
    assert round(found["percent"].mean(), 3) == mean
    for dataset, row in found.iterrows():
        w, b = table.loc[dataset, loser], table.loc[dataset, winner]
        expected = (b - w) * 100 / w if higher else (w - b) * 100 / b
        assert row["percent"] == pytest.approx(expected, rel=1e-12)
        assert row["percent"] > 0


def test_net_counts_wins_and_losses_together() -> None:
    for table, a, b, higher, expected in (
        (NIQE, "moesr", "apa", False, -1.77),
        (NIQE, "moesr", "dan", False, 2.52),
        (MANIQA, "moesr", "dan", True, 1.57),
    ):
        (row,) = net(table, a, b, higher).to_dict("records")
        assert round(row["mean_change"], 2) == expected
        assert row["wins"] + row["losses"] + row["equal"] == 14


def test_equal_means_are_no_win_and_gaps_are_left_out() -> None:
    table = pd.DataFrame({"a": [1.0, 1.0, 3.0, np.nan], "b": [1.0, 2.0, 2.0, 1.0]}, index=list("wxyz"))
    assert list(improvement(table, "a", "b", False).index) == ["x"]
    assert list(improvement(table, "b", "a", False).index) == ["y"]
    (row,) = net(table, "a", "b", False).to_dict("records")
    assert (row["wins"], row["losses"], row["equal"]) == (1, 1, 1)
    assert row["mean_change"] == pytest.approx((0 + 50 - 50) / 3)
    assert row["of_means"] == pytest.approx(0)


def test_no_division_by_zero() -> None:
    assert math.isnan(percent(0.0, 1.0, higher_is_better=False))
    assert percent(-1.0, -2.0, higher_is_better=True) == 50.0
    assert improvement(pd.DataFrame({"a": [], "b": []}), "a", "b", True).empty
