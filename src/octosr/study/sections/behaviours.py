"""RQ2: do two techniques behave alike?"""

from __future__ import annotations

import pandas as pd

from octosr.study import behaviours, names
from octosr.study.analysis import Analysis
from octosr.study.document import Section, Table
from octosr.study.sections.common import figure, p_value, plural


def behaviour(analysis: Analysis) -> Section:
    """Sets of best and worst images of two techniques, Kendall's tau, agreement per image, extremes, sharpness."""
    section = Section("rq2", "RQ2: do two techniques behave alike?")
    metric, pair = analysis.behaviour_metric, analysis.pair
    if metric is None or pair is None:
        section.paragraphs.append("No two techniques have scores of the same images, so there is nothing to compare.")
        return section
    higher, k = analysis.higher(metric), analysis.options.k
    a, b = (names.title(t) for t in pair)
    section.title = f"RQ2: do {a} and {b} behave alike?"
    paired = behaviours.pairs(analysis.scores, metric, *pair)
    if not paired:
        section.paragraphs.append(f"{a} and {b} have no image in common that {names.metric_title(metric)} scored.")
        return section
    section.paragraphs.append(
        f"By {names.metric_title(metric)}: on each dataset the {k} best and the {k} worst images of each technique; C "
        f"is how many the two sets have in common, N = {k} - C; B for best, W for worst."
    )
    counts = behaviours.overlaps(paired, k, higher)
    _overlaps(section, counts, paired, pair, k)
    single = behaviours.per_image(paired)
    section.paragraphs.append(per_image_verdict(single, a, b))
    section.tables.append(
        Table(
            "rq2-per-image",
            f"Rank correlation of {a} and {b} over the images of each dataset",
            single.rename_axis("dataset").reset_index(),
            caption="Kendall's tau-b and Spearman's rho with two-sided p values. 1: both techniques rank the images in "
            "the same order.",
            digits={"tau": 3, "tau_p": 4, "spearman": 3, "spearman_p": 4},
        )
    )
    _extremes(section, analysis, paired, higher, pair)
    return section


def _overlaps(
    section: Section, counts: pd.DataFrame, paired: dict[str, pd.DataFrame], pair: tuple[str, str], k: int
) -> None:
    a, b = (names.title(t) for t in pair)
    left_out = [d for d in paired if d not in counts.index]
    if left_out:
        section.paragraphs.append(f"Fewer than {k} images in common, so without sets: {', '.join(left_out)}.")
    if counts.empty:
        return
    section.paragraphs.append(tau_verdict(behaviours.overlap_correlation(counts)))
    ties = int(((counts["ties_best"] > 0) | (counts["ties_worst"] > 0)).sum())
    cut = (
        f"On {plural(ties, 'dataset')} images share the score at the cut: there they are chosen by their names."
        if ties
        else "No images share the score at a cut."
    )
    both = int(counts["overlapping"].sum())
    note = (
        f" On {plural(both, 'dataset')} there are fewer than {2 * k} images, so best and worst overlap." if both else ""
    )
    section.paragraphs.append(
        "On average "
        + ", ".join(f"|{name}| is {counts[name].mean():.2f}" for name in behaviours.COUNTS)
        + f" of {k} (mean of {plural(len(counts), 'dataset')})."
    )
    frame = counts.rename_axis("dataset").reset_index()
    section.tables.append(
        Table(
            "rq2-sets",
            f"Best and worst {k} images that {a} and {b} have in common",
            frame,
            caption=f"{cut}{note} ties_best, ties_worst: images that share the score at the cut.",
        )
    )
    section.figures.append(
        figure(
            "rq2-overlap",
            f"Best and worst {k} images in common",
            "overlap_bars",
            counts[[*behaviours.COUNTS]],
            pair=pair,
            k=k,
            alt=f"Bars: how many of the {k} best and worst images {a} and {b} share on each dataset.",
        )
    )


def tau_verdict(tau: behaviours.Correlation) -> str:
    """Kendall's tau of the set sizes, with what it does and does not say."""
    if tau.value is None:
        return (
            f"Kendall's tau of |C_W| and |C_B| cannot be computed: {plural(tau.n, 'dataset')}, or counts that are all "
            "the same."
        )
    significant = "significant" if tau.p is not None and tau.p <= 0.05 else "not significant"
    return (
        f"Kendall's tau of |C_W| and |C_B| over {plural(tau.n, 'dataset')} is {tau.value:.6f} ({p_value(tau.p)}, "
        f"{significant} at 5 %); for |N_W| and |N_B| it is the same number. It relates the overlap at the bottom to "
        "the overlap at the top, dataset by dataset; whether the two techniques agree is answered by the "
        "correlation over images below."
    )


def per_image_verdict(single: pd.DataFrame, a: str, b: str) -> str:
    """The answer by the correlation over images."""
    tau = single["tau"].dropna()
    if tau.empty:
        return f"{a} and {b} share too few images for a rank correlation."
    alike = "rank the images much alike" if tau.median() >= 0.5 else "rank the images differently"
    if 0.3 <= tau.median() < 0.5:
        alike = "rank the images somewhat alike"
    return (
        f"Over the images of each dataset, {a} and {b} {alike}: Kendall's tau {tau.min():.2f} to {tau.max():.2f}, "
        f"median {tau.median():.2f}, on {plural(len(tau), 'dataset')}."
    )


def _extremes(
    section: Section, analysis: Analysis, paired: dict[str, pd.DataFrame], higher: bool, pair: tuple[str, str]
) -> None:
    extreme = behaviours.best_and_worst_images(paired, higher)
    shown = extreme.copy()
    for column in ("best_technique", "worst_technique"):
        shown[column] = shown[column].map(names.title)
    section.tables.append(
        Table(
            "rq2-extremes",
            "Best and worst scored image of both techniques",
            shown.rename_axis("dataset").reset_index(),
            digits={"best_value": 4, "worst_value": 4},
        )
    )
    sharp = behaviours.sharpness(analysis.scores, extreme, *pair)
    section.tables.append(
        Table(
            "rq2-sharpness",
            "RMS contrast of these images under both techniques",
            sharp.rename(columns=names.titles(pair)),
            caption="The study calls it maximum overall contrast. It is the standard deviation of the grey values: it "
            "measures neither edges nor detail."
            + (
                " Not available: score the images with the metric rms_contrast."
                if sharp[[*pair]].isna().all(None)
                else ""
            ),
            digits=dict.fromkeys(names.titles(pair).values(), 3),
        )
    )
