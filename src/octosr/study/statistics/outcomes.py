"""Wins, ties and losses of each technique against each other one, over datasets."""

from __future__ import annotations

import pandas as pd

from octosr.study import names
from octosr.study.statistics.pairwise import TOO_FEW

Outcome = tuple[int, int, int]
"""(wins, ties, losses)."""


def win_tie_loss(comparisons: pd.DataFrame) -> pd.DataFrame:
    """On how many datasets the row's technique is significantly better, no different, and significantly worse.

    Args:
        comparisons: as :func:`octosr.study.statistics.pairwise.compare` gives it; comparisons with too few images do
            not count.

    Returns:
        Index and columns techniques, cells (wins, ties, losses); None on the diagonal and where nothing was tested.
    """
    techniques = names.technique_order({*comparisons["a"], *comparisons["b"]})
    tally: dict[tuple[str, str], list[int]] = {}
    for a, b, verdict in comparisons[["a", "b", "verdict"]].itertuples(index=False):
        if verdict == TOO_FEW:
            continue
        place = {a: 0, "tie": 1, b: 2}[verdict]
        tally.setdefault((a, b), [0, 0, 0])[place] += 1
        tally.setdefault((b, a), [0, 0, 0])[2 - place] += 1
    cells = [[tuple(tally[a, b]) if (a, b) in tally else None for b in techniques] for a in techniques]
    out = pd.DataFrame(index=techniques, columns=techniques, dtype=object)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            out.iat[i, j] = cell
    return out


def totals(matrix: pd.DataFrame) -> pd.DataFrame:
    """Sums of the rows of :func:`win_tie_loss`: columns ``wins``, ``ties``, ``losses``, the most wins first."""
    sums = {
        name: [sum(cell[i] for cell in row if cell is not None) for i in range(3)] for name, row in matrix.iterrows()
    }
    out = pd.DataFrame.from_dict(sums, orient="index", columns=["wins", "ties", "losses"])
    return out.sort_values(["wins", "losses"], ascending=[False, True], kind="stable")


def first_and_second(means: pd.DataFrame, comparisons: pd.DataFrame, higher: bool) -> pd.DataFrame:
    """Whether the technique with the best mean is significantly better than the one with the second best.

    Returns:
        Index dataset; columns ``best``, ``second`` and ``lead``: ``significant``, ``tie`` or ``too few``. A test that
        is significant for the second (the ranks say otherwise than the means) is ``reversed``.
    """
    verdicts = {(d, frozenset((a, b))): v for d, a, b, v in comparisons[["dataset", "a", "b", "verdict"]].to_numpy()}
    rows = {}
    for dataset, values in means.iterrows():
        order = values.dropna().sort_values(ascending=not higher, kind="stable").index
        if len(order) >= 2:
            verdict = verdicts[dataset, frozenset(order[:2])]
            lead = {order[0]: "significant", order[1]: "reversed"}.get(verdict, verdict)
            rows[dataset] = (order[0], order[1], lead)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["best", "second", "lead"])
