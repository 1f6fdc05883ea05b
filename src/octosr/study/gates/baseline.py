"""Where plain bicubic enlargement stands: what does not beat it has not super-resolved anything."""

from __future__ import annotations

import pandas as pd

from octosr.study import names, ranking
from octosr.study.analysis import Analysis
from octosr.study.document import Gate
from octosr.study.statistics.pairwise import TOO_FEW

BASELINE = "bicubic"


def against_baseline(comparisons: pd.DataFrame) -> pd.DataFrame:
    """On how many datasets each technique is significantly better than bicubic, no different, and worse.

    Returns:
        Columns ``technique``, ``better``, ``no_different``, ``worse``, ``too_few``.
    """
    rows = comparisons[(comparisons["a"] == BASELINE) | (comparisons["b"] == BASELINE)]
    other = rows["b"].where(rows["a"] == BASELINE, rows["a"])
    out = []
    for technique in names.technique_order(other):
        verdicts = rows.loc[other == technique, "verdict"]
        better = int((verdicts == technique).sum())
        worse = int((verdicts == BASELINE).sum())
        out.append((technique, better, int((verdicts == "tie").sum()), worse, int((verdicts == TOO_FEW).sum())))
    return pd.DataFrame(out, columns=["technique", "better", "no_different", "worse", "too_few"])


def baseline_gates(analysis: Analysis) -> list[Gate]:
    """One gate a metric: does every technique beat bicubic on most datasets?"""
    return [_gate(analysis, metric) for metric in analysis.metrics]


def _gate(analysis: Analysis, metric: str) -> Gate:
    key, title = f"gate-bicubic-{metric}", names.metric_title(metric)
    question = f"By {title}: is every technique better than plain bicubic enlargement?"
    means = analysis.means[metric]
    if BASELINE not in means.columns:
        how = "Bicubic was not evaluated: python eval.py -m technique=bicubic 'dataset=glob(*)' adds it."
        return Gate(key, question, "unknown", how)
    table = against_baseline(analysis.comparisons[metric])
    judged = table[~table["technique"].isin([t for t in table["technique"] if names.is_interpolation(t)])]
    tested = judged[judged[["better", "no_different", "worse"]].sum(axis=1) > 0]
    where = _standing(means, analysis.higher(metric))
    if tested.empty:
        return Gate(key, question, "unknown", f"{where} No other technique has enough images of the same datasets.")
    counts = tested[["better", "no_different", "worse"]].sum(axis=1)
    short = tested[tested["better"] * 2 <= counts]
    parts = [
        f"{names.title(t)} is significantly better on {b}, no different on {s}, worse on {w} of {b + s + w} datasets"
        for t, b, s, w in tested[["technique", "better", "no_different", "worse"]].itertuples(index=False)
    ]
    finding = f"{where} {len(short)} of {len(tested)} techniques are not significantly better than bicubic on most "
    finding += f"datasets. {'; '.join(parts)}."
    return Gate(key, question, "warn" if len(short) else "pass", finding)


def _standing(means: pd.DataFrame, higher: bool) -> str:
    block = ranking.complete_block(means)
    if BASELINE not in block.columns:
        return "Bicubic shares too few datasets with the others for a mean rank."
    order = ranking.mean_ranks(means, higher)
    place = 1 + int((order < order[BASELINE]).sum())
    return f"Bicubic is number {place} of {len(order)} by mean rank ({order[BASELINE]:.2f} over {len(block)} datasets)."
