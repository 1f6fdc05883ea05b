"""RQ2: do two techniques behave alike? Which images each does best and worst, and whether these are the same images.

Per dataset, the k best and k worst images of each technique by one metric. C is how many images two such sets have in
common, N = k - C how many they do not; B is for the best, W for the worst.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from scipy import stats

from octosr.study import names
from octosr.study.inputs import ScoreSet

COUNTS = ("C_B", "N_B", "C_W", "N_W")
MIN_FOR_CORRELATION = 3


@dataclass(frozen=True)
class Extremes:
    """The k first images of one technique in one order.

    Attributes:
        images: the k images. Equal scores are put in the order of the images' names.
        tied: how many images share the score at the cut although not all of them are within it; 0 where the cut is
            clear. With a tie at the cut another choice would have been as good.
    """

    images: tuple[str, ...]
    tied: int


def extremes(values: pd.Series, k: int, *, largest: bool) -> Extremes:
    """The k images with the largest (or smallest) values.

    Args:
        values: image -> score, no NaN.
        k: how many.
        largest: from the large end.

    Raises:
        ValueError: there are fewer than k images.

    >>> extremes(pd.Series({"a": 3.0, "b": 1.0, "c": 1.0}), 2, largest=True)
    Extremes(images=('a', 'b'), tied=2)
    """
    if not 1 <= k <= len(values):
        raise ValueError(f"There is no top {k} of {len(values)} images.")
    ordered = values.sort_index(kind="stable").sort_values(ascending=not largest, kind="stable")
    cut = ordered.iloc[k - 1]
    equal = int((ordered == cut).sum())
    within = int((ordered.iloc[:k] == cut).sum())
    return Extremes(tuple(ordered.index[:k]), equal if equal > within else 0)


def pairs(scores: ScoreSet, metric: str, a: str, b: str) -> dict[str, pd.DataFrame]:
    """By dataset: the images that both techniques have a score for; index image, columns a and b."""
    if a == b:
        raise ValueError(f"Two different techniques are needed, but both are {a}.")
    rows = scores.of(metric)
    rows = rows[rows["technique"].isin([a, b]) & rows["value"].notna()]
    out = {}
    for dataset in names.dataset_order(rows["dataset"].unique()):
        part = rows[rows["dataset"] == dataset]
        wide = part.pivot(index="image", columns="technique", values="value").reindex(columns=[a, b]).dropna()
        if len(wide):
            out[dataset] = wide
    return out


def overlaps(paired: dict[str, pd.DataFrame], k: int, higher_is_better: bool) -> pd.DataFrame:
    """|C_B|, |N_B|, |C_W| and |N_W| per dataset.

    Args:
        paired: as :func:`pairs` gives it.
        k: size of the sets; datasets with fewer images in common are left out.
        higher_is_better: the metric's direction.

    Returns:
        Index dataset; columns ``C_B, N_B, C_W, N_W``, ``images`` (number of pairs), ``ties_best`` and ``ties_worst``
        (images that share the score at a cut, see :class:`Extremes`; the larger of both techniques), and
        ``overlapping``: there are fewer than 2k images, so best and worst sets share images.
    """
    rows = {}
    for dataset, wide in paired.items():
        if len(wide) < k:
            continue
        best = [extremes(wide[c], k, largest=higher_is_better) for c in wide.columns]
        worst = [extremes(wide[c], k, largest=not higher_is_better) for c in wide.columns]
        c_b = len(set(best[0].images) & set(best[1].images))
        c_w = len(set(worst[0].images) & set(worst[1].images))
        ties = [max(s.tied for s in sets) for sets in (best, worst)]
        rows[dataset] = (c_b, k - c_b, c_w, k - c_w, len(wide), *ties, len(wide) < 2 * k)
    columns = [*COUNTS, "images", "ties_best", "ties_worst", "overlapping"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


@dataclass(frozen=True)
class Correlation:
    """A rank correlation with its two-sided p value; None where it is not defined or there are too few values."""

    value: float | None
    p: float | None
    n: int


def kendall(x: pd.Series, y: pd.Series) -> Correlation:
    """Kendall's tau-b of two equally long series.

    >>> kendall(pd.Series([1, 2, 3, 4]), pd.Series([1, 2, 3, 4])).value
    1.0
    """
    return _correlation(stats.kendalltau, x, y)


def spearman(x: pd.Series, y: pd.Series) -> Correlation:
    """Spearman's rank correlation of two equally long series."""
    return _correlation(stats.spearmanr, x, y)


def _correlation(test: object, x: pd.Series, y: pd.Series) -> Correlation:
    if len(x) < MIN_FOR_CORRELATION or x.nunique() < 2 or y.nunique() < 2:
        return Correlation(None, None, len(x))
    result = test(x.to_numpy(), y.to_numpy())  # type: ignore[operator]
    return Correlation(float(result.statistic), float(result.pvalue), len(x))


def overlap_correlation(counts: pd.DataFrame) -> Correlation:
    """Kendall's tau-b of (|C_W|, |C_B|) over datasets, as the study computes it.

    It says whether datasets with much overlap at the top have much at the bottom, not whether the two techniques agree.
    For (|N_W|, |N_B|) it is the same number, as N = k - C.
    """
    return kendall(counts["C_W"], counts["C_B"])


def per_image(paired: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Agreement of the two techniques over the images of each dataset, which does answer the question.

    Returns:
        Index dataset; columns ``tau``, ``tau_p``, ``spearman``, ``spearman_p`` (NaN where undefined), ``images``.
    """
    rows = {}
    for dataset, wide in paired.items():
        a, b = (wide[c] for c in wide.columns)
        tau, rho = kendall(a, b), spearman(a, b)
        rows[dataset] = (tau.value, tau.p, rho.value, rho.p, len(wide))
    columns = ["tau", "tau_p", "spearman", "spearman_p", "images"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype(dict.fromkeys(columns[:4], float))


def best_and_worst_images(paired: dict[str, pd.DataFrame], higher_is_better: bool) -> pd.DataFrame:
    """The best and the worst scored image of both techniques together, per dataset.

    Returns:
        Index dataset; columns ``best_image``, ``best_technique``, ``best_value``, and the same with ``worst``.
    """
    rows = {}
    for dataset, wide in paired.items():
        values = wide.stack()
        best, worst = values.idxmax(), values.idxmin()
        best, worst = (best, worst) if higher_is_better else (worst, best)
        rows[dataset] = (*best, values[best], *worst, values[worst])
    fields = [f"{which}_{what}" for which in ("best", "worst") for what in ("image", "technique", "value")]
    return pd.DataFrame.from_dict(rows, orient="index", columns=fields)


def sharpness(scores: ScoreSet, extreme: pd.DataFrame, a: str, b: str, column: str = "rms_contrast") -> pd.DataFrame:
    """RMS contrast of the best and the worst image of each dataset under both techniques.

    The study calls it "maximum overall contrast"; it is the standard deviation of all grey values, so it measures
    neither edges nor detail.

    Args:
        scores: holds the column, or does not.
        extreme: as :func:`best_and_worst_images` gives it.
        a: one technique.
        b: the other one.
        column: the metric's name.

    Returns:
        Columns ``dataset``, ``which`` (best or worst), ``image``, a and b; NaN where not available.
    """
    rows = scores.of(column)
    rows = rows[rows["technique"].isin([a, b])]
    known = rows.set_index(["technique", "dataset", "image"])["value"].to_dict()
    out = []
    for dataset, row in extreme.iterrows():
        for which in ("best", "worst"):
            image = row[f"{which}_image"]
            out.append((dataset, which, image, *(known.get((t, dataset, image), float("nan")) for t in (a, b))))
    return pd.DataFrame(out, columns=["dataset", "which", "image", a, b])
