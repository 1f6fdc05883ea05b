"""The score store in the forms of others: the study's JSON and CSV files, and one tidy Parquet table.

As a command: ``python -m octosr.scores.export --scores outputs/scores --to FOLDER --format study-json,parquet``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from octosr.atomic import write_bytes
from octosr.catalog import DATASETS, TECHNIQUES
from octosr.errors import OctoSRError
from octosr.scores.content import ScoreStoreError
from octosr.scores.store import ScoreStore
from octosr.scores.tidy import tidy
from octosr.typed import typed

STANDIN = "STANDIN_"
"""How the name of every file begins that holds scores of stand-ins: they must not pass for the study's."""


def to_parquet(store: ScoreStore, folder: Path) -> list[Path]:
    """Write :func:`tidy` as ``scores.parquet`` (and ``STANDIN_scores.parquet``); returns the files.

    Raises:
        ScoreStoreError: neither pyarrow nor fastparquet is installed.
    """
    written = []
    for prefix, frame in _by_kind(tidy(store)):
        path = folder / f"{prefix}scores.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        names = [name.encode("utf-8", "backslashreplace").decode() for name in frame["image"]]  # Parquet is UTF-8
        try:
            frame.assign(image=names).to_parquet(temporary, index=False)
        except ImportError as error:
            raise ScoreStoreError(
                "Writing Parquet needs fastparquet or pyarrow: pip install 'octosr[parquet]'. The formats study-json "
                "and study-csv need nothing more."
            ) from error
        written.append(temporary.replace(path))
    return written


def to_study_json(store: ScoreStore, folder: Path) -> list[Path]:
    """Write ``df_METRIC.json`` for each metric, laid out as the study's; returns the files.

    One object, keys "0", "1", ..., each with ``dom``, ``dset``, ``tech``, ``file`` and the metric: pandas reads it with
    ``read_json(..., orient="index")``. Techniques of the study have its titles (``DAN``). Numbers have full precision;
    null where there is no score, and for infinity, which JSON has not.
    """
    written = []
    for prefix, metric, frame in _by_metric(store):
        rows = {
            str(number): {
                "dom": row.domain,
                "dset": row.dataset,
                "tech": technique_title(row.technique),
                "file": f"{row.image}.png",
                metric: row.value if math.isfinite(row.value) else None,
            }
            for number, row in enumerate(frame.itertuples(index=False))
        }
        text = json.dumps(rows, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        written.append(_write(folder / f"{prefix}df_{metric}.json", text.encode()))
    return written


def to_study_csv(store: ScoreStore, folder: Path) -> list[Path]:
    """Write ``csv_METRIC/output_CODE-TECHNIQUE.csv`` for each cell: ``file,score``, no header; returns the files.

    As the study's ``csv_MANIQA``, with its codes (``acon``, ``dan``) where it has any, and full names elsewhere. Images
    without a score are left out.
    """
    written = []
    for prefix, metric, frame in _by_metric(store):
        for (technique, dataset), rows in frame.groupby(["technique", "dataset"], sort=False):
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            for row in rows.itertuples(index=False):
                if not math.isnan(row.value):
                    writer.writerow([f"{row.image}.png", repr(row.value)])
            code = DATASETS[dataset].code if dataset in DATASETS else dataset
            short = TECHNIQUES[technique].code if technique in TECHNIQUES else technique
            path = folder / f"{prefix}csv_{metric.upper()}" / f"output_{code}-{short}.csv"
            written.append(_write(path, text.getvalue().encode("utf-8", "surrogateescape")))
    return written


FORMATS: dict[str, Callable[[ScoreStore, Path], list[Path]]] = {
    "study-json": to_study_json,
    "study-csv": to_study_csv,
    "parquet": to_parquet,
}


def technique_title(technique: str) -> str:
    """The study's title of one of its techniques, else the name itself.

    >>> technique_title("moesr"), technique_title("bicubic")
    ('MoESR', 'bicubic')
    """
    return TECHNIQUES[technique].title if technique in TECHNIQUES else technique


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m octosr.scores.export", description="Export score tables.")
    parser.add_argument("--scores", type=Path, default=Path("outputs/scores"), help="the folder of score tables")
    parser.add_argument("--to", type=Path, required=True, help="where the files go")
    parser.add_argument("--format", default="study-json", help=f"one or more of {', '.join(FORMATS)}, with commas")
    chosen = parser.parse_args(arguments)
    formats = [name.strip() for name in chosen.format.split(",") if name.strip()]
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        parser.error(f"--format: {', '.join(unknown) or 'nothing'} is none of {', '.join(FORMATS)}")
    store = ScoreStore(chosen.scores)
    if not store.cells():
        parser.error(f"--scores: {chosen.scores} holds no score tables; {typed('eval')} makes them")
    try:
        for name in formats:
            for path in FORMATS[name](store, chosen.to):
                sys.stdout.write(f"{path}\n")
    except OctoSRError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _by_kind(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    standin = frame["kind"] == "stand-in"
    for prefix, rows in (("", frame[~standin]), (STANDIN, frame[standin])):
        if len(rows):
            yield prefix, rows


def _by_metric(store: ScoreStore) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for prefix, frame in _by_kind(tidy(store)):
        scores = frame[frame["detail"] == ""]
        for metric in scores["metric"].unique():
            yield prefix, str(metric), scores[scores["metric"] == metric]


def _write(path: Path, content: bytes) -> Path:
    write_bytes(path, content)
    return path


if __name__ == "__main__":
    sys.exit(main())
