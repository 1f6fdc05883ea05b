"""Which images of a dataset are worth embedding: the best, the worst, and those that techniques disagree on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def quality_ranks(scores: Scores, higher_is_better: bool | None) -> Scores:
    """Rank of every image within its technique, as a fraction: 0 the best, 1 the worst; ties share the mean rank.

    Args:
        scores: (techniques, images); NaN where there is no score.
        higher_is_better: the metric's direction; unknown counts as higher.

    Returns:
        The same shape, NaN where there is no score.

    >>> quality_ranks(np.array([[3.0, 1.0, 2.0, np.nan]]), higher_is_better=False)
    array([[1. , 0. , 0.5, nan]])
    """
    from scipy.stats import rankdata

    signed = scores if higher_is_better is False else -scores
    ranks = rankdata(signed, method="average", axis=1, nan_policy="omit") - 1
    count = np.sum(~np.isnan(scores), axis=1, keepdims=True)
    fractions: Scores = ranks / np.maximum(count - 1, 1)
    return np.where(np.isnan(scores), np.nan, fractions)


def picks(scores: Scores, directions: list[bool | None]) -> Iterator[int]:
    """All images, the most telling first.

    For each metric in turn: the best on average over the techniques, the worst, and the one whose ranks differ most
    between two techniques; then the second of each, and so on. Images without scores come last, in their order.

    Args:
        scores: (metrics, techniques, images); NaN where there is no score.
        directions: whether higher is better, a metric each.
    """
    orders: list[list[int]] = []
    for values, higher in zip(scores, directions, strict=True):
        if values.size == 0 or np.isnan(values).all():
            continue
        ranks = quality_ranks(values, higher)
        scored = ~np.isnan(ranks).all(axis=0)
        mean = np.full(ranks.shape[1], np.nan)
        mean[scored] = np.nanmean(ranks[:, scored], axis=0)
        spread = np.full(ranks.shape[1], np.nan)
        spread[scored] = np.nanmax(ranks[:, scored], axis=0) - np.nanmin(ranks[:, scored], axis=0)
        orders += [_sorted(mean), _sorted(-mean), _sorted(-spread)]
    seen: set[int] = set()
    for depth in range(scores.shape[2]):
        for order in orders:
            if order[depth] not in seen:
                seen.add(order[depth])
                yield order[depth]
    yield from (k for k in range(scores.shape[2]) if k not in seen)


def interleaved(paired: list[int], generated: list[list[int]]) -> list[int]:
    """One order of a dataset's images: after every three of LR images, one sample of each generator.

    >>> interleaved([1, 2, 3, 4], [[8, 9]])
    [1, 2, 3, 8, 4, 9]
    """
    order: list[int] = []
    longest = max([-(-len(paired) // 3), *map(len, generated)], default=0)
    for k in range(longest):
        order += paired[3 * k : 3 * k + 3]
        order += [samples[k] for samples in generated if k < len(samples)]
    return order


def _sorted(keys: Scores) -> list[int]:
    """Indices in rising order, NaN last, ties in their order."""
    return [int(k) for k in np.argsort(keys, kind="stable")]
