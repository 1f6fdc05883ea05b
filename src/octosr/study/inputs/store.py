"""Reader of our score store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from octosr.catalog import DATASETS
from octosr.scores.rows import NOT_APPLICABLE, is_detail
from octosr.scores.store import DamagedTableError, ScoreStore
from octosr.scores.table import KEYS
from octosr.study.inputs.score_set import InputError, ScoreSet, empty, tidy
from octosr.study.inputs.stems import pairing_key


def read_store(root: str | Path) -> ScoreSet:
    """All tables of a score store.

    Columns with a colon (``niqe:blocks``) go to ``details``. Where a metric does not apply to an image (PSNR without a
    reference) there is no row. A damaged table is left out and named in ``damaged``.

    Raises:
        InputError: there is no table.
        ScoreStoreError: a later version wrote a table.
    """
    store = ScoreStore(root)
    cells = store.cells()
    if not cells:
        raise InputError(f"{root} holds no score table (TECHNIQUE/DATASET.csv). Run eval.py first, or name its folder.")
    out = ScoreSet(empty(), sources=[f"score store {root}"])
    frames: list[pd.DataFrame] = []
    for technique, dataset in cells:
        try:
            table, info = store.read(technique, dataset), store.info(technique, dataset)
        except DamagedTableError as error:
            out.damaged[technique, dataset] = str(error)
            continue
        out.kinds[technique, dataset] = str(info.get("kind"))
        files = [str(name) for name in table["image"]]
        keys = _keys(technique, dataset, files, info)
        for column in (name for name in table.columns if name not in KEYS):
            part = tidy(technique, dataset, keys, files, column, table[column])
            applies = _describe(out, technique, dataset, column, info["metrics"][column], len(files))
            frames.append(part[applies])
    rows = pd.concat(frames, ignore_index=True) if frames else empty()
    detail = rows["metric"].isin([m for m in rows["metric"].unique() if is_detail(m)])
    out.frame, out.details = rows[~detail].reset_index(drop=True), rows[detail].reset_index(drop=True)
    out.validate()
    return out


def _keys(technique: str, dataset: str, files: list[str], info: Mapping[str, Any]) -> list[str]:
    """The pairing keys: our images are named by their LR stem, but some were made from no LR image."""
    generated = set()
    for metric in info["metrics"].values():
        for reason, places in metric.get("without", {}).items():
            if reason.startswith(NOT_APPLICABLE) and ("generated" in reason or "no LR image" in reason):
                generated |= {files[place] for place in places}
    if info.get("kind") == "study" and dataset in DATASETS:  # numbered samples of a generator under any name
        generated |= {name for name in files if name.isdecimal() and not DATASETS[dataset].is_study_stem(name)}
    return [pairing_key(technique, name, generated=name in generated) for name in files]


def _describe(
    out: ScoreSet, technique: str, dataset: str, column: str, described: Mapping[str, Any], images: int
) -> list[bool]:
    """Note what is known of a column; returns to which images it applies."""
    cell = (technique, dataset, column)
    definition = described["definition"]
    without = described.get("without", {})
    if "not_available" in definition:
        out.unavailable[cell] = str(definition["not_available"])
    else:
        out.definitions[cell] = definition
        failed = {reason: len(places) for reason, places in without.items() if not reason.startswith(NOT_APPLICABLE)}
        if failed:
            out.unavailable[cell] = max(failed, key=lambda reason: failed[reason])
    applies = [True] * images
    for reason, places in without.items():
        if reason.startswith(NOT_APPLICABLE):
            for place in places:
                applies[place] = False
    out.not_applicable[cell] = images - sum(applies)
    higher = described["higher_is_better"]
    if higher is not None and not is_detail(column):
        known = out.higher_is_better.setdefault(column, bool(higher))
        if known != higher:
            out.conflicts.append(f"{technique} on {dataset}: the tables disagree whether a higher {column} is better.")
    return applies
