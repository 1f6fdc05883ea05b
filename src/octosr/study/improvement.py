"""The study's improvement percentages, I%, of one technique over another, from their means.

NIQE (lower is better): I% = (W - B) * 100 / B. MANIQA (higher is better): I% = (B - W) * 100 / W, with B the better and
W the worse mean. Both divide by the smaller number. The study averages each direction over the datasets where that
technique wins, so its two averages are no net gain; :func:`net` is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def percent(better: float, worse: float, higher_is_better: bool) -> float:
    """I% of the better mean over the worse one; NaN where the divisor is zero.

    >>> round(percent(14.648013, 15.292783, higher_is_better=False), 3)
    4.402
    >>> round(percent(0.696858, 0.674955, higher_is_better=True), 3)
    3.245
    """
    divisor = abs(worse if higher_is_better else better)
    return float("nan") if divisor == 0 else abs(better - worse) * 100 / divisor


def improvement(table: pd.DataFrame, winner: str, loser: str, higher_is_better: bool) -> pd.DataFrame:
    """The datasets where one technique has the better mean, with I%; equal means are no win.

    Args:
        table: means, datasets x techniques.
        winner: the technique whose wins are listed.
        loser: the other one.
        higher_is_better: the metric's direction.

    Returns:
        Index dataset; columns ``winner``, ``loser`` (the two means) and ``percent``.
    """
    both = table[[winner, loser]].dropna()
    wins = both[winner] > both[loser] if higher_is_better else both[winner] < both[loser]
    part = both[wins].set_axis(["winner", "loser"], axis=1)
    values = [percent(w, lo, higher_is_better) for w, lo in zip(part["winner"], part["loser"], strict=True)]
    return part.assign(percent=pd.Series(values, index=part.index, dtype=float))


def net(table: pd.DataFrame, technique: str, other: str, higher_is_better: bool) -> pd.DataFrame:
    """How much better one technique is over all datasets, wins and losses together.

    Returns:
        One row: ``wins``, ``losses``, ``equal`` (datasets), ``of_means``: the change of the mean over all datasets in
        % of the other's, and ``mean_change``: the mean over the datasets of the change in % of the other's. Positive
        is better, whatever the metric's direction.
    """
    both = table[[technique, other]].dropna()
    sign = 1 if higher_is_better else -1
    gain = sign * (both[technique] - both[other])
    reference = both[other].abs().replace(0, np.nan)
    whole = both[other].mean()
    of_means = 100 * gain.mean() / abs(whole) if np.isfinite(whole) and whole else float("nan")
    row = {
        "wins": int((gain > 0).sum()),
        "losses": int((gain < 0).sum()),
        "equal": int((gain == 0).sum()),
        "of_means": of_means,
        "mean_change": (100 * gain / reference).mean(),
    }
    return pd.DataFrame([row])
