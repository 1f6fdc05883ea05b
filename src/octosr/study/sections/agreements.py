"""Do the metrics agree with each other?"""

from __future__ import annotations

import pandas as pd

from octosr.study import names
from octosr.study.agreement import agreement, metric_pairs, wide
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.sections.common import figure

MOST_PAIRS = 3  # with more, only the metrics of the overall ranking are shown in detail


def agreements(analysis: Analysis) -> Section:
    """Spearman's rho of every two metrics, over all images, per technique and per dataset."""
    section = Section("agreement", "Do the metrics agree?")
    pairs = metric_pairs(analysis.metrics)
    if not pairs:
        section.paragraphs.append("There are no two metrics to compare.")
        return section
    section.paragraphs.append(
        "Spearman's rank correlation over images. 'agreement' has the sign turned where one metric is better low and "
        "the other high: +1 is full agreement about which images are better, 0 none, -1 full contradiction."
    )
    if len(analysis.metrics) > 2:
        section.tables.append(_matrix(analysis))
    for x, y in pairs if len(pairs) <= MOST_PAIRS else metric_pairs(analysis.overall_metrics):
        table = agreement(analysis.scores, x, y)
        titles = names.metric_title(x), names.metric_title(y)
        section.paragraphs.append(agreement_verdict(table, *titles))
        shown = table.assign(
            name=[names.title(n) if o == "technique" else n for o, n in table[["over", "name"]].to_numpy()]
        )
        section.tables.append(
            Table(
                f"agreement-{x}-{y}",
                f"Agreement of {titles[0]} and {titles[1]}",
                shown,
                digits={"spearman": 3, "agreement": 3},
            )
        )
        images = wide(analysis.scores, x, y)
        if len(images):
            section.figures.append(
                figure(
                    f"agreement-{x}-{y}-plot",
                    f"{titles[0]} against {titles[1]}",
                    "agreement",
                    images,
                    x=x,
                    y=y,
                    alt=f"Scatter plot: {titles[0]} and {titles[1]} of every image, by technique.",
                )
            )
    return section


def _matrix(analysis: Analysis) -> Table:
    """Agreement over all images of every two metrics."""
    titles = {m: names.metric_title(m) for m in analysis.metrics}
    frame = pd.DataFrame(index=analysis.metrics, columns=analysis.metrics, dtype=float)
    for x, y in metric_pairs(analysis.metrics):
        frame.loc[x, y] = frame.loc[y, x] = agreement(analysis.scores, x, y)["agreement"].iloc[0]
    frame = frame.rename(index=titles, columns=titles).rename_axis("metric").reset_index()
    return Table(
        "agreement-matrix",
        "Agreement of every two metrics over all images that both have scored",
        frame,
        digits=dict.fromkeys(titles.values(), 2),
        missing="",
    )


def agreement_verdict(table: pd.DataFrame, x: str, y: str) -> str:
    """One sentence about two metrics."""
    total = table[table["over"] == "all"].iloc[0]
    value = total["agreement"]
    if value != value:
        return f"{x} and {y} share too few images to be compared."
    word = "contradict each other" if value < -0.1 else "barely agree" if value < 0.3 else "agree in part"
    word = "agree well" if value >= 0.7 else word
    parts = table[table["over"] == "technique"].dropna(subset=["agreement"])
    inside = ""
    if len(parts) > 1:
        by = ", ".join(f"{names.title(n)} {a:+.2f}" for n, a in parts[["name", "agreement"]].to_numpy())
        inside = f" Within techniques: {by}."
    return f"{x} and {y} {word}: agreement {value:+.2f} over {int(total['images'])} images.{inside}"
