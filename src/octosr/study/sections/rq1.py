"""RQ1 by one metric: means, domains, best and worst, ranks."""

from __future__ import annotations

import pandas as pd

from octosr.catalog import DATASETS
from octosr.study import names, ranking
from octosr.study.analysis import Analysis
from octosr.study.document import Figure, Section, Table
from octosr.study.sections.common import (
    better_words,
    digits,
    direction,
    figure,
    listed,
    means_table,
    plural,
    titled,
    with_domains,
)
from octosr.study.statistics.outcomes import first_and_second


def rq1(analysis: Analysis, metric: str) -> Section:
    """Which technique is best by a metric."""
    title, higher = names.metric_title(metric), analysis.higher(metric)
    means = analysis.means[metric]
    section = Section(f"rq1-{metric}", f"RQ1: which technique is best by {title}?")
    section.paragraphs += [verdict(analysis, metric), *close_calls(analysis, metric)]
    partial = analysis.cells[analysis.cells["status"] == "partial"]
    if len(partial):
        section.paragraphs.append(
            f"{plural(len(partial), 'cell')} of the table are partial (see 'What there is'): their means are over "
            "fewer images than those beside them."
        )
    block = ranking.complete_block(means)
    whole = means.copy()
    if len(block):
        whole.loc["mean"] = block.mean().reindex(means.columns)
    table = means_table(
        f"means-{metric}",
        f"Mean {title} per dataset ({better_words(higher)})",
        whole,
        higher,
        digits(metric),
        caption="Unweighted mean over the images with a score. Equal means are all marked. The last row is the "
        f"unweighted mean over the {plural(len(block), 'dataset')} that {titled(block.columns)} all have.",
    )
    section.tables.append(with_domains(table))
    section.tables += [*_domains(metric, means, higher), *_places(analysis, metric)]
    section.figures += _figures(analysis, metric)
    return section


def verdict(analysis: Analysis, metric: str) -> str:
    """The answer in two sentences."""
    title, higher = names.metric_title(metric), analysis.higher(metric)
    means = analysis.means[metric]
    order = ranking.mean_ranks(means, higher)
    if len(order) < 2:
        found = titled(means.columns[means.notna().any()])
        return (
            f"By {title} there is nothing to rank: no two techniques have scores on one dataset (scores of: {found})."
        )
    counts = ranking.counts(means, higher)
    first = list(order.index[order == order.iloc[0]])
    block = ranking.complete_block(means)
    lead = f"By {title}, {titled(first)} {'share' if len(first) > 1 else 'has'} the best mean rank ({order.iloc[0]:.2f}"
    lead += f" over {plural(len(block), 'dataset')})"
    if len(first) < len(order):
        lead += f", followed by {names.title(order.index[len(first)])} ({order.iloc[len(first)]:.2f})"
    best = counts["best"][counts["best"] > 0].sort_values(ascending=False, kind="stable")
    worst = counts["worst"][counts["worst"] > 0].sort_values(ascending=False, kind="stable")
    says = [listed(f"{names.title(t)} on {n}" for t, n in part.items()) for part in (best, worst)]
    return f"{lead}. Best mean: {says[0]}; worst mean: {says[1]} (numbers of datasets)."


def _domains(metric: str, means: pd.DataFrame, higher: bool) -> list[Table]:
    title = names.metric_title(metric)
    true = ranking.domain_means(means)
    here = {names.domain_of(dataset) for dataset in means.index}
    absent = [d.name for d in DATASETS.values() if d.domain in here and d.name not in means.index]
    lacking = f" Without the study's {listed(absent)}, of which there is no score." if absent else ""
    frame = true.rename(columns=names.titles(true.columns))
    frame.columns.name = None
    shown = tuple(frame.columns)
    extremes = ranking.single_extremes(means, higher)
    for column in ("best_technique", "worst_technique"):
        extremes[column] = extremes[column].map(names.title)
    return [
        Table(
            f"domains-{metric}",
            f"Mean {title} per domain",
            frame.rename_axis("domain").reset_index(),
            caption="Unweighted mean over the domain's datasets. Not available where a technique lacks a dataset that "
            f"others have.{lacking}",
            digits=dict.fromkeys(shown, digits(metric)),
            best_in_row=(shown, direction(higher)),
        ),
        Table(
            f"domains-as-printed-{metric}",
            f"As printed: best and worst single dataset of the domain, {title}",
            extremes,
            caption="The study prints this as its table of broader domains. It holds no domain means: each number is "
            "the mean of one technique on one dataset, and best and worst mostly come from different datasets.",
            digits={"best_value": digits(metric), "worst_value": digits(metric)},
        ),
    ]


def close_calls(analysis: Analysis, metric: str, *, by_name: bool = True) -> list[str]:
    """On how many datasets the best is not significantly better than the second best; nothing if on none."""
    calls = first_and_second(analysis.means[metric], analysis.comparisons[metric], analysis.higher(metric))
    close = calls[calls["lead"] == "tie"]
    if close.empty:
        return []
    where = listed(f"{d} ({names.title(r['best'])} and {names.title(r['second'])})" for d, r in close.iterrows())
    return [
        f"On {plural(len(close), 'dataset')} of {len(calls)} the best and the second best are a tie: their difference "
        f"is not significant{f': {where}' if by_name else ''}."
    ]


def _places(analysis: Analysis, metric: str) -> list[Table]:
    title, means, higher = names.metric_title(metric), analysis.means[metric], analysis.higher(metric)
    extremes = ranking.best_and_worst(means, higher)
    calls = first_and_second(means, analysis.comparisons[metric], higher)
    extremes["second"] = calls["second"].map(names.title)
    extremes["lead"] = calls["lead"]
    for column in ("best", "worst"):
        extremes[column] = [titled(techniques) for techniques in extremes[column]]
    extremes = extremes.rename_axis("dataset").reset_index()
    extremes.insert(0, "domain", [names.domain_of(d) for d in extremes["dataset"]])
    places = ranking.ranks(means, higher)
    block = ranking.complete_block(means)
    places.loc["mean rank"] = ranking.ranks(block, higher).mean().reindex(places.columns)
    rank_table = means_table(
        f"ranks-{metric}",
        f"Ranks by mean {title}",
        places,
        higher=False,
        decimals=3,
        caption=f"1 is best; equal means share the average. The mean rank is over the {plural(len(block), 'dataset')} "
        f"that {titled(block.columns)} all have.",
    )
    counts = ranking.counts(means, higher).rename(index=names.title).rename_axis("technique").reset_index()
    value = {"best_value": digits(metric), "worst_value": digits(metric)}
    return [
        Table(
            f"best-worst-{metric}",
            f"Best and worst mean {title} per dataset",
            extremes,
            caption="lead: whether the best differs significantly from the second best (over images, after Holm).",
            digits=value,
        ),
        with_domains(rank_table),
        Table(
            f"counts-{metric}",
            f"How often best and worst by {title}",
            counts,
            caption="Number of datasets; a shared place counts for each.",
            best={"best": "max", "worst": "min"},
        ),
    ]


def _figures(analysis: Analysis, metric: str) -> list[Figure]:
    title, higher = names.metric_title(metric), analysis.higher(metric)
    means = analysis.means[metric]
    what = f"{title}, {better_words(higher)}"
    rows = analysis.scores.of(metric)
    return [
        figure(
            f"heatmap-{metric}",
            f"Means: {what}",
            "heatmap",
            means,
            title=f"Mean {what}",
            higher_is_better=higher,
            caption="The best of each row is marked.",
            alt=f"Heat map of the mean {title} of {titled(means.columns)} on {plural(len(means), 'dataset')}.",
        ),
        figure(
            f"distributions-{metric}",
            f"All scores: {what}",
            "distributions",
            rows[rows["value"].notna()],
            metric=metric,
            higher_is_better=higher,
            caption="One panel a dataset, one box a technique.",
            alt=f"Distributions of {title} per dataset and technique.",
        ),
        figure(
            f"ranks-{metric}-chart",
            f"Ranks by mean {title}",
            "rank_chart",
            ranking.ranks(means, higher),
            title=f"Ranks by mean {title} (1 is best)",
            alt=f"Ranks of the techniques by mean {title} on each dataset.",
        ),
    ]
