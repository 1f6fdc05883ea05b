"""The figures of the report: frames in, a :class:`matplotlib.figure.Figure` out, without pyplot and without a window.

Each fits a phone (text stays readable when the figure is shrunk to 390 pixels), tells techniques apart by colour and by
marker or hatch, and says what is missing where there is nothing to draw.
"""

from octosr.study.figures.agreement import agreement
from octosr.study.figures.bars import improvement_bars, overlap_bars
from octosr.study.figures.distributions import distributions
from octosr.study.figures.matrix import heatmap, win_tie_loss
from octosr.study.figures.mosaic import sample_mosaic
from octosr.study.figures.published import published_against_ours
from octosr.study.figures.ranks import cd_diagram, rank_chart
from octosr.study.figures.render import to_png, to_svg
from octosr.study.figures.style import colour_of, style_of

__all__ = [
    "agreement",
    "cd_diagram",
    "colour_of",
    "distributions",
    "heatmap",
    "improvement_bars",
    "overlap_bars",
    "published_against_ours",
    "rank_chart",
    "sample_mosaic",
    "style_of",
    "to_png",
    "to_svg",
    "win_tie_loss",
]
