"""The published means beside ours, a panel a technique."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from octosr.study.figures.style import FAINT, INK, colour_of, drawn, label, new_figure, nothing, style_of
from octosr.study.names import dataset_order, metric_title, technique_order
from octosr.study.names import title as title_of

_COLUMNS = 2


@drawn
def published_against_ours(frame: pd.DataFrame, *, metric: str) -> Figure:
    """Each dataset's published mean (open) and ours (filled), joined by a line.

    Args:
        frame: columns ``technique``, ``dataset``, ``published`` and ``ours``; NaN is not available.
        metric: its name.
    """
    title = f"{metric_title(metric)}: published means and ours"
    known = frame.dropna(subset=["published", "ours"])
    if known.empty:
        return nothing(title, "No technique and dataset has both a published mean and one of ours.")
    techniques = technique_order(known["technique"])
    datasets = dataset_order(known["dataset"])
    columns = min(_COLUMNS, len(techniques))
    rows = -(-len(techniques) // columns)
    figure = new_figure(5.6 if columns > 1 else 4.2, 1.2 + rows * (0.45 + 0.2 * len(datasets)), title)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, name in zip(grid, techniques, strict=False):
        part = known[known["technique"] == name].set_index("dataset")
        y = np.array([datasets.index(str(dataset)) for dataset in part.index])
        published, ours = part["published"].to_numpy(dtype=float), part["ours"].to_numpy(dtype=float)
        axes.hlines(y, published, ours, color=FAINT, linewidth=1.0, zorder=1)
        look = {"marker": style_of(name).marker, "s": 34, "linewidths": 1.1, "zorder": 2}
        axes.scatter(published, y, facecolors="white", edgecolors=colour_of(name), **look)
        axes.scatter(ours, y, facecolors=colour_of(name), edgecolors=INK, **(look | {"linewidths": 0.6}))
        axes.set(ylim=(len(datasets) - 0.4, -0.6))
        axes.set_yticks(range(len(datasets)), [label(dataset, 20) for dataset in datasets])
        axes.tick_params(axis="y", length=0)
        axes.set_title(label(title_of(name), 16), loc="left", pad=3)
        axes.grid()
    for number in range(len(techniques), len(grid)):
        grid[number].set_visible(False)
        grid[number - columns].tick_params(labelbottom=True)
    handles = [
        Line2D([], [], linestyle="none", marker="o", markeredgecolor=INK, markerfacecolor=fill, label=text)
        for text, fill in (("published", "white"), ("ours", INK))
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, handletextpad=0.3)
    return figure
