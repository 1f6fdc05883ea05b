"""Readers: score store, the study's files, any tidy CSV -> one :class:`ScoreSet`."""

from octosr.study.inputs.read import read_scores
from octosr.study.inputs.score_set import Cell, InputError, ScoreSet, merge
from octosr.study.inputs.store import read_store
from octosr.study.inputs.study_files import read_study_csvs, read_study_json
from octosr.study.inputs.tidy_csv import read_csv

__all__ = [
    "Cell",
    "InputError",
    "ScoreSet",
    "merge",
    "read_csv",
    "read_scores",
    "read_store",
    "read_study_csvs",
    "read_study_json",
]
