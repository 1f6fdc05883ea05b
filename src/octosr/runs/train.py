"""``train.py``: train one technique on one dataset, resumable, within its time limit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import pytorch_lightning as pl
from omegaconf import DictConfig

from octosr.callbacks.atomic_io import AtomicCheckpointIO
from octosr.callbacks.checkpoint import RunCard
from octosr.callbacks.checkpoint_files import LAST, PREVIOUS, mend, whole_checkpoint
from octosr.callbacks.length import kimg_of
from octosr.callbacks.stopping import validation_cut_short
from octosr.callbacks.time_limit import TimeLimit
from octosr.data.datamodule import ImageDataModule
from octosr.data.processes import is_first
from octosr.durations import format_duration
from octosr.errors import ConfigError
from octosr.runs.build import (
    build,
    build_datamodule,
    build_technique,
    choose,
    plain,
    prepare_hardware,
    quiet_lightning,
    technique_class,
    versions,
)
from octosr.runs.cell_progress import CellProgress
from octosr.runs.console import console
from octosr.runs.family import fitting_callbacks, length
from octosr.runs.loggers import open_logger
from octosr.runs.requeue import cluster_plugins, end_after_signal, ended_at_once_by_ctrl_c
from octosr.runs.sweep import CellResult, in_sweep, require_claim, results_table
from octosr.runs.weights import checkpoint_folder, find_weights, read_card
from octosr.techniques.base import Technique
from octosr.typed import typed

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> CellResult:
    """Train one cell.

    Args:
        cfg: the composed ``conf/train.yaml``.

    Returns:
        The step reached and the PSNR on held-out images, beside bicubic's on the same; for a generative technique the
        thousands of images shown. ``unfinished`` says so where the time of the allocation ended it, so that there is
        more to do; when the total time is over, the latest model is what was asked for.

    Raises:
        OctoSRError: data are missing, a checkpoint does not fit, a loss is not finite, with the remedy.
    """
    if not technique_class(cfg).trainable:
        raise ConfigError(f"technique '{cfg.technique.name}' has nothing to train; evaluate it: {typed('eval')}.")
    require_claim()
    quiet_lightning()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    technique = build_technique(plain(cfg.technique), cfg)
    datamodule = build_datamodule(cfg, technique)
    datamodule.prepare_data()
    datamodule.setup("fit")
    if datamodule.kind == "stand-in":
        log.warning("STAND-IN data: what is trained on them is only good for trying the commands")
    card = run_card(cfg, datamodule)
    resume = resume_point(cfg, checkpoint_folder(cfg), card)
    if cfg.weights is not None and resume is None:
        log.info("starting from %s", technique.load_weights(find_weights(cfg)))
    prepare_hardware(technique, cfg)
    callbacks = build_callbacks(cfg, datamodule.kind, card, technique)
    with open_logger(cfg, job="train", kind=datamodule.kind) as logger:
        trainer: pl.Trainer = build(
            plain(cfg.trainer)
            | length(cfg, technique)
            | {
                "logger": logger if logger is not None else False,
                "callbacks": callbacks,
                "plugins": [AtomicCheckpointIO(), *cluster_plugins()],
            }
        )
        with ended_at_once_by_ctrl_c(callbacks):
            trainer.fit(technique, datamodule=datamodule, ckpt_path=str(resume) if resume else None, weights_only=True)
    result = _report(cfg, trainer, technique, datamodule)
    end_after_signal(callbacks)
    return result


def run_card(cfg: DictConfig, datamodule: ImageDataModule) -> dict[str, Any]:
    """The plain record that every checkpoint carries, so that evaluation can rebuild what was trained."""
    return {
        "technique": plain(cfg.technique),
        "dataset": cfg.dataset.name,
        "kind": datamodule.kind,
        "seed": int(cfg.seed),
        "scale": int(cfg.scale),
        "versions": versions(),
    }


def resume_point(cfg: DictConfig, folder: Path, card: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from, or None to start anew.

    Raises:
        ConfigError: the checkpoint there was trained with other settings.
        WrongWeightsError: it is damaged, and so is the one before it, or there is none.
    """
    if not (folder / LAST).is_file():
        return None
    if choose("resume", cfg.resume, ("auto", "never")) == "never":
        if is_first():
            log.info("starting anew; the checkpoints that were there are now in %s", _move_aside(folder))
        return None
    path = whole_checkpoint(folder)
    if path is None:
        return None
    old = read_card(path)
    free = {f"technique.{setting}" for setting in technique_class(cfg).run_settings}
    different = [
        f"  {name}: {before!r} there, {now!r} here"
        for name, before, now in _differences(old, card)
        if name.split(".")[0] in ("technique", "kind", "seed", "scale") and name not in free
    ]
    if different:
        raise ConfigError(
            f"{path} was trained with other settings:\n" + "\n".join(different) + "\n"
            "Give the same settings to go on, technique.name=OTHER to train beside it, "
            "or resume=never to start anew (the old checkpoints are moved aside, not removed)."
        )
    log.info("resuming from %s", path)
    if path.name == PREVIOUS and is_first():
        mend(folder)
    return path


def build_callbacks(cfg: DictConfig, kind: str, card: dict[str, Any], technique: Technique) -> list[pl.Callback]:
    """The callbacks of ``conf/callbacks`` that fit the technique, and the card; pictures of stand-in data say so."""
    nodes = {str(name): plain(node) for name, node in cfg.callbacks.items() if node is not None}
    nodes = fitting_callbacks(nodes, technique)
    for name in ("image_logger", "sample_grid"):
        if name in nodes and kind == "stand-in":
            nodes[name]["label"] = "STAND-IN"
    if in_sweep() or cfg.trainer.enable_progress_bar is False:
        nodes.pop("progress", None)
    return [*(build(node) for node in nodes.values()), RunCard(card), CellProgress()]


def _differences(old: Any, new: Any, name: str = "") -> list[tuple[str, Any, Any]]:
    """(dotted name, old value, new value) wherever two plain records differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        found: list[tuple[str, Any, Any]] = []
        for key in dict.fromkeys([*old, *new]):
            found += _differences(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
        return found
    return [] if old == new else [(name, old, new)]


def _move_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder / f"previous-{number}").exists():
        number += 1
    aside.mkdir()
    for path in folder.glob("*.ckpt"):
        path.rename(aside / path.name)
    return aside


def _report(cfg: DictConfig, trainer: pl.Trainer, technique: Technique, datamodule: ImageDataModule) -> CellResult:
    kimg = kimg_of(technique)
    values = {"step": float(trainer.global_step)} if kimg is None else {"kimg": kimg}
    for key in ("val/psnr", "val/psnr_bicubic"):
        if key in trainer.callback_metrics and not validation_cut_short(trainer):
            values[key] = float(trainer.callback_metrics[key])
    note, unfinished = str(checkpoint_folder(cfg)), ""
    for limit in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(limit, TimeLimit):
            note = f"trained {format_duration(limit.elapsed_total)}; {note}"
            unfinished = limit.message(trainer) if limit.reason == "allocation" else ""
    place = (cfg.technique.name, cfg.dataset.name, datamodule.kind)
    result = CellResult(*place, values, note, unfinished=unfinished)
    if not in_sweep() and trainer.is_global_zero:
        console.print(results_table([result]))
        console.print(f"next: {typed('eval')} technique={cfg.technique.name} dataset={_choice(cfg)}")
    return result


def _choice(cfg: DictConfig) -> str:
    """The dataset as it is typed: those that are not among the 14 stand under ``more/``."""
    from octosr.catalog import DATASETS

    return cfg.dataset.name if cfg.dataset.name in DATASETS else f"more/{cfg.dataset.name}"
