"""Readers of the study's own files: ``df_niqe.json`` and ``output_CODE-TECH.csv`` (no header).

The values in them were made with the study's variant of NIQE and with MANIQA weights of its author's own, so they are
filed as ``niqe_study`` and ``maniqa_study``, apart from what ``niqe`` and ``maniqa`` mean here.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.study.inputs.score_set import InputError, ScoreSet, tidy
from octosr.study.inputs.stems import lr_stem, pairing_key
from octosr.study.names import dataset_name, technique_name

KEYS = ("dom", "dset", "tech", "file")
STUDY_FILES = "the study's own"
"""``implementation`` in the definition of scores that were read from the study's files."""
CSV_NAME = re.compile(r"output_([a-z]{4})-([a-z]{3})\.csv")
_DATASET_OF = {dataset.code: dataset.name for dataset in DATASETS.values()}
_TECHNIQUE_OF = {technique.code: technique.name for technique in TECHNIQUES.values()}


def read_study_json(path: str | Path) -> ScoreSet:
    """A JSON object of records with ``dom``, ``dset``, ``tech``, ``file`` and one metric (pandas, ``orient="index"``).

    Raises:
        InputError: it is not such a file.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    records = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(records, list) or not records or not all(isinstance(r, dict) for r in records):
        raise InputError(f"{path} is not in the study's layout: it should hold one record for each image.")
    metrics = [key for key in records[0] if key not in KEYS]
    missing = [key for key in KEYS if key not in records[0]]
    if missing or len(metrics) != 1:
        raise InputError(
            f"{path} is not in the study's layout: a record has {', '.join(KEYS)} and one metric, "
            f"but the first one has {', '.join(map(str, records[0]))}."
        )
    metric = metrics[0]
    try:
        rows = [(technique_name(r["tech"]), dataset_name(r["dset"]), r["file"], _number(r[metric])) for r in records]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: a record differs from the first one ({type(error).__name__}: {error}).") from error
    return _score_set(rows, metric, str(path))


def read_study_csvs(folder: str | Path, metric: str | None = None) -> ScoreSet:
    """The headerless CSV files of a folder, ``file,score`` a line; the code names the dataset.

    Args:
        folder: holds ``output_CODE-TECH.csv``.
        metric: what the scores are; taken from the folder's name (``csv_MANIQA``) if not given.

    Raises:
        InputError: no such file, an unknown code, or a line that is not ``file,score``.
    """
    folder = Path(folder)
    if metric is None:
        found = re.fullmatch(r"csv_(\w+)", folder.name)
        if found is None:
            raise InputError(
                f"{folder}: the files do not say which metric they hold. Name the folder csv_METRIC, e.g. csv_MANIQA."
            )
        metric = found[1].lower()
    files = sorted(path for path in folder.glob("output_*.csv") if CSV_NAME.fullmatch(path.name))
    if not files:
        raise InputError(f"{folder} holds no file named output_CODE-TECH.csv.")
    rows = [row for path in files for row in _csv_rows(path)]
    return _score_set(rows, metric, str(folder))


def _csv_rows(path: Path) -> list[tuple[str, str, str, float]]:
    match = CSV_NAME.fullmatch(path.name)
    assert match is not None
    code, tech = match.groups()
    if code not in _DATASET_OF or tech not in _TECHNIQUE_OF:
        raise InputError(
            f"{path}: '{code}-{tech}' is not a code of the study. Datasets: {', '.join(_DATASET_OF)}; "
            f"techniques: {', '.join(_TECHNIQUE_OF)}."
        )
    rows = []
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        for number, record in enumerate(csv.reader(stream), start=1):
            if not record:
                continue
            try:
                file, score = record
                rows.append((_TECHNIQUE_OF[tech], _DATASET_OF[code], file, float(score)))
            except ValueError as error:
                raise InputError(f"{path}, line {number} is not 'file,score': {error}") from error
    return rows


def _score_set(rows: list[tuple[str, str, str, float]], metric: str, source: str) -> ScoreSet:
    techniques, datasets, files, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4
    images = [pairing_key(t, lr_stem(f)) for t, f in zip(techniques, files, strict=True)]
    name = f"{metric.lower()}_study"
    frame = tidy(techniques, datasets, images, files, name, values)
    cells = set(zip(techniques, datasets, strict=True))
    definition = {"implementation": STUDY_FILES, "source": "github.com/vsantjr/DL_BlindSR"}
    return ScoreSet(
        frame,
        kinds=dict.fromkeys(cells, "study"),
        definitions={(*cell, name): definition for cell in cells},
        sources=[f"the study's results, {source}"],
    )


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
