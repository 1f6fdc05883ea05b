"""Figures that are a matrix of cells with a number in each: means, wins and losses."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from octosr.catalog import DATASETS
from octosr.study.figures.style import DASH, FAINT, INK, drawn, label, new_figure, nothing
from octosr.study.names import title as title_of


@drawn
def heatmap(means: pd.DataFrame, *, title: str, higher_is_better: bool, digits: int = 3) -> Figure:
    """Means as numbers on a grey-to-blue scale of their own in each row, the best of a row framed and bold.

    Args:
        means: index dataset, columns technique; NaN is not available.
        title: stands on top.
        higher_is_better: direction of the metric.
        digits: decimals shown; the best is found before rounding.
    """
    if means.empty or not means.notna().to_numpy().any():
        return nothing(title, "No means: no technique has scores here yet.")
    values = means.to_numpy(dtype=float)
    goodness = _within_rows(values if higher_is_better else -values)
    longest = max(len(f"{v:.{digits}f}") for v in values.ravel())
    figure, axes = _grid(means, title, cell=max(0.6, 0.095 * longest))
    blues = colormaps["Blues"]
    for row, column in np.ndindex(values.shape):
        value, shade = values[row, column], goodness[row, column]
        if np.isnan(value):
            _cell(axes, row, column, "#F2F2F2", DASH, FAINT)
            continue
        best = bool(shade == 1.0 and np.count_nonzero(~np.isnan(values[row])) > 1)
        _cell(
            axes, row, column, blues(0.05 + 0.75 * shade), f"{value:.{digits}f}", "white" if shade > 0.7 else INK, best
        )
    better = "higher" if higher_is_better else "lower"
    axes.set_xlabel(f"{better} is better; dark: best of the row,\npale: worst of the row", fontsize=8.5, color=FAINT)
    _domain_lines(axes, [str(name) for name in means.index], values.shape[1])
    return figure


@drawn
def win_tie_loss(matrix: pd.DataFrame, *, title: str) -> Figure:
    """How often the technique of the row beats, ties with and loses to that of the column.

    Args:
        matrix: index and columns technique; cells ``(wins, ties, losses)``, None or NaN on the diagonal.
        title: stands on top.
    """
    cells = [[_counts(cell) for cell in row] for row in matrix.to_numpy(dtype=object)]
    if len(cells) < 2:
        return nothing(title, "Nothing to compare: this takes two techniques with scores for the same metric.")
    figure, axes = _grid(matrix, title, cell=0.66)
    colours = colormaps["PuOr"]
    for row, line in enumerate(cells):
        for column, counts in enumerate(line):
            if counts is None or row == column:
                _cell(axes, row, column, "#F2F2F2", "", FAINT)
                continue
            wins, _, losses = counts
            balance = (wins - losses) / max(sum(counts), 1)
            text = DASH.join(f"{count:g}" for count in counts)
            _cell(axes, row, column, colours(0.5 + 0.42 * balance), text, "white" if abs(balance) > 0.75 else INK)
    axes.set_xlabel(
        f"wins{DASH}ties{DASH}losses of the row against the column\n(purple: the row wins, orange: it loses)",
        fontsize=8.5,
        color=FAINT,
    )
    return figure


def _grid(frame: pd.DataFrame, title: str, cell: float) -> tuple[Figure, Axes]:
    rows, columns = frame.shape
    names = [label(title_of(str(name)), 14) for name in frame.columns]
    turned = max(len(name) for name in names) * 0.078 > cell
    height = 1.15 + 0.27 * rows + (0.4 if turned else 0.0)
    figure = new_figure(max(1.5 + cell * columns, 3.6), height, title)
    axes = figure.subplots()
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.set_xticks(np.arange(columns) + 0.5, names, rotation=35 if turned else 0, ha="left" if turned else "center")
    axes.set_yticks(np.arange(rows) + 0.5, [label(title_of(str(name)), 20) for name in frame.index])
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure, axes


def _cell(axes: Axes, row: int, column: int, fill: object, text: str, ink: str, best: bool = False) -> None:
    axes.add_patch(Rectangle((column, row), 1, 1, facecolor=fill, edgecolor="white", linewidth=1.0))
    if best:
        axes.add_patch(
            Rectangle((column + 0.04, row + 0.07), 0.92, 0.86, fill=False, edgecolor=INK, linewidth=1.4, zorder=3)
        )
    axes.text(
        column + 0.5,
        row + 0.5,
        text,
        ha="center",
        va="center_baseline",
        color=ink,
        fontsize=8.5,
        fontweight="bold" if best else "normal",
    )


def _within_rows(values: np.ndarray) -> np.ndarray:
    """1 for the largest of a row, 0 for the smallest, linear between; 1 where all are equal."""
    filled = np.where(np.isnan(values), -np.inf, values)
    high = filled.max(axis=1, keepdims=True)
    low = np.where(np.isnan(values), np.inf, values).min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = (values - low) / (high - low)
    return np.where(values == high, 1.0, scaled)


def _domain_lines(axes: Axes, datasets: list[str], columns: int) -> None:
    """A line wherever the study's domain changes from one dataset to the next."""
    domains = [DATASETS[name].domain if name in DATASETS else "" for name in datasets]
    for row in range(1, len(domains)):
        if domains[row] != domains[row - 1]:
            axes.plot([-0.02, columns], [row, row], color=FAINT, linewidth=0.9, clip_on=False)


def _counts(cell: object) -> tuple[float, float, float] | None:
    if isinstance(cell, tuple | list) and len(cell) == 3:
        wins, ties, losses = (float(number) for number in cell)
        return wins, ties, losses
    return None
