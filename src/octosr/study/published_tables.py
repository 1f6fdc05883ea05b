"""Every number printed on the study's slides, computed again and compared to the printed digit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

import pandas as pd

from octosr.catalog import DATASETS
from octosr.study import behaviours, ranking
from octosr.study.improvement import improvement
from octosr.study.inputs import ScoreSet
from octosr.study.names import domain_of

Status = Literal["match", "known slip", "mismatch", "not checked"]
Key = tuple[str, str, str]
"""(table, row, item) as in ``published_tables.csv``."""

DIRECTIONS = {"niqe_study": False, "maniqa_study": True}
IMPROVEMENTS = {
    "niqe_study": (("moesr", "apa"), ("apa", "moesr")),
    "maniqa_study": (("dan", "moesr"), ("moesr", "dan")),
}
K = 10

_ROUNDED = 5e-9  # the shipped means have 8 decimals; one of them is half way between two printed numbers

KNOWN_SLIPS: Mapping[Key, tuple[str, str]] = {
    ("niqe-domains", "Flora", "best"): ("14.615974", "14.615974 stands in the slides' own table of datasets"),
    ("niqe-apa-over-moesr", "structretina", "percent"): ("9.597", "was computed from rounded means"),
    ("maniqa-dan-over-moesr", "mean", "percent"): ("1.482", "is the mean of the rounded rows"),
}
"""Numbers whose last digit is wrong on the slides: what it should be, and why."""

KNOWN_FAULTS = (
    "The tables of broader domains hold no domain means: each number is the best or the worst single mean of one "
    "dataset in the domain. By true domain means APA, not MoESR, is best by NIQE for Flora and Satellite; MoESR, not "
    "DAN, by MANIQA for Satellite; FastGAN, not APA, is worst by MANIQA for Flora."
)


@dataclass(frozen=True)
class Check:
    """One printed number and what it is by our computation.

    Attributes:
        table: which table.
        row: domain or dataset, ``mean`` or ``all``.
        item: which number of the row.
        printed: as on the slide.
        computed: to as many decimals as the table has; empty if it could not be computed.
        status: see :data:`Status`; a wrong technique name is a mismatch.
        note: why it differs, or what is missing.
    """

    table: str
    row: str
    item: str
    printed: str
    computed: str
    status: Status
    note: str = ""


def printed() -> pd.DataFrame:
    """The 169 printed numbers: columns ``table``, ``row``, ``item``, ``printed``, ``technique`` (all text)."""
    with (files("octosr.study") / "data" / "published_tables.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream, dtype=str, keep_default_na=False)


def check(tables: Mapping[str, pd.DataFrame], scores: ScoreSet | None = None) -> list[Check]:
    """Compare every printed number with ours.

    Args:
        tables: means by metric (``niqe_study``, ``maniqa_study``), datasets x techniques.
        scores: raw MANIQA scores, for the sets and Kendall's tau; without them these are not checked.

    Returns:
        One check a printed number, in the slides' order.
    """
    values = _values(tables, scores)
    return [
        _check((table, row, item), text, technique, values, tables)
        for table, row, item, text, technique in printed().itertuples(index=False)
    ]


def _check(
    key: Key, text: str, technique: str, values: Mapping[Key, tuple[float, str]], tables: Mapping[str, pd.DataFrame]
) -> Check:
    table, row, item = key
    if key not in values:
        if _lost_win(table, row, tables):
            return Check(*key, text, "", "mismatch", "by our means this technique does not win there")
        return Check(*key, text, "", "not checked", _missing(table, row))
    value, who = values[key]
    decimals = _decimals(table, item)
    computed = f"{value:.{decimals}f}"
    if technique and who != technique:
        return Check(*key, text, computed, "mismatch", f"{technique} printed, {who} computed")
    if abs(value - float(text)) <= 0.5 * 10.0**-decimals + _ROUNDED:
        return Check(*key, text, computed, "match")
    right, why = KNOWN_SLIPS.get(key, ("", ""))
    return (
        Check(*key, text, computed, "known slip", why) if computed == right else Check(*key, text, computed, "mismatch")
    )


def _values(tables: Mapping[str, pd.DataFrame], scores: ScoreSet | None) -> dict[Key, tuple[float, str]]:
    out: dict[Key, tuple[float, str]] = {}
    for metric, table in tables.items():
        short, higher = metric.removesuffix("_study"), DIRECTIONS[metric]
        for row in ranking.single_extremes(table, higher).itertuples():
            if all(d in table.index for d in DATASETS if domain_of(d) == row.domain):
                out[f"{short}-domains", row.domain, "best"] = (row.best_value, row.best_technique)
                out[f"{short}-domains", row.domain, "worst"] = (row.worst_value, row.worst_technique)
        for dataset, row in ranking.best_and_worst(table, higher).iterrows():
            for which in ("best", "worst"):
                out[f"{short}-datasets", dataset, which] = (row[f"{which}_value"], "=".join(row[which]))
        for winner, loser in IMPROVEMENTS[metric]:
            if {winner, loser} <= set(table.columns):
                _improvement(out, f"{short}-{winner}-over-{loser}", improvement(table, winner, loser, higher), table)
    if scores is not None and "maniqa_study" in scores.metrics:
        counts = behaviours.overlaps(behaviours.pairs(scores, "maniqa_study", "moesr", "dan"), K, higher_is_better=True)
        for dataset, row in counts.iterrows():
            out |= {("sets", dataset, item): (row[item], "") for item in behaviours.COUNTS}
        tau = behaviours.overlap_correlation(counts)
        if set(counts.index) == set(DATASETS) and tau.value is not None:
            out["kendall", "all", "tau"] = (tau.value, "")
    return out


def _improvement(out: dict[Key, tuple[float, str]], name: str, rows: pd.DataFrame, table: pd.DataFrame) -> None:
    for dataset, row in rows.iterrows():
        out |= {(name, dataset, item): (row[item], "") for item in ("winner", "loser", "percent")}
    if set(table.index) == set(DATASETS):
        out[name, "mean", "percent"] = (rows["percent"].mean(), "")


def _lost_win(name: str, dataset: str, tables: Mapping[str, pd.DataFrame]) -> bool:
    """Whether both means of a row of an improvement table are there, so that only the win can be missing."""
    short, _, pair = name.partition("-")
    table = tables.get(f"{short}_study")
    if table is None or "-over-" not in pair or dataset not in table.index:
        return False
    both = table.reindex(columns=pair.split("-over-")).loc[dataset]
    return bool(both.notna().all())


def _decimals(table: str, item: str) -> int:
    return 0 if table == "sets" else 3 if item == "percent" else 6


def _missing(table: str, row: str) -> str:
    if table in ("sets", "kendall"):
        return "needs the raw MANIQA scores of MoESR and DAN" + (
            f" on {row}" if row != "all" else " on all 14 datasets"
        )
    if row == "mean":
        return "needs the means of all 14 datasets"
    return f"needs the means of {'every dataset of ' if table.endswith('domains') else ''}{row}"
