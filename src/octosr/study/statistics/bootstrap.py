"""Confidence intervals of the means by the bootstrap (scipy), over the images of each cell."""

from __future__ import annotations

import warnings
from collections import defaultdict

import numpy as np
import pandas as pd
from scipy import stats

from octosr.study import names
from octosr.study.inputs import ScoreSet

MIN_IMAGES = 5
"""Resampling fewer images than this shows little but which images they were."""


def intervals(
    scores: ScoreSet, metric: str, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """BCa intervals (Efron 1987) of the mean of every cell.

    They tell how far the mean may move with other images of the same kind; the images of a dataset are drawn, the
    datasets and the trained weights are not.

    Args:
        scores: the scores.
        metric: which of them.
        level: confidence level.
        resamples: bootstrap resamples.
        seed: of the resampling; cells with equally many images share their draws.

    Returns:
        Columns ``dataset``, ``technique``, ``mean``, ``low``, ``high``, ``images``; low and high are NaN where there
        are too few images or infinite scores.
    """
    rows = scores.of(metric)
    rows = rows[rows["value"].notna()]
    groups = {c: g["value"].to_numpy() for c, g in rows.groupby(["dataset", "technique"], observed=True)}
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for cell, values in groups.items():
        if len(values) >= MIN_IMAGES and np.isfinite(values).all() and np.ptp(values) > 0:
            by_size[len(values)].append(cell)
    found: dict[tuple[str, str], tuple[float, float]] = {
        cell: (v[0], v[0]) for cell, v in groups.items() if len(v) >= MIN_IMAGES and (v == v[0]).all()
    }
    for size in sorted(by_size):
        cells = sorted(by_size[size])
        low, high = _bca(np.stack([groups[c] for c in cells]), level, resamples, seed)
        found.update(zip(cells, zip(low.tolist(), high.tolist(), strict=True), strict=True))
    nothing = (float("nan"), float("nan"))
    order = [(d, t) for d in names.dataset_order(rows["dataset"]) for t in names.technique_order(rows["technique"])]
    out = [(*c, groups[c].mean(), *found.get(c, nothing), len(groups[c])) for c in order if c in groups]
    return pd.DataFrame(out, columns=["dataset", "technique", "mean", "low", "high", "images"])


def _bca(values: np.ndarray, level: float, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of the means of the rows of (cells, images)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (values,),
            np.mean,
            axis=-1,
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, 4_000_000 // values.size),  # about 32 MB at once
            confidence_level=level,
            method="BCa",
            rng=np.random.default_rng(seed),
        )
    return result.confidence_interval.low, result.confidence_interval.high
