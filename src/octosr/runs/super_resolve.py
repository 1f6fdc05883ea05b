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
from octosr.data.seeds import SeedData, sample_names
from octosr.evaluation.recipe import Recipe, is_current
from octosr.runs.build import build, plain, prepare_hardware
from octosr.runs.cell_progress import CellProgress
from octosr.runs.requeue import cluster_plugins
from octosr.runs.sweep import in_sweep
from octosr.techniques.base import Technique

log = logging.getLogger(__name__)


class Sources:
    """What each image of a cell is made from: an LR image, or a seed where the technique is generative.

    Args:
        datamodule: the dataset, its files found.
        generative: the technique makes images from seeds, as many as there are LR images.

    Attributes:
        names: of the images to be made.
        seeds: name -> seed; empty where LR images are super-resolved.
    """

    def __init__(self, datamodule: ImageDataModule, generative: bool) -> None:
        self.datamodule = datamodule
        self.generative = generative
        self.seeds = sample_names(len(datamodule.names)) if generative else {}

    @property
    def names(self) -> list[str]:
        """Of all images; unusable LR images fall away when they are decoded."""
        return list(self.seeds) if self.generative else self.datamodule.names

    def identity(self, name: str) -> str | int:
        """Hash of the LR file, or the seed."""
        return self.seeds[name] if self.generative else self.datamodule.file_sha256(name)

    def data(self, names: Sequence[str], batch_size: int) -> pl.LightningDataModule:
        """The data to make some of the images from."""
        if self.generative:
            return SeedData({name: self.seeds[name] for name in names}, batch_size)
        self.datamodule.select(names)
        return self.datamodule


def images_to_make(cfg: DictConfig, sources: Sources, recipe: Recipe, folder: Path) -> list[str]:
    """Names of the images that are not there as they would be made; nothing is decoded to know."""
    names = sources.names
    todo = [
        name for name in names if cfg.redo or not is_current(folder / f"{name}.png", recipe, sources.identity(name))
    ]
    if len(todo) < len(names):
        log.info("%d of %d images are there already", len(names) - len(todo), len(names))
    return todo


def super_resolve(
    cfg: DictConfig, technique: Technique, sources: Sources, recipe: Recipe, folder: Path, names: Sequence[str]
) -> pl.Trainer:
    """Write these images, super-resolved or generated; returns the trainer that did it."""
    standin = sources.datamodule.kind == "stand-in"
    writer = ImageWriter(folder, text=lambda name: recipe.text(sources.identity(name), standin))
    trainer = make_trainer(
        cfg, callbacks=[writer, CellProgress(), *_progress_bar(cfg)], inference_mode=not technique.needs_grad
    )
    prepare_hardware(technique, cfg)
    technique.eval()
    data = sources.data(names, int(cfg.data.eval_batch_size))
    trainer.predict(technique, datamodule=data, return_predictions=False)
    return trainer


def make_trainer(cfg: DictConfig, **settings: Any) -> pl.Trainer:
    """A trainer that only predicts, or only says which device is used."""
    trainer: pl.Trainer = build(
        plain(cfg.trainer)
        | {
            "logger": False,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "plugins": cluster_plugins() or None,
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
