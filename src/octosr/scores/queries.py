"""Questions to a cell: what need not be scored again, and what its metrics amount to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from octosr.scores.content import Content
from octosr.scores.rows import Key, Value, definition_id, is_detail, key_of, was_looked_at
from octosr.scores.sidecar import state_of


def known(
    content: Content,
    metric: str,
    definition: Mapping[str, Value],
    details: Sequence[str] = (),
    kind: str | None = None,
) -> dict[Key, float]:
    """What need not be scored again: (image sha256, sha256 of what it was compared with) -> score.

    NaN where the metric has been tried and had no score. A score that lacks one of the detail columns is not known.

    Args:
        content: the cell.
        metric: name of the metric.
        definition: its definition now; scores of another one are not known.
        details: columns that have to be there beside the score, e.g. ``niqe:blocks``.
        kind: kind of the data now; scores of another kind are not known. None: of any.
    """
    wanted = {metric: definition_id(definition)}
    wanted |= {name: definition_id({**definition, "detail": name.split(":", 1)[1]}) for name in details}
    if any(name not in content.columns or content.columns[name].id != id_ for name, id_ in wanted.items()):
        return {}
    if kind is not None and content.described.get("kind", kind) != kind:
        return {}
    column = content.columns[metric]
    return {
        key_of(row, column): row.scores.get(metric, math.nan)
        for row in content.rows.values()
        if was_looked_at(row, metric) and (metric not in row.scores or all(was_looked_at(row, d) for d in details))
    }


def summary(content: Content) -> pd.DataFrame:
    """By metric (not by detail).

    Returns:
        ``mean`` over the images that have a score, their number ``n``, ``higher_is_better``, and ``state``:
        ``scored``, ``partly scored``, ``not available`` or ``not applicable``.
    """
    metrics = {m: v for m, v in content.described.get("metrics", {}).items() if not is_detail(m)}
    states = {m: state_of(v, len(content.rows)) for m, v in metrics.items()}
    frame = {
        "mean": pd.Series({m: _number(v["mean"]) for m, v in metrics.items()}, dtype="float64"),
        "n": pd.Series({m: v["n"] for m, v in metrics.items()}, dtype="int64"),
        "higher_is_better": pd.Series({m: v["higher_is_better"] for m, v in metrics.items()}, dtype=object),
        "state": pd.Series(states, dtype=object),
    }
    return pd.DataFrame(frame, index=list(metrics))


def _number(mean: float | str | None) -> float:
    return math.nan if mean is None else float(mean)
