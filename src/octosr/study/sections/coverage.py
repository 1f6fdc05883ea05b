"""What there is: cells, inputs, metrics that are missing."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.manifest import grid, summary, table


def coverage(analysis: Analysis) -> Section:
    """Which cells are complete, partial, failed or missing, and why metrics are not available."""
    cells = analysis.cells
    section = Section("coverage", "What there is")
    if cells.empty:
        section.paragraphs.append("There are no scores.")
        return section
    section.paragraphs.append(summary(cells))
    section.paragraphs += [f"Read from: {source}." for source in analysis.scores.sources]
    section.tables.append(grid(cells))
    section.tables.append(table(cells))
    missing = _unavailable(analysis)
    if len(missing):
        section.tables.append(
            Table("metrics-unavailable", "Metrics that could not be computed", missing, "The reason is the first met.")
        )
    return section


def _unavailable(analysis: Analysis) -> pd.DataFrame:
    reasons: dict[tuple[str, str], int] = defaultdict(int)
    for (_, _, metric), reason in analysis.scores.unavailable.items():
        reasons[metric, reason] += 1
    rows = [(names.metric_title(m), n, reason) for (m, reason), n in sorted(reasons.items())]
    return pd.DataFrame(rows, columns=["metric", "cells", "reason"])
