"""The study's improvement percentages."""

from __future__ import annotations

import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.improvement import improvement, net
from octosr.study.sections.common import digits, figure

FORMULA = (
    "I% as the study defines it: the difference of the two means in % of the smaller number; where lower is better "
    "(W - B) * 100 / B, where higher is better (B - W) * 100 / W, with B the better and W the worse mean."
)


def improvements(analysis: Analysis) -> Section:
    """I% of the best two techniques of each metric (or of the pairs asked for), in both directions and net."""
    section = Section("improvement", "By how much? The study's improvement percentages")
    section.paragraphs.append(
        f"{FORMULA} The study averages each direction over the datasets where that technique wins, so the two averages "
        "are no net gain; the table of net changes counts wins and losses together."
    )
    nets = []
    for metric in analysis.metrics:
        best = analysis.best_two(metric)
        pairs = analysis.options.improvement_pairs or ((best,) if best else ())
        for a, b in pairs:
            if {a, b} <= set(analysis.means[metric].columns):
                _pair(section, analysis, metric, a, b)
                row = net(analysis.means[metric], a, b, analysis.higher(metric))
                nets.append(
                    row.assign(metric=names.metric_title(metric), technique=names.title(a), over=names.title(b))
                )
    if not nets:
        section.paragraphs.append("There are no two techniques with means by the same metric.")
        return section
    frame = pd.concat(nets, ignore_index=True)
    frame = frame[["metric", "technique", "over", "wins", "losses", "equal", "mean_change", "of_means"]]
    section.tables.insert(
        0,
        Table(
            "improvement-net",
            "Net change over all datasets",
            frame,
            caption="In %, positive is better. mean_change: mean over the datasets of the change in % of the other "
            "technique's mean. of_means: change of the mean over all datasets in % of the other's.",
            digits={"mean_change": 2, "of_means": 2},
        ),
    )
    return section


def _pair(section: Section, analysis: Analysis, metric: str, a: str, b: str) -> None:
    title, higher = names.metric_title(metric), analysis.higher(metric)
    bars = []
    for winner, loser in ((a, b), (b, a)):
        rows = improvement(analysis.means[metric], winner, loser, higher)
        bars.append(pd.DataFrame({"dataset": rows.index, "winner": winner, "percent": rows["percent"].to_numpy()}))
        frame = rows.rename_axis("dataset").reset_index()
        if len(rows):
            mean = {"dataset": "mean I%", "percent": rows["percent"].mean()}
            frame = pd.concat([frame, pd.DataFrame([mean])], ignore_index=True)
        shown = names.titles((winner, loser))
        frame = frame.rename(columns={"winner": shown[winner], "loser": shown[loser], "percent": "I%"})
        section.tables.append(
            Table(
                f"improvement-{metric}-{_safe(winner)}-over-{_safe(loser)}",
                f"Improvement of {names.title(winner)} over {names.title(loser)}, {title}",
                frame,
                caption="Datasets where it has the better mean; the average is over these only."
                if len(rows)
                else "It has the better mean on no dataset.",
                digits={**dict.fromkeys(shown.values(), digits(metric)), "I%": 3},
                missing="",
            )
        )
    both = pd.concat(bars, ignore_index=True)
    if len(both):
        section.figures.append(
            figure(
                f"improvement-{metric}-{_safe(a)}-{_safe(b)}",
                f"I% between {names.title(a)} and {names.title(b)}, {title}",
                "improvement_bars",
                both,
                pair=(a, b),
                metric=metric,
                alt=f"Bars: the improvement of the better of {names.title(a)} and {names.title(b)} on each dataset.",
            )
        )


def _safe(name: str) -> str:
    """A name as part of a key; what a key may not hold is written as its code, so different names stay different."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else f"_{ord(c):x}" for c in name)
