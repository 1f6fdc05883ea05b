"""Read scores from whatever a path is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from octosr.study.inputs.score_set import InputError, ScoreSet, merge
from octosr.study.inputs.store import read_store
from octosr.study.inputs.study_files import CSV_NAME, read_study_csvs, read_study_json
from octosr.study.inputs.tidy_csv import read_csv


def read_scores(paths: Iterable[str | Path] | str | Path) -> ScoreSet:
    """Scores of one or more paths, merged.

    A path may be our score store, a folder with the study's files (``df_*.json``, ``csv_METRIC/``, or the headerless
    CSV files themselves), a JSON file in the study's layout, or a CSV file with a header.

    Raises:
        InputError: a path is none of these, or two of them contradict each other.
    """
    listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not listed:
        raise InputError("No scores were named. Give a score store, the study's files, or a CSV file.")
    return merge(part for path in listed for part in _read(Path(path)))


def _read(path: Path) -> list[ScoreSet]:
    if path.is_file():
        return [read_study_json(path) if path.suffix.lower() == ".json" else read_csv(path)]
    if not path.is_dir():
        raise InputError(f"{path} is not there. Run eval.py first, or name the folder of the score tables.")
    if any(CSV_NAME.fullmatch(file.name) for file in path.glob("output_*.csv")):
        return [read_study_csvs(path)]
    found = [read_study_json(file) for file in sorted(path.glob("df_*.json"))]
    found += [read_study_csvs(folder) for folder in sorted(path.glob("csv_*")) if folder.is_dir()]
    if found:
        return found
    return [read_store(path)]
