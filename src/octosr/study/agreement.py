"""Do the metrics agree? Spearman's rank correlation of two metrics over the same images."""

from __future__ import annotations

import itertools

import pandas as pd

from octosr.study import names
from octosr.study.behaviours import spearman
from octosr.study.inputs import ScoreSet


def wide(scores: ScoreSet, x: str, y: str) -> pd.DataFrame:
    """One row an image that has both metrics: columns ``technique``, ``dataset``, ``image``, x and y.

    Infinite scores (PSNR of identical images) are kept: they have a rank.
    """
    rows = scores.frame[scores.frame["metric"].isin([x, y]) & ~names.probes(scores.frame["technique"])]
    table = rows.pivot(index=["technique", "dataset", "image"], columns="metric", values="value")
    table = table.reindex(columns=[x, y]).dropna().reset_index()
    table.columns.name = None
    return table


def agreement(scores: ScoreSet, x: str, y: str) -> pd.DataFrame:
    """Spearman's rho of two metrics: over all images, per technique and per dataset.

    Returns:
        Columns ``over`` (all, technique or dataset), ``name``, ``spearman``, ``agreement`` and ``images``.
        ``agreement`` is rho with the sign turned where one metric is better low and the other better high: +1 is full
        agreement about quality, 0 none, -1 full contradiction. NaN where there are too few images or constant scores.
    """
    table = wide(scores, x, y)
    sign = 1 if scores.direction(x) == scores.direction(y) else -1
    parts = [("all", "all", table)]
    for column, order in (("technique", names.technique_order), ("dataset", names.dataset_order)):
        groups = dict(list(table.groupby(column, observed=True)))
        parts += [(column, name, groups[name]) for name in order(groups)]
    rows = []
    for over, name, part in parts:
        rho = spearman(part[x], part[y])
        value = float("nan") if rho.value is None else rho.value
        rows.append((over, name, value, sign * value, rho.n))
    return pd.DataFrame(rows, columns=["over", "name", "spearman", "agreement", "images"])


def metric_pairs(metrics: list[str]) -> list[tuple[str, str]]:
    """All pairs of metrics.

    >>> metric_pairs(["a", "b", "c"])
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    return list(itertools.combinations(metrics, 2))
