"""RQ1: which technique is best. Means, domains, best and worst, ranks, counts.

A table of means is a DataFrame with one row a dataset and one column a technique; NaN where there is no score.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from octosr.study import names
from octosr.study.inputs import ScoreSet

_MOST_CHOICES = 4096


def means(scores: ScoreSet, metric: str) -> pd.DataFrame:
    """Mean over the images that have a score, per dataset (rows) and technique (columns)."""
    rows = scores.of(metric)
    wide = rows.groupby(["dataset", "technique"], observed=True)["value"].mean().unstack()
    return wide.reindex(index=names.dataset_order(wide.index), columns=names.technique_order(wide.columns)).astype(
        float
    )


def domain_means(table: pd.DataFrame) -> pd.DataFrame:
    """True domain means: the unweighted mean over the domain's datasets.

    A technique that lacks one of the datasets that others have there has no mean (NaN): over different datasets means
    could not be compared.
    """
    domains = pd.Series([names.domain_of(d) for d in table.index], index=table.index)
    return table.groupby(domains.to_numpy(), sort=False).agg(lambda column: column.mean(skipna=False))


def single_extremes(table: pd.DataFrame, higher_is_better: bool) -> pd.DataFrame:
    """What the study prints as its "broader domain" tables: the best and the worst single mean of a domain.

    No domain mean at all: within a domain the best and the worst of all (dataset, technique) means are taken, and they
    mostly belong to different datasets.

    Returns:
        Columns ``domain``, and ``technique``, ``dataset`` and ``value`` with the prefixes ``best_`` and ``worst_``.
    """
    rows = []
    for domain, part in _by_domain(table):
        cells = part.stack().dropna()
        if cells.empty:
            continue
        best, worst = (cells.idxmax(), cells.idxmin()) if higher_is_better else (cells.idxmin(), cells.idxmax())
        rows.append((domain, best[1], best[0], cells[best], worst[1], worst[0], cells[worst]))
    fields = [f"{which}_{what}" for which in ("best", "worst") for what in ("technique", "dataset", "value")]
    return pd.DataFrame(rows, columns=["domain", *fields])


def _by_domain(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    domains = [names.domain_of(d) for d in table.index]
    return [(domain, table[[d == domain for d in domains]]) for domain in dict.fromkeys(domains)]


def best_and_worst(table: pd.DataFrame, higher_is_better: bool) -> pd.DataFrame:
    """Best and worst technique of each row that has at least two; exactly equal means are all named.

    Returns:
        Index as ``table``; columns ``best``, ``best_value``, ``worst``, ``worst_value``; techniques are tuples.
    """
    rows = {}
    for label, values in table.iterrows():
        values = values.dropna()
        if len(values) < 2:
            continue
        low, high = values.min(), values.max()
        best, worst = (high, low) if higher_is_better else (low, high)
        rows[label] = (tuple(values.index[values == best]), best, tuple(values.index[values == worst]), worst)
    columns = ["best", "best_value", "worst", "worst_value"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def counts(table: pd.DataFrame, higher_is_better: bool) -> pd.DataFrame:
    """How often each technique is best and worst; a shared place counts for each of those who share it."""
    extremes = best_and_worst(table, higher_is_better)
    out = pd.DataFrame(0, index=table.columns, columns=["best", "worst"])
    for which in out.columns:
        for techniques in extremes[which]:
            out.loc[list(techniques), which] += 1
    return out


def ranks(table: pd.DataFrame, higher_is_better: bool) -> pd.DataFrame:
    """Ranks within each row, 1 is best, equal means share the average rank; NaN where there is no mean."""
    return table.rank(axis=1, ascending=not higher_is_better, method="average")


def complete_block(table: pd.DataFrame) -> pd.DataFrame:
    """The largest part of a table without gaps, as mean ranks and tests over datasets need it.

    Largest is the one with the most cells, at least two techniques wide; of equals the one with more techniques.
    A best choice of columns is always what some rows have in common, so only such choices are tried (at most
    4096 of them, which no table of the study's size comes near).
    """
    filled = table.notna().to_numpy()
    choices = {frozenset(np.flatnonzero(row)) for row in filled}
    grown = True
    while grown and len(choices) < _MOST_CHOICES:
        more = {a & b for a in choices for b in choices} - choices
        grown = bool(more)
        choices |= more
    best = table.iloc[:0, :0]
    for columns in sorted((sorted(c) for c in choices if len(c) >= 2), key=lambda c: (-len(c), c)):
        part = table.iloc[filled[:, columns].all(axis=1), columns]
        if part.size > best.size:
            best = part
    return best


def mean_ranks(table: pd.DataFrame, higher_is_better: bool) -> pd.Series:
    """Mean rank over the datasets of :func:`complete_block`, best first."""
    return ranks(complete_block(table), higher_is_better).mean().sort_values(kind="stable")


def overall(tables: Mapping[str, pd.DataFrame], higher_is_better: Mapping[str, bool | None]) -> pd.DataFrame:
    """Overall ranking: the mean of the mean ranks by each metric, every metric with the same weight.

    Ranks are taken over the techniques and datasets that every metric has.

    Returns:
        Index: techniques, best first. One column a metric and ``mean``; empty if nothing is common to all metrics.
    """
    if not tables:
        return pd.DataFrame(columns=["mean"])
    gaps = np.logical_and.reduce([_aligned(t, tables).notna() for t in tables.values()])
    pattern = _aligned(next(iter(tables.values())), tables)
    common = complete_block(pattern.where(gaps))
    if common.empty:
        return pd.DataFrame(columns=[*tables, "mean"])
    out = pd.DataFrame(
        {
            metric: ranks(table.loc[common.index, common.columns], bool(higher_is_better[metric])).mean()
            for metric, table in tables.items()
        }
    )
    return out.assign(mean=out.mean(axis=1)).sort_values("mean", kind="stable")


def _aligned(table: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    datasets = names.dataset_order({d for t in tables.values() for d in t.index})
    techniques = names.technique_order({c for t in tables.values() for c in t.columns})
    return table.reindex(index=datasets, columns=techniques)
