"""``eval.py``: super-resolve a dataset, save 8-bit images, score the saved images, keep the table.

What is there already is not made again: where all images are current and all scores known, no image is decoded, no
network built and no metric loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from octosr.data.datamodule import ImageDataModule
from octosr.data.kernel_files import kernel_files, kernel_picture
from octosr.data.processes import is_first
from octosr.durations import format_duration
from octosr.errors import BadImageError
from octosr.evaluation.recipe import Provenance, Recipe
from octosr.metrics.base import ImageMetric
from octosr.runs.build import (
    build_datamodule,
    build_metrics,
    prepare_metrics,
    quiet_lightning,
    technique_class,
    versions,
)
from octosr.runs.console import console
from octosr.runs.diversity import measure_diversity
from octosr.runs.judge import GENERATED, Cell, Judgement, judge, score_store
from octosr.runs.loggers import open_logger
from octosr.runs.quit import end_on_signal
from octosr.runs.saved_only import precomputed_cell, saved_cell, training_images
from octosr.runs.super_resolve import Sources, images_to_make, make_trainer, super_resolve
from octosr.runs.sweep import CellResult, in_sweep, require_claim, results_table, warn
from octosr.runs.weights import TRAINED_SECONDS, Described, describe_technique, load_technique
from octosr.techniques.base import GenerativeTechnique
from octosr.techniques.precomputed import Precomputed

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
        BadImageError: images to be scored cannot be read; the others have been scored.
        SystemExit: SIGTERM or Ctrl-C; what is saved is whole, and the next start goes on from there.
    """
    require_claim()
    with end_on_signal():
        return _run(cfg, show)


def _run(cfg: DictConfig, show: bool) -> CellResult:
    quiet_lightning()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    precomputed = issubclass(technique_class(cfg), Precomputed)
    if precomputed or cfg.metrics.only:
        cell = precomputed_cell(cfg) if precomputed else saved_cell(cfg, is_generative(cfg))
        metrics, missing = build_metrics(cfg, cell.kind, generated=cell.compares_with_nothing)
        if not is_first():
            return CellResult(cell.technique, cell.dataset, cell.kind)
        return _judge(cfg, cell, metrics, missing, lambda: _device(cfg), show)
    return _evaluate(cfg, show)


def is_generative(cfg: DictConfig) -> bool:
    """Whether the cell's technique makes images from no LR image, so that nothing can be compared with one."""
    return issubclass(technique_class(cfg), GenerativeTechnique)


def _evaluate(cfg: DictConfig, show: bool) -> CellResult:
    datamodule = build_datamodule(cfg)
    datamodule.prepare_data()
    datamodule.find()
    metrics, missing = build_metrics(cfg, datamodule.kind, generated=is_generative(cfg))
    described = describe_technique(cfg)
    name = str(cfg.technique.name)
    recipe = Recipe(name, described.arguments, described.weights, int(cfg.seed), str(cfg.trainer.precision))
    folder = Path(cfg.output_root) / "hr" / name / cfg.dataset.name
    sources = Sources(datamodule, is_generative(cfg))
    todo = images_to_make(cfg, sources, recipe, folder)
    trainer: pl.Trainer | None = None
    network: dict[str, Any] = {}
    if todo:
        # Unusable files show here, a metric that cannot be loaded next: both before long work.
        if not sources.generative:
            datamodule.setup("predict")
        needed = {key: m for key, m in metrics.items() if not (sources.generative and m.needs_reference)}
        unavailable = prepare_metrics(cfg, datamodule.kind, needed)
        missing |= unavailable
        metrics = {key: metric for key, metric in metrics.items() if key not in unavailable}
        technique = load_technique(cfg, described)
        network = technique.described()
        todo = [name for name in todo if name in sources.names]
        trainer = super_resolve(cfg, technique, sources, recipe, folder, todo)
    if not (trainer.is_global_zero if trainer is not None else is_first()):
        return CellResult(name, cfg.dataset.name, datamodule.kind)
    notes = _notes(datamodule, described.card)
    if todo or not (folder / "provenance.json").is_file():
        Provenance(
            recipe,
            cfg.dataset.name,
            datamodule.kind,
            versions(),
            sources.names,
            datamodule.left_out,
            notes,
            [path.name for name in sources.names for path in kernel_files(folder / f"{name}.png")],
            sources.seeds,
            network,
        ).write(folder)
    cell = _cell(cfg, sources, described, folder)
    device = (lambda: _device(cfg)) if trainer is None else (lambda: _root(trainer))
    return _judge(cfg, cell, metrics, missing, device, show, folder)


def _judge(
    cfg: DictConfig,
    cell: Cell,
    metrics: Mapping[str, ImageMetric],
    missing: Mapping[str, str],
    device: Callable[[], torch.device],
    show: bool,
    folder: Path | None = None,
) -> CellResult:
    """Look at the images as a set, where they were generated, and at each of them."""
    as_a_set = measure_diversity(cfg, cell, device)
    return _finish(cfg, cell, judge(cfg, cell, metrics, missing, device), show, folder, as_a_set)


def _cell(cfg: DictConfig, sources: Sources, described: Described, folder: Path) -> Cell:
    technique, card = str(cfg.technique.name), described.card
    datamodule, files = sources.datamodule, {name: folder / f"{name}.png" for name in sources.names}
    cell = Cell(technique, datamodule.dataset, datamodule.kind, files)
    if sources.generative:
        filter = str(described.arguments.get("enlarge", "lanczos"))
        cell.set_apart(GENERATED, training_images(cfg, datamodule), filter)
    else:
        cell.references = {"hr": datamodule.references, "lr": datamodule.files}
    if datamodule.left_out:
        cell.notes.append(f"{len(datamodule.left_out)} left out")
    if TRAINED_SECONDS in card:
        cell.notes.append(f"trained {format_duration(card[TRAINED_SECONDS])}")
    if card.get("kind") == "stand-in":
        cell.notes.append("STAND-IN weights")
    return cell


def _finish(
    cfg: DictConfig, cell: Cell, judgement: Judgement, show: bool, folder: Path | None, as_a_set: Mapping[str, Any]
) -> CellResult:
    """Say and log what came of a cell; the files that could not be read last."""
    _log_results(cfg, judgement, cell, as_a_set)
    if show and not in_sweep():
        console.print(results_table([judgement.result]))
        if folder is not None:
            console.print(f"images  {folder}")
        console.print(f"scores  {score_store(cfg).path(cell.technique, cell.dataset)}")
    if judgement.problems and cfg.data.on_bad_image == "error":
        raise BadImageError(judgement.problems)
    for file, reason in judgement.problems:
        warn(f"left out: {file}: {reason}")
    return judgement.result


def _device(cfg: DictConfig) -> torch.device:
    return _root(make_trainer(cfg))


def _root(trainer: pl.Trainer) -> torch.device:
    return trainer.strategy.root_device


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


def _log_results(cfg: DictConfig, judgement: Judgement, cell: Cell, as_a_set: Mapping[str, Any]) -> None:
    with open_logger(cfg, job="eval", kind=cell.kind) as logger:
        if logger is None:
            return
        values = judgement.result.values
        logger.log_metrics({f"eval/{key}": value for key, value in values.items() if value == value})
        for distance, figures in as_a_set.get("distances", {}).items():
            known = {f"eval/diversity/{distance}/{key}": value for key, value in figures.items() if value is not None}
            logger.log_metrics(known)
        if isinstance(logger, pl.loggers.WandbLogger):
            logger.log_table("eval/scores", dataframe=judgement.table)
            shown = list(cell.files)[:4]
            logger.log_image("eval/images", [str(cell.files[name]) for name in shown], caption=shown)
            kernels = {name: path for name in shown if (path := kernel_picture(cell.files[name])) is not None}
            if kernels:
                logger.log_image("eval/kernels", [str(path) for path in kernels.values()], caption=list(kernels))
