"""All scores of a store in one tidy frame: one row a number."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.scores.store import ScoreStore


def tidy(store: ScoreStore) -> pd.DataFrame:
    """All scores of a store, one row a number, cells and metrics in the order of the study's tables.

    Returns:
        ``technique``, ``dataset``, ``domain``, ``kind``, ``image``, ``sha256``, ``metric``, ``detail`` (empty for the
        score itself, else e.g. ``blocks``), ``value`` (NaN where there is none), ``higher_is_better``,
        ``definition_id``, ``reference_sha256`` (of what the image was compared with), and ``date`` and ``octosr`` of
        the run that made it.
    """
    frames = [frame for cell in ordered_cells(store) for frame in _cell_frames(store, *cell)]
    names = ["technique", "dataset", "domain", "kind", "image", "sha256", "metric", "detail", "value"]
    names += ["higher_is_better", "definition_id", "reference_sha256", "date", "octosr"]
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
    return whole[names].astype({"value": "float64", "higher_is_better": "boolean"})


def ordered_cells(store: ScoreStore) -> list[tuple[str, str]]:
    """(technique, dataset) of all cells: the study's datasets and techniques in its order, then the others by name."""
    datasets, techniques = list(DATASETS), list(TECHNIQUES)

    def place(name: str, known: list[str]) -> tuple[int, str]:
        return (known.index(name) if name in known else len(known), name)

    return sorted(store.cells(), key=lambda cell: (place(cell[1], datasets), place(cell[0], techniques)))


def _cell_frames(store: ScoreStore, technique: str, dataset: str) -> Iterator[pd.DataFrame]:
    table, info = store.read(technique, dataset), store.info(technique, dataset)
    domain = DATASETS[dataset].domain if dataset in DATASETS else "Other"
    for column, metric in info["metrics"].items():
        name, _, detail = column.partition(":")
        made_by = store.provenance(technique, dataset, column)
        references = info.get("references", {}).get(metric["definition"].get("compares_with", ""), "").split()
        yield pd.DataFrame(
            {
                "technique": technique,
                "dataset": dataset,
                "domain": domain,
                "kind": info.get("kind"),
                "image": table["image"],
                "sha256": table["sha256"],
                "metric": name,
                "detail": detail,
                "value": table[column],
                "higher_is_better": metric["higher_is_better"],
                "definition_id": metric["definition_id"],
                "reference_sha256": [r if r != "-" else None for r in references] or None,
                "date": [None if run is None else run.get("date") for run in made_by],
                "octosr": [None if run is None else run.get("octosr") for run in made_by],
            }
        )
