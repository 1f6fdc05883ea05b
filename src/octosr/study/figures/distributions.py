"""One panel a dataset, one box and all the points a technique."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from octosr.study.figures.style import BLACK, FAINT, INK, colour_of, drawn, label, new_figure, nothing
from octosr.study.names import dataset_order, metric_title, technique_order
from octosr.study.names import title as title_of

_COLUMNS = 2
_TAIL = 0.002  # of all values at each end that may fall outside the axis, where one could squash all the rest


@drawn
def distributions(frame: pd.DataFrame, *, metric: str, higher_is_better: bool) -> Figure:
    """Scores of one metric, image by image.

    Args:
        frame: a tidy frame (:mod:`octosr.study.scores_frame`) of this metric.
        metric: its name, for the axis.
        higher_is_better: its direction.

    All panels have one scale, so that datasets can be compared; values far outside it are counted at the edge.
    """
    title = f"{metric_title(metric)} of every image"
    known = frame[np.isfinite(frame["value"].to_numpy(dtype=float))]
    if known.empty:
        return nothing(title, f"No image has a score of {metric_title(metric)} yet.")
    techniques = technique_order(known["technique"])
    datasets = dataset_order(known["dataset"])
    rows = -(-len(datasets) // _COLUMNS)
    columns = min(_COLUMNS, len(datasets))
    figure = new_figure(5.6, 0.95 + rows * (0.42 + 0.19 * len(techniques)), title)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    limits = _limits(known["value"].to_numpy(dtype=float))
    for axes, dataset in zip(grid.ravel(), datasets, strict=False):
        part = known[known["dataset"] == dataset]
        groups = [part.loc[part["technique"] == name, "value"].to_numpy(dtype=float) for name in techniques]
        _panel(axes, groups, techniques, limits)
        axes.set_title(label(dataset), loc="left", pad=3)
    for axes in grid.ravel()[len(datasets) :]:
        axes.set_visible(False)
    below = {column: max(n for n in range(len(datasets)) if n % columns == column) for column in range(columns)}
    for number in below.values():  # also above an empty place
        grid.ravel()[number].tick_params(labelbottom=True)
    figure.supxlabel(f"{metric_title(metric)} ({'higher' if higher_is_better else 'lower'} is better)", fontsize=9)
    return figure


def _panel(axes: Axes, groups: list[np.ndarray], techniques: list[str], limits: tuple[float, float]) -> None:
    low, high = limits
    filled = [n for n, values in enumerate(groups) if len(values)]
    axes.set(xlim=limits, ylim=(len(techniques) - 0.4, -0.6))
    axes.set_yticks(range(len(techniques)), [label(title_of(name), 14) for name in techniques])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    if not filled:
        return
    x = np.concatenate([groups[n] for n in filled])
    y = np.concatenate([n + _spread(len(groups[n])) for n in filled])
    colours = np.concatenate([np.tile(to_rgba(colour_of(techniques[n]), 0.45), (len(groups[n]), 1)) for n in filled])
    inside = (x >= low) & (x <= high)
    # One cloud a panel and as pixels: 7,000 points as shapes would make a figure of megabytes.
    axes.scatter(x[inside], y[inside], s=5, c=colours[inside], linewidths=0, rasterized=True, zorder=1)
    boxes = axes.boxplot(
        [groups[n] for n in filled],
        positions=filled,
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"edgecolor": INK, "linewidth": 0.9, "zorder": 3},
        medianprops={"color": BLACK, "linewidth": 2.0, "zorder": 4},
        whiskerprops={"color": INK, "linewidth": 0.9, "zorder": 3},
        capprops={"color": INK, "linewidth": 0.9, "zorder": 3},
    )
    for box, n in zip(boxes["boxes"], filled, strict=True):
        box.set_facecolor(to_rgba(colour_of(techniques[n]), 0.5))
    for n in filled:
        for beyond, place, side in ((groups[n] < low, 0.005, "left"), (groups[n] > high, 0.995, "right")):
            if beyond.any():
                arrow = f"◂ {beyond.sum()}" if side == "left" else f"{beyond.sum()} ▸"
                axes.text(
                    place, n, arrow, transform=axes.get_yaxis_transform(), ha=side, va="center", fontsize=7, color=FAINT
                )


def _spread(count: int) -> np.ndarray:
    """Heights in (-0.32, 0.32) that look random and are the same each time (multiples of the golden ratio)."""
    return (np.arange(1, count + 1) * 0.6180339887498949 % 1.0 - 0.5) * 0.64


def _limits(values: np.ndarray) -> tuple[float, float]:
    inner_low, inner_high = np.quantile(values, [_TAIL, 1 - _TAIL])
    far = 0.5 * max(float(inner_high - inner_low), 1e-12)  # beyond the tail's start by more than this is left out
    kept = values[(values >= inner_low - far) & (values <= inner_high + far)]
    low, high = float(kept.min()), float(kept.max())
    margin = 0.04 * (high - low) or max(abs(high), 1.0) * 0.01
    return low - margin, high + margin
