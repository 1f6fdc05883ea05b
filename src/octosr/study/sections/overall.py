"""The overall ranking over metrics."""

from __future__ import annotations

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.sections.common import listed


def overall(analysis: Analysis) -> Section:
    """Mean of the mean ranks."""
    section = Section("rq1-overall", "RQ1: which technique is best overall?")
    section.paragraphs.append(overall_verdict(analysis))
    ranked = analysis.overall
    if len(ranked):
        titles = {m: names.metric_title(m) for m in analysis.overall_metrics}
        frame = ranked.rename(index=names.titles(ranked.index), columns=titles)
        columns = [*titles.values(), "mean"]
        section.tables.append(
            Table(
                "overall-ranks",
                "Mean ranks by each metric, and their mean",
                frame.rename_axis("technique").reset_index(),
                caption="Every metric counts the same. Ranks are over the datasets and techniques that all of these "
                "metrics have.",
                digits=dict.fromkeys(columns, 3),
                best=dict.fromkeys(columns, "min"),
            )
        )
    return section


def overall_verdict(analysis: Analysis) -> str:
    """The answer in one sentence."""
    ranked = analysis.overall
    metrics = listed(names.metric_title(m) for m in analysis.overall_metrics)
    if len(ranked) < 2:
        return f"No overall ranking: no two techniques have scores by all of {metrics} on one dataset."
    order = ", ".join(f"{names.title(t)} {mean:.2f}" for t, mean in ranked["mean"].items())
    tied = ranked.index[ranked["mean"] == ranked["mean"].iloc[0]]
    note = f" ({listed(names.title(t) for t in tied)} are tied.)" if len(tied) > 1 else ""
    return f"Overall, by the mean of the mean ranks over {metrics}: {order}.{note}"
