"""Reader of our score store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from octosr.scores.store import ScoreStore
from octosr.scores.table import KEYS
from octosr.study.inputs.score_set import InputError, ScoreSet, tidy
from octosr.study.inputs.stems import pairing_key


def read_store(root: str | Path) -> ScoreSet:
    """All tables of a score store.

    Columns with a colon (``niqe:blocks``) go to ``details``; images are named by their LR stem already.

    Raises:
        InputError: there is no table.
        ScoreStoreError: a table is damaged.
    """
    store = ScoreStore(root)
    cells = store.cells()
    if not cells:
        raise InputError(f"{root} holds no score table (TECHNIQUE/DATASET.csv). Run eval.py first, or name its folder.")
    out = ScoreSet(tidy("", "", [], [], "", []), sources=[f"score store {root}"])
    frames: list[pd.DataFrame] = []
    for technique, dataset in cells:
        table, info = store.read(technique, dataset), store.info(technique, dataset)
        out.kinds[technique, dataset] = str(info.get("kind"))
        files = list(table["image"])
        keys = [pairing_key(technique, name) for name in files]
        for metric in (column for column in table.columns if column not in KEYS):
            frames.append(tidy(technique, dataset, keys, files, metric, table[metric]))
            _describe(out, technique, dataset, metric, info["metrics"][metric])
    rows = pd.concat(frames, ignore_index=True) if frames else out.frame
    detail = rows["metric"].str.contains(":", regex=False).astype(bool)
    return ScoreSet(
        rows[~detail].reset_index(drop=True),
        rows[detail].reset_index(drop=True),
        {m: higher for m, higher in out.higher_is_better.items() if ":" not in m},
        out.kinds,
        out.definitions,
        out.unavailable,
        out.conflicts,
        out.sources,
    )


def _describe(out: ScoreSet, technique: str, dataset: str, metric: str, described: dict) -> None:
    definition = described["definition"]
    if "not_available" in definition:
        out.unavailable[technique, dataset, metric] = str(definition["not_available"])
    else:
        out.definitions[technique, dataset, metric] = definition
    higher = described["higher_is_better"]
    known = out.higher_is_better.get(metric)
    if higher is None:
        return
    if known is not None and known != higher:
        out.conflicts.append(f"{technique} on {dataset}: a higher {metric} is better says one table, worse another.")
    out.higher_is_better.setdefault(metric, bool(higher))
