"""Ranks: of every technique in every dataset, and the critical-difference diagram of the mean ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from octosr.study.figures.style import FAINT, INK, colour_of, drawn, label, new_figure, nothing, style_of
from octosr.study.names import technique_order
from octosr.study.names import title as title_of


@drawn
def rank_chart(ranks: pd.DataFrame, *, title: str) -> Figure:
    """The rank of each technique in each dataset, and below the line the mean rank.

    Args:
        ranks: index dataset, columns technique; 1 is best, tied techniques share the mean of their places.
        title: stands on top.
    """
    techniques = [name for name in technique_order(ranks.columns) if ranks[name].notna().any()]
    if not techniques:
        return nothing(title, "No ranks: no technique has scores here yet.")
    rows = len(ranks)
    figure = new_figure(5.0, 1.5 + 0.26 * (rows + 1), title)
    axes = figure.subplots()
    y = np.arange(rows, dtype=float)
    for number, name in enumerate(techniques):
        style = style_of(name)
        # Techniques that share a rank would hide each other: each has its own height within the row.
        height = (number - (len(techniques) - 1) / 2) * 0.5 / len(techniques)
        values = ranks[name].to_numpy(dtype=float)
        look: dict[str, Any] = {
            "color": style.colour,
            "marker": style.marker,
            "markeredgecolor": INK,
            "markeredgewidth": 0.6,
        }
        axes.plot(values, y + height, linewidth=1.1, alpha=0.9, markersize=6.5, label=label(title_of(name), 16), **look)
        axes.plot([np.nanmean(values)], [rows + 0.15 + height], linestyle="none", markersize=8.5, **look)
    axes.axhline(rows - 0.45, color=FAINT, linewidth=0.9)
    axes.set_yticks([*y, rows + 0.15], [*(label(name, 20) for name in ranks.index), "mean rank"])
    most = int(np.ceil(np.nanmax(ranks[techniques].to_numpy(dtype=float))))
    axes.set(xlim=(0.7, max(most, 2) + 0.3), ylim=(rows + 0.6, -0.6), xlabel="rank (1 is best)")
    axes.set_xticks(range(1, max(most, 2) + 1))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    widest = max(len(label(title_of(name), 16)) for name in techniques)
    figure.legend(
        loc="outside lower left",
        ncols=min(len(techniques), int(5.0 / (0.5 + 0.065 * widest))),
        handletextpad=0.4,
        columnspacing=1.2,
    )
    return figure


@drawn
def cd_diagram(
    mean_ranks: pd.Series, p_values: pd.DataFrame, critical_difference: float | None, *, title: str, alpha: float = 0.05
) -> Figure:
    """The critical-difference diagram: techniques that a bar joins cannot be told apart.

    Args:
        mean_ranks: index technique; 1 is best.
        p_values: index and columns technique; p of the post-hoc test of each pair.
        critical_difference: drawn to scale, if given.
        title: stands on top.
        alpha: a bar joins techniques whose p is not below it.

    Source: J. Demšar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7 (2006), section 3.2.2;
    drawn by scikit-posthocs.
    """
    ranks = mean_ranks.dropna().sort_values()
    if len(ranks) < 2:
        return nothing(title, "No diagram: this takes two techniques that have scores in the same datasets.")
    p = p_values.loc[list(ranks.index), list(ranks.index)].astype(float)
    if p.isna().to_numpy().any():
        return nothing(title, "No diagram: the test gives no p value for every pair of these techniques.")
    from scikit_posthocs import critical_difference_diagram

    figure = new_figure(5.6, 1.35 + 0.24 * len(ranks), title)
    axes = figure.subplots()
    parts = critical_difference_diagram(
        ranks,
        p,
        alpha=alpha,
        ax=axes,
        label_fmt_left="{label}",
        label_fmt_right="{label}",
        color_palette={name: colour_of(str(name)) for name in ranks.index},
        marker_props={"s": 38, "edgecolor": INK, "linewidth": 0.6},
        elbow_props={"linewidth": 1.4},
        crossbar_props={"linewidth": 3.5, "color": INK},
        text_h_margin=0.04 * max(float(ranks.iloc[-1] - ranks.iloc[0]), 0.5),
    )
    # It knows the techniques by their names: what is shown, and in which colour, is set here.
    shown = {str(name): f" {label(title_of(str(name)), 14)}  {rank:.2f} " for name, rank in ranks.items()}
    for text, point in zip(parts["labels"], parts["markers"], strict=True):
        marker = MarkerStyle(style_of(text.get_text()).marker)
        point.set_paths([marker.get_path().transformed(marker.get_transform())])
        text.set(text=shown[text.get_text()], color=INK, fontsize=9)
    if critical_difference is not None:
        start = float(ranks.iloc[0])
        axes.plot([start, start + critical_difference], [0.75, 0.75], color=INK, linewidth=1.5, marker="|")
        axes.text(start + critical_difference / 2, 1.0, f"CD = {critical_difference:.2f}", ha="center", fontsize=8.5)
    axes.set_xticks(range(int(np.floor(ranks.iloc[0])), int(np.ceil(ranks.iloc[-1])) + 1))
    joined = "bars join techniques that do not differ" if parts["crossbars"] else "all techniques differ"
    axes.set_xlabel(f"mean rank, 1 is best; {joined} (p < {alpha:g})", fontsize=8.5, color=FAINT)
    axes.xaxis.set_label_position("bottom")
    axes.tick_params(axis="x", pad=1)
    axes.spines["top"].set_visible(True)
    return figure
