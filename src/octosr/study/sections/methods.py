"""How the numbers were made: metric definitions, kinds of images, tests."""

from __future__ import annotations

import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table


def methods(analysis: Analysis) -> Section:
    """Definitions of the metrics as the inputs state them, and the tests' settings."""
    o = analysis.options
    section = Section("methods", "How the numbers were made")
    section.paragraphs.append(
        "Images pair up by the stem of the LR image they were made from. Images of generative techniques were made "
        "from none and pair with nothing: these techniques are compared by distributions only, and their scores "
        "say nothing about fidelity."
    )
    section.paragraphs.append(
        f"Tests: scipy, statsmodels and scikit-posthocs. Level {o.alpha:g} after Holm's correction over all "
        f"comparisons of a metric. Intervals: {o.level:.0%}, BCa bootstrap with {o.resamples} resamples, seed {o.seed}."
    )
    rows: dict[tuple[str, str, str], int] = {}
    for (_, _, metric), definition in analysis.scores.definitions.items():
        for key, value in definition.items():
            if "references" not in key and ":" not in metric:
                entry = (names.metric_title(metric), key, str(value))
                rows[entry] = rows.get(entry, 0) + 1
    if rows:
        frame = pd.DataFrame(
            [(*entry, n) for entry, n in sorted(rows.items())], columns=["metric", "what", "value", "cells"]
        )
        section.tables.append(Table("definitions", "What determines the values of each metric", frame))
    return section
