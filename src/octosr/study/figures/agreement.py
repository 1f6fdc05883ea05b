"""Whether two metrics agree: every image as a point, a panel a technique."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from octosr.study.figures.style import MINUS, PALE, RHO, colour_of, drawn, label, new_figure, nothing
from octosr.study.names import metric_title, technique_order
from octosr.study.names import title as title_of

_COLUMNS = 2


@drawn
def agreement(frame: pd.DataFrame, *, x: str, y: str) -> Figure:
    """Two metrics of the same images, with Spearman's rank correlation of each technique and of all together.

    Args:
        frame: one row an image; columns `x`, `y` and ``technique``.
        x: metric on the horizontal axis.
        y: metric on the vertical axis.
    """
    title = f"{metric_title(x)} against {metric_title(y)}"
    if x not in frame.columns or y not in frame.columns:
        return nothing(title, "No image has a score of both metrics yet.")
    finite = np.isfinite(frame[[x, y]].to_numpy(dtype=float)).all(axis=1)
    known = frame[finite]
    if known.empty:
        return nothing(title, "No image has a score of both metrics yet.")
    techniques = technique_order(known["technique"])
    columns = min(_COLUMNS, len(techniques))
    rows = -(-len(techniques) // columns)
    figure = new_figure(5.6 if columns > 1 else 4.0, 0.8 + 2.0 * rows, f"{title} (all images: {_rho(known, x, y)})")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    size = 6 if len(known) > 500 else 20
    for axes, name in zip(grid, techniques, strict=False):
        own = known["technique"] == name
        # Grey: the images of all the others, for comparison.
        for part, colour, order in ((known[~own], PALE, 1), (known[own], colour_of(name), 2)):
            axes.scatter(
                part[x],
                part[y],
                s=size,
                color=colour,
                alpha=0.55 if order == 2 else 1.0,
                linewidths=0,
                zorder=order,
                rasterized=True,
            )
        axes.set_title(f"{label(title_of(name), 14)}   {_rho(known[own], x, y)}", loc="left", pad=3)
        axes.grid()
    for number in range(len(techniques), len(grid)):
        grid[number].set_visible(False)
        grid[number - columns].tick_params(labelbottom=True)
    figure.supxlabel(label(metric_title(x), 40), fontsize=9)
    figure.supylabel(label(metric_title(y), 40), fontsize=9)
    return figure


def _rho(frame: pd.DataFrame, x: str, y: str) -> str:
    a, b = frame[x].to_numpy(dtype=float), frame[y].to_numpy(dtype=float)
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return f"n = {len(a)}"
    rho = float(spearmanr(a, b).statistic)
    return f"{RHO} = {rho:.2f}".replace("-", MINUS) + f", n = {len(a)}"
