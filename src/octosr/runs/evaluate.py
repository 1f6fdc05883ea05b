"""``eval.py``: super-resolve a dataset, save 8-bit images, score the saved images, keep the table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from octosr.callbacks.image_writer import ImageWriter
from octosr.data.datamodule import ImageDataModule
from octosr.evaluation.recipe import Provenance, Recipe, is_current
from octosr.evaluation.scoring import Scores, definition_for, score_saved
from octosr.metrics.base import ImageMetric
from octosr.runs.build import build, build_datamodule, build_metrics, plain, prepare_hardware, quiet_lightning, versions
from octosr.runs.console import console
from octosr.runs.loggers import open_logger
from octosr.runs.sweep import CellResult, in_sweep, results_table, warn
from octosr.runs.weights import load_technique
from octosr.scores.store import ScoreStore
from octosr.techniques.base import Technique

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig, show: bool = True) -> CellResult:
    """Run one cell, technique x dataset.

    Args:
        cfg: the composed ``conf/eval.yaml``.
        show: print the cell's table (not in a sweep, which has one for all cells).

    Returns:
        The mean of each metric, NaN where it is not available.

    Raises:
        OctoSRError: data, weights or a metric are missing, with the remedy.
    """
    quiet_lightning()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = build_datamodule(cfg)
    datamodule.prepare_data()
    datamodule.setup("predict")
    metrics, missing = build_metrics(cfg, datamodule.kind)
    technique, arguments, weights, card = load_technique(cfg)
    recipe = Recipe(technique.name, arguments, tuple(weights), int(cfg.seed), str(cfg.trainer.precision))
    folder = Path(cfg.output_root) / "hr" / technique.name / cfg.dataset.name
    notes = _notes(datamodule, card)
    trainer = super_resolve(cfg, technique, datamodule, recipe, folder)
    if not trainer.is_global_zero:
        return CellResult(technique.name, cfg.dataset.name, datamodule.kind)
    Provenance(
        recipe, cfg.dataset.name, datamodule.kind, versions(), datamodule.names, datamodule.left_out, notes
    ).write(folder)
    scores = score(cfg, technique.name, datamodule, metrics, missing, folder, trainer.strategy.root_device)
    result = _result(cfg, technique.name, datamodule, scores, missing, notes)
    _log_results(cfg, result, scores, folder, datamodule)
    if show and not in_sweep():
        console.print(results_table([result]))
        console.print(f"images  {folder}\nscores  {_store(cfg).path(technique.name, cfg.dataset.name)}")
    return result


def super_resolve(
    cfg: DictConfig, technique: Technique, datamodule: ImageDataModule, recipe: Recipe, folder: Path
) -> pl.Trainer:
    """Write the HR image of every LR image that has no current one; returns the trainer that did it."""
    standin = datamodule.kind == "stand-in"
    digests = {name: datamodule.file_sha256(name) for name in datamodule.names}
    todo = [
        name for name in datamodule.names if cfg.redo or not is_current(folder / f"{name}.png", recipe, digests[name])
    ]
    writer = ImageWriter(folder, text=lambda name: recipe.text(digests[name], standin))
    settings = plain(cfg.trainer) | {
        "logger": False,
        "callbacks": [writer, *_progress_bar(cfg)],
        "inference_mode": not technique.needs_grad,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": cfg.trainer.enable_progress_bar is not False and not in_sweep(),
    }
    trainer: pl.Trainer = build(settings)
    prepare_hardware(technique, cfg)
    technique.eval()
    if len(todo) < len(datamodule.names):
        log.info("%d of %d images are there already", len(datamodule.names) - len(todo), len(datamodule.names))
    if todo:
        datamodule.select(todo)
        trainer.predict(technique, datamodule=datamodule, return_predictions=False)
    return trainer


def score(
    cfg: DictConfig,
    technique: str,
    datamodule: ImageDataModule,
    metrics: Mapping[str, ImageMetric],
    missing: Mapping[str, str],
    folder: Path,
    device: torch.device,
) -> Scores:
    """Score the saved images and merge the scores into the cell's table."""
    references = {name: path for name, path in datamodule.references.items() if name in set(datamodule.names)}
    usable = {name: metric.to(device) for name, metric in metrics.items() if references or not metric.needs_reference}
    definitions = {name: definition_for(metric, references) for name, metric in usable.items()}
    store = _store(cfg)
    known = {name: store.known(technique, cfg.dataset.name, name, definitions[name]) for name in usable}
    files = {name: folder / f"{name}.png" for name in datamodule.names}
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=in_sweep()) as bar:
        task = bar.add_task("scoring", total=len(files))
        scores = score_saved(
            files, usable, references, known, batch_size=cfg.metrics.batch_size, progress=lambda n: bar.advance(task, n)
        )
    for name, reasons in scores.failures.items():
        for image, reason in reasons:
            log.warning("%s is not available for %s: %s", name, image, reason)
    for name in missing:
        scores.table[name] = float("nan")
        definitions[name] = {"not_available": missing[name].splitlines()[0]}
    directions = {name: metric.higher_is_better for name, metric in usable.items()}
    provenance: dict[str, Any] = {"kind": datamodule.kind, "versions": versions(), "folder": str(folder)}
    store.write(
        technique,
        cfg.dataset.name,
        scores.table,
        definitions,
        provenance,
        higher_is_better=directions,
        names=datamodule.names,
    )
    return scores


def _store(cfg: DictConfig) -> ScoreStore:
    return ScoreStore(Path(cfg.output_root) / "scores")


def _progress_bar(cfg: DictConfig) -> list[pl.Callback]:
    node = cfg.callbacks.get("progress")
    return [build(node)] if node is not None and cfg.trainer.enable_progress_bar is not False and not in_sweep() else []


def _notes(datamodule: ImageDataModule, card: Mapping[str, Any]) -> list[str]:
    notes = []
    if datamodule.kind == "stand-in":
        notes.append("STAND-IN data: these are not the study's images")
    trained_on = card.get("kind")
    if trained_on == "stand-in":
        notes.append("weights trained on STAND-IN data")
    for file, reason in datamodule.left_out:
        notes.append(f"left out: {file}: {reason}")
    for note in notes:
        warn(note)
    return notes


def _result(
    cfg: DictConfig,
    technique: str,
    datamodule: ImageDataModule,
    scores: Scores,
    missing: Mapping[str, str],
    notes: list[str],
) -> CellResult:
    names = [name for name in scores.table.columns if name not in ("image", "sha256")]
    values = {name: float(scores.table[name].mean()) for name in names}  # the mean over what is available
    parts = [f"{len(datamodule.names)} images"]
    parts += [
        f"{name}: {int(scores.table[name].notna().sum())} of {len(scores.table)}"
        for name in names
        if name not in missing and scores.table[name].isna().any()
    ]
    if datamodule.left_out:
        parts.append(f"{len(datamodule.left_out)} left out")
    if any("weights trained on STAND-IN" in note for note in notes):
        parts.append("STAND-IN weights")
    return CellResult(technique, cfg.dataset.name, datamodule.kind, values, ", ".join(parts))


def _log_results(
    cfg: DictConfig, result: CellResult, scores: Scores, folder: Path, datamodule: ImageDataModule
) -> None:
    with open_logger(cfg, job="eval", kind=datamodule.kind) as logger:
        if logger is None:
            return
        logger.log_metrics({f"eval/{key}": value for key, value in result.values.items() if value == value})
        if isinstance(logger, pl.loggers.WandbLogger):
            logger.log_table("eval/scores", dataframe=scores.table)
            shown = datamodule.names[:4]
            logger.log_image("eval/images", [str(folder / f"{name}.png") for name in shown], caption=shown)
