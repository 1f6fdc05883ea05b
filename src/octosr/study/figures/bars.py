"""Figures of bars: what the best and worst images have in common, and who improves on whom by how much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from octosr.study.figures.style import BLUE, FAINT, INK, ORANGE, drawn, label, new_figure, nothing, style_of
from octosr.study.names import metric_title
from octosr.study.names import title as title_of


@drawn
def overlap_bars(counts: pd.DataFrame, *, pair: Sequence[str], k: int) -> Figure:
    """How many of the `k` best and of the `k` worst images two techniques share.

    Args:
        counts: index dataset; columns ``C_B``, ``N_B`` (best: common, not common), ``C_W``, ``N_W`` (worst).
        pair: the two techniques.
        k: size of the sets.
    """
    first, second = (label(title_of(name), 16) for name in pair)
    title = f"The {k} best and the {k} worst images of {first} and of {second}"
    counts = counts.dropna()
    if counts.empty:
        return nothing(title, f"No dataset has {k} images that both techniques have scores for.")
    figure = new_figure(5.6, 1.35 + 0.24 * len(counts), title)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name, colour, ink in ((left, "B", BLUE, "white"), (right, "W", ORANGE, INK)):
        common, own = counts[f"C_{name}"].to_numpy(dtype=float), counts[f"N_{name}"].to_numpy(dtype=float)
        y = np.arange(len(counts))
        axes.barh(y, common, color=colour, edgecolor=INK, linewidth=0.6, height=0.68)
        axes.barh(y, own, left=common, color="white", edgecolor=INK, linewidth=0.6, height=0.68)
        for row, value in enumerate(common):
            inside = value > 0.12 * k
            axes.text(
                value + (-0.02 if inside else 0.02) * k,
                row,
                f"{value:g}",
                va="center_baseline",
                ha="right" if inside else "left",
                fontsize=8.5,
                fontweight="bold",
                color=ink if inside else INK,
            )
        axes.set(xlim=(0, k * 1.02), ylim=(len(counts) - 0.5, -0.5))
        axes.set_title(f"{k} best" if name == "B" else f"{k} worst", loc="left", pad=3)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel(f"images, mean {common.mean():.2f} in common")
    left.set_yticks(range(len(counts)), [label(name, 20) for name in counts.index])
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
    handles = [
        Patch(facecolor=BLUE, edgecolor=INK, label="best, in common"),
        Patch(facecolor=ORANGE, edgecolor=INK, label="worst, in common"),
        Patch(facecolor="white", edgecolor=INK, label="not in common"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, handlelength=1.2, columnspacing=1.2)
    return figure


@drawn
def improvement_bars(frame: pd.DataFrame, *, pair: Sequence[str], metric: str) -> Figure:
    """The study's improvement percentage of each dataset's winner over the other technique of a pair.

    Args:
        frame: columns ``dataset``, ``winner`` and ``percent`` (not negative).
        pair: the two techniques; bars of the first go to the left.
        metric: its name.
    """
    first, second = (str(name) for name in pair)
    names = {name: label(title_of(name), 16) for name in (first, second)}
    title = f"Who is ahead on {metric_title(metric)}, and by how much"
    known = frame.dropna(subset=["percent"])
    if known.empty:
        return nothing(title, f"No dataset has scores of both {names[first]} and {names[second]}.")
    figure = new_figure(5.2, 1.25 + 0.25 * len(known), title)
    axes = figure.subplots()
    span = float(known["percent"].max()) or 1.0
    for row, (winner, percent) in enumerate(zip(known["winner"].astype(str), known["percent"], strict=True)):
        _signed_bar(axes, row, winner, float(percent), first, span)
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set(xlim=(-1.3 * span, 1.3 * span), ylim=(len(known) - 0.4, -0.6), xlabel="improvement over the other in %")
    axes.set_yticks(range(len(known)), [label(name, 20) for name in known["dataset"]])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.spines["left"].set_visible(False)
    axes.set_title(f"← {names[first]} ahead", loc="left", pad=4)
    axes.set_title(f"{names[second]} ahead →", loc="right", pad=4)
    return figure


def _signed_bar(axes: Axes, row: int, winner: str, percent: float, first: str, span: float) -> None:
    style = style_of(winner)
    sign = -1.0 if winner == first else 1.0
    tie = percent == 0
    if not tie:
        axes.barh(row, sign * percent, color=style.colour, edgecolor=INK, linewidth=0.6, height=0.68, hatch=style.hatch)
    axes.text(
        sign * (percent + 0.03 * span),
        row,
        "equal" if tie else f"{percent:.2f}",
        va="center_baseline",
        ha="right" if sign < 0 else "left",
        fontsize=8.5,
        color=FAINT if tie else INK,
    )
