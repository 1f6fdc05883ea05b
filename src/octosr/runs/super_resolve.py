"""Make the HR images of a cell that are not there yet."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import pytorch_lightning as pl
from omegaconf import DictConfig

from octosr.callbacks.image_writer import ImageWriter
from octosr.data.datamodule import ImageDataModule
from octosr.evaluation.recipe import Recipe, is_current
from octosr.runs.build import build, plain, prepare_hardware
from octosr.runs.sweep import in_sweep
from octosr.techniques.base import Technique

log = logging.getLogger(__name__)


def images_to_make(cfg: DictConfig, datamodule: ImageDataModule, recipe: Recipe, folder: Path) -> list[str]:
    """Names of the LR images without a current HR image; nothing is decoded to know."""
    names = datamodule.names
    todo = [
        name
        for name in names
        if cfg.redo or not is_current(folder / f"{name}.png", recipe, datamodule.file_sha256(name))
    ]
    if len(todo) < len(names):
        log.info("%d of %d images are there already", len(names) - len(todo), len(names))
    return todo


def super_resolve(
    cfg: DictConfig,
    technique: Technique,
    datamodule: ImageDataModule,
    recipe: Recipe,
    folder: Path,
    names: Sequence[str],
) -> pl.Trainer:
    """Write the HR images of these LR images; returns the trainer that did it."""
    standin = datamodule.kind == "stand-in"
    writer = ImageWriter(folder, text=lambda name: recipe.text(datamodule.file_sha256(name), standin))
    trainer = make_trainer(cfg, callbacks=[writer, *_progress_bar(cfg)], inference_mode=not technique.needs_grad)
    prepare_hardware(technique, cfg)
    technique.eval()
    datamodule.select(names)
    trainer.predict(technique, datamodule=datamodule, return_predictions=False)
    return trainer


def make_trainer(cfg: DictConfig, **settings: Any) -> pl.Trainer:
    """A trainer that only predicts, or only says which device is used."""
    trainer: pl.Trainer = build(
        plain(cfg.trainer)
        | {
            "logger": False,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "enable_progress_bar": _has_progress_bar(cfg),
        }
        | settings
    )
    return trainer


def _has_progress_bar(cfg: DictConfig) -> bool:
    return cfg.trainer.enable_progress_bar is not False and not in_sweep()


def _progress_bar(cfg: DictConfig) -> list[pl.Callback]:
    node = cfg.callbacks.get("progress")
    return [build(node)] if node is not None and _has_progress_bar(cfg) else []
