"""Checks of the values: saturation, images no metric can judge, results that are there twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from octosr.study import names
from octosr.study.analysis import Analysis
from octosr.study.document import Gate

BOUNDS = {"maniqa": (0.0, 1.0), "maniqa_study": (0.0, 1.0), "ssim": (-1.0, 1.0), "psnr": (None, np.inf)}
MIN_BLOCKS = 37
"""NIQE's 36 x 36 covariance of block features is singular with fewer blocks than this."""
LISTED = 5


def saturation_gate(analysis: Analysis) -> Gate:
    """Are there scores at a metric's bound, or many identical ones within a cell?"""
    question = "Are scores spread out, rather than identical or at the end of the metric's scale?"
    if not analysis.metrics:
        return Gate("gate-saturation", question, "unknown", "There are no scores.")
    found, total = [], 0
    for metric in analysis.metrics:
        rows = analysis.scores.of(metric)
        rows = rows[rows["value"].notna()]
        total += len(rows)
        low, high = BOUNDS.get(metric, (None, None))
        at_bound = int((rows["value"].isin([b for b in (low, high) if b is not None])).sum())
        same = int(rows.duplicated(["technique", "dataset", "value"], keep=False).sum())
        if at_bound:
            found.append(f"{at_bound} of {len(rows)} {names.metric_title(metric)} scores are at a bound of its scale")
        if same:
            found.append(f"{same} of {len(rows)} {names.metric_title(metric)} scores are repeated within their cell")
    if found:
        return Gate("gate-saturation", question, "warn", "; ".join(found) + ".")
    return Gate("gate-saturation", question, "pass", f"None of {total} scores is at a bound or repeated in its cell.")


def degenerate_gate(analysis: Analysis) -> Gate:
    """Are there images that a metric cannot judge, or judges from too little?"""
    question = "Can every image be judged: large enough for NIQE, not constant, with a score from every metric?"
    scores = analysis.scores
    found, unknown = [], []
    for metric in (m for m in analysis.metrics if not scores.compares(m)):
        rows = scores.of(metric)
        gaps = rows[rows["value"].isna()]
        if len(gaps):
            found.append(f"{names.metric_title(metric)} is not available for {_some(gaps)}")
    for metric in (m for m in analysis.metrics if m.split("_")[0] == "niqe"):
        blocks = scores.details[scores.details["metric"] == f"{metric}:blocks"]
        few = blocks[blocks["value"] < MIN_BLOCKS]
        if len(few):
            found.append(f"{names.metric_title(metric)} saw fewer than {MIN_BLOCKS} blocks in {_some(few)}")
        if blocks.empty:
            unknown.append(f"how many blocks {names.metric_title(metric)} saw is not in the tables")
    contrast = scores.of("rms_contrast")
    flat = contrast[contrast["value"] == 0]
    if len(flat):
        found.append(f"constant images: {_some(flat)}")
    if contrast["value"].notna().sum() == 0:
        unknown.append("constant images can be found only with the metric rms_contrast")
    finding = "; ".join(found + [f"not checked: {u}" for u in unknown])
    finding = (finding[:1].upper() + finding[1:] + ".") if finding else "All images could be judged by every metric."
    return Gate("gate-degenerate", question, "warn" if found else "unknown" if unknown else "pass", finding)


def duplicate_gate(analysis: Analysis) -> Gate:
    """Did two techniques deliver the same image, or one technique one image twice?"""
    question = "Is every result a result of its own, rather than a copy of another technique's or image's?"
    rows = analysis.scores.frame
    rows = rows[rows["metric"].isin(analysis.metrics) & ~names.probes(rows["technique"])]
    if rows.empty:
        return Gate("gate-duplicates", question, "unknown", "There are no scores.")
    wide = rows.pivot(index=["technique", "dataset", "image"], columns="metric", values="value").dropna()
    wide = wide.reset_index()
    values = [column for column in wide.columns if column not in ("technique", "dataset", "image")]
    across = wide[wide.duplicated(["dataset", "image", *values], keep=False)]
    within = wide[wide.duplicated(["technique", "dataset", *values], keep=False)]
    found = []
    if len(across):
        who = ", ".join(names.title(t) for t in names.technique_order(across["technique"]))
        found.append(f"{across[['dataset', 'image']].drop_duplicates().shape[0]} images have the same scores by {who}")
    if len(within):
        found.append(f"within a technique the same scores stand at several images: {_some(within)}")
    by = f"all of {', '.join(names.metric_title(m) for m in names.metric_order(values))}"
    if found:
        return Gate("gate-duplicates", question, "warn", f"By {by}: {'; '.join(found)}.")
    return Gate("gate-duplicates", question, "pass", f"No two of {len(wide)} results agree in {by}.")


def _some(rows: pd.DataFrame) -> str:
    """The number of images, and the first few by name."""
    listed = [
        f"{names.title(t)}/{d}/{i}" for t, d, i in rows[["technique", "dataset", "image"]].head(LISTED).to_numpy()
    ]
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    return f"{len(rows)} images ({', '.join(listed)}{more})"
