"""From the settings of ``report.py`` to what the analyses take: scores, options, how the cells of a sweep ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, ListConfig

from octosr.catalog import DATASETS
from octosr.errors import ConfigError, nearest
from octosr.runs.cells import CellState, read_states
from octosr.scores.store import ScoreStore
from octosr.study import names
from octosr.study.inputs import Cell, ScoreSet, read_scores
from octosr.study.inputs.diversity import Generated, read_generated
from octosr.study.inputs.score_set import empty
from octosr.study.manifest import State
from octosr.study.options import Options
from octosr.typed import typed

NO_SCORES = """There are no score tables in {store}. Make some, for example:
  {evaluate} technique=bicubic dataset=isaid
  ./multirun.sh
or name others with inputs=PATH (a score store, the study's JSON or CSV files, any tidy CSV).{failed}"""


def as_list(value: str | ListConfig | Sequence[str] | None) -> list[str]:
    """The names that a setting gives: none, one, several with commas between, or a list."""
    if value is None:
        return []
    parts = value.split(",") if isinstance(value, str) else [str(part) for part in value]
    return [part.strip() for part in parts if part.strip()]


def read(cfg: DictConfig) -> ScoreSet:
    """The scores that the settings ask for; an empty set where there are none but the sweep says that cells failed.

    Raises:
        OctoSRError: there are no scores, they cannot be read, or a name that was asked for is not among them.
    """
    store = Path(cfg.output_root) / "scores"
    if cfg.inputs is not None:
        paths = [str(cfg.inputs)] if isinstance(cfg.inputs, str) else [str(path) for path in cfg.inputs]
        return chosen(read_scores(paths), cfg)
    if ScoreStore(store).cells():
        return chosen(read_scores(store), cfg)
    failed = [state for state in read_states(Path(cfg.output_root)) if state.state == "failed"]
    if failed and cfg.missing:
        return ScoreSet(empty())
    more = f"\n{len(failed)} runs failed; {typed('report')} --missing says why." if failed else ""
    raise ConfigError(NO_SCORES.format(evaluate=typed("eval"), store=store, failed=more))


def chosen(scores: ScoreSet, cfg: DictConfig) -> ScoreSet:
    """Only the metrics, techniques and datasets that were asked for; techniques and datasets may lack scores still.

    Raises:
        ConfigError: no score has such a metric, or nothing is left.
    """
    metrics = [names.metric_name(name) for name in as_list(cfg.metrics)]
    there = list(scores.frame["metric"].unique())
    for metric in metrics:
        if metric not in there:
            raise ConfigError(f"No table holds the metric '{metric}'.{_hint(metric, there)}")
    frame, details = scores.frame, scores.details
    if metrics:
        # Descriptive columns judge nothing and are needed to describe the best and the worst images.
        frame = frame[frame["metric"].isin([*metrics, *names.DESCRIPTIVE])]
        details = details[details["metric"].str.split(":").str[0].isin(metrics)]
    for column, wanted in (("technique", _techniques(cfg)), ("dataset", _datasets(cfg))):
        if wanted:
            found = list(frame[column].unique())
            if not set(wanted) & set(found):
                raise ConfigError(f"No table is of {column} {', '.join(wanted)}.{_hint(wanted[0], found)}")
            # Probes (images with noise added) check the metrics of the technique that they are made of.
            probes = column == "technique" and names.probes(frame[column])
            frame = frame[frame[column].isin(wanted) | probes]
            details = details[details[column].isin(wanted)]
    kinds = {cell: kind for cell, kind in scores.kinds.items() if cell in _cells(frame)}
    return replace(scores, frame=frame.reset_index(drop=True), details=details.reset_index(drop=True), kinds=kinds)


def options(cfg: DictConfig, scores: ScoreSet) -> Options:
    """The settings of the analyses.

    Raises:
        ConfigError: a value that cannot be.
    """
    pair = as_list(cfg.pair)
    if pair and len(pair) != 2:
        raise ConfigError(f"pair takes two techniques, e.g. pair=[moesr,dan], but got {len(pair)}: {', '.join(pair)}.")
    expected = _datasets(cfg)
    if not expected and any(dataset in DATASETS for dataset in scores.datasets):
        expected = list(DATASETS)
    try:
        return Options(
            title=str(cfg.title),
            pair=(names.technique_name(pair[0]), names.technique_name(pair[1])) if pair else None,
            behaviour_metric=None if cfg.behaviour_metric is None else names.metric_name(str(cfg.behaviour_metric)),
            k=int(cfg.k),
            alpha=float(cfg.alpha),
            level=float(cfg.level),
            resamples=int(cfg.resamples),
            seed=int(cfg.seed),
            techniques=tuple(name for name in _techniques(cfg) if not names.is_probe(name)),
            datasets=tuple(expected),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def generated(cfg: DictConfig, scores: ScoreSet) -> Generated:
    """What was measured of the sets of generated images among the scores."""
    if cfg.inputs is not None:
        return Generated()  # scores from elsewhere: what was measured here is of other images
    hr = Path(cfg.images) if cfg.images is not None else Path(cfg.output_root) / "hr"
    return read_generated(Path(cfg.output_root) / "diversity", _cells(scores.frame), hr)


def states(cfg: DictConfig) -> dict[Cell, State]:
    """How the sweep's cells ended: the evaluation's word counts, and where there is none, the training's."""
    if cfg.inputs is not None:
        return {}  # scores from elsewhere: what was run here says nothing about them
    wanted_techniques, wanted_datasets = _techniques(cfg), _datasets(cfg)
    found: dict[Cell, State] = {}
    for state in sorted(read_states(Path(cfg.output_root)), key=lambda s: s.job == "eval"):
        if wanted_techniques and state.technique not in wanted_techniques:
            continue
        if wanted_datasets and state.dataset not in wanted_datasets:
            continue
        reason = f"{'training: ' if state.job == 'train' else ''}{state.reason.splitlines()[0]}" if state.reason else ""
        if state.job == "train" and state.state == "done":
            continue  # trained, but not evaluated: the cell is missing
        found[state.technique, state.dataset] = _state(state, Path(cfg.output_root), reason)
    return found


def _state(state: CellState, output_root: Path, reason: str) -> State:
    if state.state in ("done", "failed"):
        return State("done" if state.state == "done" else "failed", reason)
    if state.is_running(output_root):
        return State("running", reason)
    return State("waiting", reason or "it was ended before it was done")


def _techniques(cfg: DictConfig) -> list[str]:
    return [names.technique_name(name) for name in dict.fromkeys(as_list(cfg.techniques))]


def _datasets(cfg: DictConfig) -> list[str]:
    return [names.dataset_name(name) for name in dict.fromkeys(as_list(cfg.datasets))]


def _cells(frame: pd.DataFrame) -> set[Cell]:
    return set(frame[["technique", "dataset"]].drop_duplicates().itertuples(index=False, name=None))


def _hint(name: str, there: Iterable[str]) -> str:
    found = [str(option) for option in there]
    return nearest(name, found) or f" There are: {', '.join(found) or 'none'}."
