"""What the figures draw: their artists hold the right values, in the right colours, whatever is missing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.stats import spearmanr

from octosr.catalog import DATASETS
from octosr.study import figures
from octosr.study.figures.style import DASH, STYLES, label

HOSTILE = "x $\\frac{1}{$ <img src=x onerror=alert(1)>\n_^&%"
MEANS = pd.DataFrame(
    {"dan": [15.25, 16.5, 17.0], "bicubic": [18.0, 16.125, 17.0], HOSTILE: [np.nan, 20.0, 17.0]},
    index=["condoaerial", "catsfaces", "isaid"],
)


def tidy(techniques: list[str], datasets: list[str], count: int = 30) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = [
        (t, d, "Other", f"im{i}", f"im{i}.png", "niqe", 15.0 + n + generator.standard_normal())
        for n, t in enumerate(techniques)
        for d in datasets
        for i in range(count)
    ]
    return pd.DataFrame(rows, columns=["technique", "dataset", "domain", "image", "file", "metric", "value"])


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_heatmap_writes_every_mean_and_frames_the_best_of_each_row() -> None:
    figure = figures.heatmap(MEANS, title="Means", higher_is_better=False, digits=2)
    numbers = texts(figure)
    assert numbers == ["15.25", "18.00", DASH, "16.50", "16.12", "20.00", "17.00", "17.00", "17.00"]
    frames = [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and not p.get_fill()]
    assert sorted((int(p.get_y()), int(p.get_x())) for p in frames) == [(0, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    other = figures.heatmap(MEANS, title="Means", higher_is_better=True, digits=2)
    frames = [p for p in other.axes[0].patches if isinstance(p, Rectangle) and not p.get_fill()]
    assert sorted((int(p.get_y()), int(p.get_x())) for p in frames)[:2] == [(0, 1), (1, 2)]


def test_heatmap_draws_a_line_where_the_domain_changes() -> None:
    figure = figures.heatmap(MEANS, title="Means", higher_is_better=False)
    assert [line.get_ydata()[0] for line in figure.axes[0].lines] == [1, 2]  # Aerial | Fauna | Satellite


def test_distributions_have_a_panel_a_dataset_and_all_the_points_in_the_colours_of_their_techniques() -> None:
    frame = tidy(["bicubic", "dan"], ["isaid", "ships", "mine"])
    figure = figures.distributions(frame, metric="niqe", higher_is_better=False)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["ships", "isaid", "mine"]  # the catalog's order
    assert [t.get_text() for t in shown[0].get_yticklabels()] == ["DAN", "Bicubic"]
    cloud = shown[1].collections[0]
    points = cloud.get_offsets()
    values = frame[frame["dataset"] == "isaid"]
    expected = pd.concat([values[values["technique"] == t]["value"] for t in ("dan", "bicubic")])
    np.testing.assert_allclose(points[:, 0], expected)
    assert set(np.round(points[:, 1]).astype(int)) == {0, 1}
    assert {to_hex(c) for c in cloud.get_facecolor()[:30]} == {STYLES["dan"].colour.lower()}
    assert cloud.get_rasterized()
    medians = [line.get_xdata()[0] for line in shown[1].lines if line.get_linewidth() == 2.0]
    np.testing.assert_allclose(medians, [expected[:30].median(), expected[30:].median()])


def test_a_value_far_out_is_counted_at_the_edge_and_does_not_squash_the_rest() -> None:
    frame = tidy(["dan"], ["isaid"], 1000)
    frame.loc[3, "value"] = 400.0
    figure = figures.distributions(frame, metric="niqe", higher_is_better=False)
    assert figure.axes[0].get_xlim()[1] < 25
    assert [t for t in texts(figure) if t.startswith("1 ")]
    assert len(figure.axes[0].collections[0].get_offsets()) == 999


def test_rank_chart_draws_the_ranks_and_their_means() -> None:
    ranks = MEANS[["dan", "bicubic"]].rank(axis=1)
    axes = figures.rank_chart(ranks, title="Ranks").axes[0]
    lines = {line.get_label(): line for line in axes.lines if not str(line.get_label()).startswith("_")}
    np.testing.assert_allclose(lines["DAN"].get_xdata(), [1, 2, 1.5])
    assert lines["DAN"].get_color() == STYLES["dan"].colour
    assert lines["DAN"].get_marker() != lines["Bicubic"].get_marker()
    means = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "None"]
    assert means == [1.5, 1.5]
    assert len({float(line.get_ydata()[0]) for line in axes.lines if line.get_linestyle() == "None"}) == 2  # both seen


def test_cd_diagram_joins_what_does_not_differ() -> None:
    names = ["apa", "dan", "moesr"]
    p = pd.DataFrame([[1.0, 0.6, 0.01], [0.6, 1.0, 0.02], [0.01, 0.02, 1.0]], index=names, columns=names)
    axes = figures.cd_diagram(pd.Series([2.9, 2.0, 1.1], index=names), p, 0.9, title="CD").axes[0]
    bars = [line for line in axes.lines if line.get_linewidth() == 3.5]
    assert [sorted(bar.get_xdata()) for bar in bars] == [[2.0, 2.9]]
    labels = {t.get_text().strip() for t in axes.texts}
    assert labels == {"MoESR  1.10", "DAN  2.00", "APA  2.90", "CD = 0.90"}
    critical = next(line for line in axes.lines if line.get_marker() == "|")
    np.testing.assert_allclose(critical.get_xdata(), [1.1, 2.0])
    strict = figures.cd_diagram(pd.Series([2.9, 2.0, 1.1], index=names), p, None, title="CD", alpha=0.7).axes[0]
    assert not [line for line in strict.lines if line.get_linewidth() == 3.5]
    assert "all techniques differ" in strict.get_xlabel()


def test_agreement_states_spearman_of_each_technique_and_of_all() -> None:
    generator = np.random.default_rng(1)
    wide = pd.DataFrame({"technique": ["dan"] * 40 + ["apa"] * 40, "niqe": generator.normal(size=80)})
    wide["maniqa"] = -wide["niqe"] + generator.normal(size=80)
    wide.loc[0, "maniqa"] = np.nan
    figure = figures.agreement(wide, x="niqe", y="maniqa")
    known = wide.dropna()
    for axes, name in zip(figure.axes, ("apa", "dan"), strict=True):
        own = known[known["technique"] == name]
        rho = spearmanr(own["niqe"], own["maniqa"]).statistic
        assert f"{rho:.2f}".replace("-", "\N{MINUS SIGN}") in axes.get_title(loc="left")
        assert f"n = {len(own)}" in axes.get_title(loc="left")
        np.testing.assert_allclose(axes.collections[-1].get_offsets(), own[["niqe", "maniqa"]])
    assert f"{spearmanr(known['niqe'], known['maniqa']).statistic:.2f}"[1:] in figure.get_suptitle()


def test_overlap_bars_have_the_lengths_of_the_counts() -> None:
    counts = pd.DataFrame({"C_B": [7, 0], "N_B": [3, 10], "C_W": [4, 9], "N_W": [6, 1]}, index=["isaid", "ships"])
    figure = figures.overlap_bars(counts, pair=("moesr", "dan"), k=10)
    best, worst = figure.axes
    assert [p.get_width() for p in best.patches] == [7, 0, 3, 10]
    assert [p.get_width() for p in worst.patches] == [4, 9, 6, 1]
    assert [t.get_text() for t in best.texts] == ["7", "0"]
    assert best.get_xlabel() == "images, mean 3.50 in common"
    assert "MoESR" in figure.get_suptitle()


def test_improvement_bars_point_to_the_winner() -> None:
    frame = pd.DataFrame({"dataset": ["isaid", "ships", "mine"], "winner": ["apa", "moesr", "apa"]})
    frame["percent"] = [4.5, 2.25, 0.0]
    axes = figures.improvement_bars(frame, pair=("apa", "moesr"), metric="niqe").axes[0]
    assert [p.get_width() for p in axes.patches] == [-4.5, 2.25]
    assert [to_hex(p.get_facecolor()) for p in axes.patches] == [STYLES[n].colour.lower() for n in ("apa", "moesr")]
    assert [t.get_text() for t in axes.texts] == ["4.50", "2.25", "equal"]


def test_win_tie_loss_writes_the_three_counts() -> None:
    matrix = pd.DataFrame([[None, (9, 0, 5)], [(5, 0, 9), None]], index=["dan", "apa"], columns=["dan", "apa"])
    assert texts(figures.win_tie_loss(matrix, title="W")) == ["", f"9{DASH}0{DASH}5", f"5{DASH}0{DASH}9", ""]


def test_published_against_ours_puts_both_on_the_row_of_the_dataset() -> None:
    frame = pd.DataFrame({"technique": ["dan", "dan"], "dataset": ["isaid", "ships"]})
    frame["published"], frame["ours"] = [14.6, 19.9], [15.0, np.nan]
    axes = figures.published_against_ours(frame, metric="niqe").axes[0]
    open_points, filled = axes.collections[1:]
    np.testing.assert_allclose(open_points.get_offsets(), [[14.6, 0]])
    np.testing.assert_allclose(filled.get_offsets(), [[15.0, 0]])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["isaid"]


EMPTY: list[Callable[[], Figure]] = [
    lambda: figures.heatmap(pd.DataFrame(), title="T", higher_is_better=True),
    lambda: figures.heatmap(MEANS * np.nan, title="T", higher_is_better=True),
    lambda: figures.distributions(tidy([], []), metric="niqe", higher_is_better=True),
    lambda: figures.rank_chart(pd.DataFrame(), title="T"),
    lambda: figures.cd_diagram(pd.Series({"dan": 1.0}), pd.DataFrame({"dan": [1.0]}, index=["dan"]), None, title="T"),
    lambda: figures.agreement(pd.DataFrame({"technique": []}), x="a", y="b"),
    lambda: figures.overlap_bars(pd.DataFrame(columns=["C_B", "N_B", "C_W", "N_W"]), pair=("a", "b"), k=3),
    lambda: figures.improvement_bars(pd.DataFrame(columns=["dataset", "winner", "percent"]), pair="ab", metric="niqe"),
    lambda: figures.win_tie_loss(pd.DataFrame([[None]], index=["dan"], columns=["dan"]), title="T"),
    lambda: figures.published_against_ours(
        pd.DataFrame(columns=["technique", "dataset", "published", "ours"]), metric="niqe"
    ),
]


@pytest.mark.parametrize("draw", EMPTY)
def test_nothing_to_draw_is_said_in_a_sentence(draw: Callable[[], Figure]) -> None:
    figure = draw()
    (sentence,) = texts(figure)
    assert sentence.startswith("No")
    assert sentence.endswith(".")
    assert figures.to_svg(figure).startswith(b"<?xml")


ONE: list[Callable[[], Figure]] = [
    lambda: figures.heatmap(MEANS[[HOSTILE]].iloc[1:2], title=HOSTILE, higher_is_better=True),
    lambda: figures.distributions(tidy([HOSTILE], [HOSTILE], 1), metric=HOSTILE, higher_is_better=True),
    lambda: figures.rank_chart(pd.DataFrame({HOSTILE: [1.0]}, index=[HOSTILE]), title=HOSTILE),
    lambda: figures.agreement(
        pd.DataFrame({"technique": [HOSTILE] * 3, HOSTILE: [1, 2, 3], "b": [3, 2, 4]}), x=HOSTILE, y="b"
    ),
    lambda: figures.overlap_bars(
        pd.DataFrame({"C_B": [1], "N_B": [0], "C_W": [0], "N_W": [1]}, index=[HOSTILE]), pair=(HOSTILE, "b"), k=1
    ),
]


@pytest.mark.parametrize("draw", ONE)
def test_one_of_everything_under_a_hostile_name_is_drawn(draw: Callable[[], Figure]) -> None:
    svg = figures.to_svg(draw())
    tags = {element.tag.rsplit("}", 1)[-1] for element in ElementTree.fromstring(svg).iter()}
    assert "img" not in tags
    assert "script" not in tags


def test_the_same_figure_gives_the_same_bytes_from_many_threads() -> None:
    def draw(_: int) -> tuple[bytes, bytes]:
        figure = figures.distributions(tidy(["dan", "apa"], ["isaid"]), metric="niqe", higher_is_better=False)
        return figures.to_svg(figure), figures.to_png(figure, dpi=50)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(draw, range(8)))
    assert len(set(made)) == 1
    svg, png = made[0]
    assert b"dc:date" not in svg
    assert png.startswith(b"\x89PNG")


def test_the_users_own_settings_are_neither_used_nor_changed() -> None:
    def heatmap() -> bytes:
        return figures.to_svg(figures.heatmap(MEANS, title="Means", higher_is_better=False))

    expected = heatmap()
    own: dict[str, Any] = {"font.size": 30, "svg.fonttype": "none", "axes.facecolor": "red"}
    with mpl.rc_context(own):
        assert heatmap() == expected
        assert mpl.rcParams["font.size"] == 30
        assert mpl.rcParams["svg.hashsalt"] is None


def test_every_technique_has_its_own_look() -> None:
    looks = [(style.colour, style.marker) for style in STYLES.values()]
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == len(looks)
    assert figures.colour_of("somebodys") == figures.colour_of("somebodys") != "#000000"
    assert figures.style_of("somebodys").marker not in {marker for _, marker in looks}
    assert len(DATASETS) == 14


def test_labels_are_one_line_and_short() -> None:
    assert label("a\nb\x00c\u202ed") == "a b c d"
    assert len(label("x" * 100)) == 22
