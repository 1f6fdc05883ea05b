"""What several seeds give: mean and standard deviation of each metric over them, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from octosr.atomic import write_bytes
from octosr.runs.matrix.entry import Entry

COLUMNS = ("technique", "dataset", "metric", "seeds", "mean", "sd")


def seed_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row a technique, dataset and metric; ``sd`` is the sample standard deviation, empty for a single seed."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        values: Any = entry.result.get("values", {})
        if entry.cell.job == "eval" and entry.word == "done":
            place = {"technique": entry.cell.technique, "dataset": entry.cell.dataset}
            rows += [place | {"metric": metric, "value": value} for metric, value in values.items()]
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    groups = pd.DataFrame(rows).groupby(["technique", "dataset", "metric"], sort=False)["value"]
    table = groups.agg(seeds="count", mean="mean", sd="std").reset_index()
    return table[list(COLUMNS)]


def write_seeds(output_root: Path, entries: Sequence[Entry]) -> Path:
    """Write ``OUTPUT_ROOT/seeds.csv``; returns where it is."""
    path = output_root / "seeds.csv"
    write_bytes(path, seed_table(entries).to_csv(index=False, float_format="%.6g").encode())
    return path
