"""The sanity gates, with bicubic's standing as a table."""

from __future__ import annotations

import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.gates import all_gates
from octosr.study.gates.baseline import BASELINE, against_baseline


def checks(analysis: Analysis) -> Section:
    """All gates."""
    section = Section("gates", "Can the numbers be trusted? Sanity gates")
    section.paragraphs.append(
        "Each gate asks something that should hold before a ranking is believed. 'Warn' is no error of the program but "
        "a reason for caution; 'unknown' means that the data to check it are not there."
    )
    section.gates += all_gates(analysis)
    standing = _standing(analysis)
    if len(standing):
        section.tables.append(
            Table(
                "bicubic-standing",
                "Every technique against plain bicubic enlargement",
                standing,
                caption="Number of datasets on which the technique is significantly better than bicubic, no different, "
                "or worse (Wilcoxon, or Mann-Whitney for generated images; Holm over all comparisons of the metric).",
                digits={"mean_rank": 3},
            )
        )
    return section


def _standing(analysis: Analysis) -> pd.DataFrame:
    out = []
    for metric in analysis.metrics:
        if BASELINE not in analysis.means[metric].columns:
            continue
        ranks = analysis.omnibus[metric].mean_ranks
        for technique, *counts in against_baseline(analysis.comparisons[metric]).itertuples(index=False):
            rank = float(ranks.get(technique, float("nan")))
            out.append((names.metric_title(metric), names.title(technique), rank, *counts))
    columns = ["metric", "technique", "mean_rank", "better", "no_different", "worse", "too_few"]
    return pd.DataFrame(out, columns=columns)
