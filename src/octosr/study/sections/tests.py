"""Which differences are real: tests, effect sizes, intervals."""

from __future__ import annotations

import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Figure, Section, Table
from octosr.study.sections.common import digits, figure, p_value, plural, titled
from octosr.study.statistics.omnibus import Omnibus
from octosr.study.statistics.outcomes import totals, win_tie_loss
from octosr.study.statistics.pairwise import TOO_FEW


def tests(analysis: Analysis, metric: str) -> Section:
    """Tests over datasets and over images, and confidence intervals, by one metric."""
    title = names.metric_title(metric)
    section = Section(f"tests-{metric}", f"Which differences are real? Statistics by {title}")
    over, pairs = analysis.omnibus[metric], analysis.comparisons[metric]
    alpha = analysis.options.alpha
    section.paragraphs += [omnibus_verdict(over, alpha), pairs_verdict(pairs, alpha)]
    if over.critical_difference is not None:
        section.tables.append(_nemenyi(metric, over))
        section.figures.append(_cd_figure(metric, over, alpha))
    if len(pairs):
        matrix = win_tie_loss(pairs)
        section.tables += [_matrix_table(metric, matrix), _totals_table(metric, matrix), _pairs_table(metric, pairs)]
        section.figures.append(
            figure(
                f"win-tie-loss-{metric}",
                f"Wins, ties and losses by {title}",
                "win_tie_loss",
                matrix,
                title=f"Datasets won / tied / lost by {title}",
                caption=f"The row's technique against the column's. A tie: not significant at {alpha:g} after Holm.",
            )
        )
    section.tables.append(_interval_table(analysis, metric))
    return section


def omnibus_verdict(over: Omnibus, alpha: float) -> str:
    """Friedman and Nemenyi in words."""
    if over.reason:
        p = f" ({p_value(over.p)})" if over.p == over.p else ""
        return f"Over datasets: {over.reason}{p}."
    k, n = len(over.techniques), len(over.datasets)
    text = (
        f"Over {plural(n, 'dataset')}, Friedman's test of {k} techniques gives chi-square {over.statistic:.2f}, "
        f"{p_value(over.p)}"
    )
    if over.p > alpha:
        return f"{text}: the mean ranks do not differ significantly, so no technique is best over these datasets."
    best, gap = over.mean_ranks.index[0], over.critical_difference
    alike = [t for t in over.mean_ranks.index[1:] if over.nemenyi.loc[best, t] > alpha]
    text += f". By Nemenyi's test mean ranks must differ by {gap:.2f}"
    if alike:
        return f"{text}: the best, {names.title(best)}, does not differ significantly from {titled(alike)}."
    return f"{text}: the best, {names.title(best)}, differs significantly from all others."


def pairs_verdict(pairs: pd.DataFrame, alpha: float) -> str:
    """The tests over images in words."""
    if pairs.empty:
        return "Over images: there are no two techniques on one dataset."
    verdicts = pairs["verdict"].value_counts()
    ties, few = int(verdicts.get("tie", 0)), int(verdicts.get(TOO_FEW, 0))
    tested = len(pairs) - few
    text = (
        f"Over images: of {plural(len(pairs), 'comparison')} (two techniques on a dataset) {tested} could be tested; "
    )
    text += f"{tested - ties} are significant at {alpha:g} after Holm's correction over all of them, {ties} are ties"
    return text + (f". In {few} there are too few images for any outcome to be significant." if few else ".")


def _pairs_table(metric: str, pairs: pd.DataFrame) -> Table:
    frame = pairs.copy()
    for column in ("a", "b"):
        frame[column] = frame[column].map(names.title)
    frame["verdict"] = [v if v in ("tie", TOO_FEW) else names.title(v) for v in frame["verdict"]]
    return Table(
        f"pairs-{metric}",
        f"Every two techniques on every dataset, {names.metric_title(metric)}",
        frame,
        caption="Wilcoxon's signed-rank test where the images pair up, Mann-Whitney's rank-sum test where they do not "
        "(generated images belong to no LR image). effect: rank-biserial correlation (matched pairs, or Cliff's "
        "delta), +1 where a is better throughout, -1 where b is. p_holm: corrected over all rows of this table.",
        digits={"difference": digits(metric), "effect": 3, "p": 5, "p_holm": 5},
        missing=TOO_FEW,
    )


def _matrix_table(metric: str, matrix: pd.DataFrame) -> Table:
    text = matrix.map(lambda cell: "" if cell is None else " / ".join(map(str, cell)))
    text = (
        text.rename(index=names.titles(text.index), columns=names.titles(text.columns))
        .rename_axis("technique")
        .reset_index()
    )
    return Table(
        f"win-tie-loss-table-{metric}",
        f"Datasets won / tied / lost by {names.metric_title(metric)}",
        text,
        caption="The row's technique against the column's; a tie is a difference that is not significant.",
        missing="",
    )


def _totals_table(metric: str, matrix: pd.DataFrame) -> Table:
    frame = totals(matrix).rename(index=names.title).rename_axis("technique").reset_index()
    return Table(
        f"win-tie-loss-totals-{metric}",
        f"Sums over all opponents and datasets, {names.metric_title(metric)}",
        frame,
        best={"wins": "max", "losses": "min"},
    )


def _nemenyi(metric: str, over: Omnibus) -> Table:
    order = list(over.mean_ranks.index)
    frame = over.nemenyi.loc[order, order].rename(index=names.titles(order), columns=names.titles(order))
    frame.columns.name = None
    frame = frame.rename_axis("technique").reset_index()
    ranks = [float(over.mean_ranks[t]) for t in order]
    frame.insert(1, "mean_rank", ranks)
    return Table(
        f"nemenyi-{metric}",
        f"Nemenyi's test over datasets, {names.metric_title(metric)}: p values",
        frame,
        caption=f"Critical difference of mean ranks: {over.critical_difference:.4f}, over "
        f"{plural(len(over.datasets), 'dataset')}.",
        digits={"mean_rank": 3, **dict.fromkeys(names.titles(order).values(), 4)},
    )


def _cd_figure(metric: str, over: Omnibus, alpha: float) -> Figure:
    title = names.metric_title(metric)
    return figure(
        f"cd-{metric}",
        f"Critical difference diagram, {title}",
        "cd_diagram",
        over.mean_ranks,
        over.nemenyi,
        over.critical_difference,
        title=f"Mean ranks by {title}",
        alpha=alpha,
        caption="Techniques joined by a bar do not differ significantly (Nemenyi).",
        alt=f"Mean ranks by {title}: "
        + ", ".join(f"{names.title(t)} {r:.2f}" for t, r in over.mean_ranks.items())
        + f"; critical difference {over.critical_difference:.2f}.",
    )


def _interval_table(analysis: Analysis, metric: str) -> Table:
    frame = analysis.intervals[metric].copy()
    frame["technique"] = frame["technique"].map(names.title)
    o = analysis.options
    return Table(
        f"intervals-{metric}",
        f"Means with {o.level:.0%} confidence intervals, {names.metric_title(metric)}",
        frame,
        caption=f"BCa bootstrap over the images of each cell, {o.resamples} resamples, seed {o.seed}. It tells how far "
        "the mean may move with other images of the same kind, not with another training.",
        digits=dict.fromkeys(("mean", "low", "high"), digits(metric)),
    )
