"""What differs between the two families when they are trained: the length, and what runs beside training."""

from __future__ import annotations

import logging
import math
from typing import Any

from omegaconf import DictConfig

from octosr.errors import ConfigError
from octosr.techniques.base import GenerativeTechnique, Technique

log = logging.getLogger(__name__)

_VALIDATED = ("image_logger", "best")
"""Callbacks that live on validation, of which the generative techniques have none."""
_WATCHED = ("sample_grid", "diversity")
"""Callbacks that look at what a generative technique makes."""


def length(cfg: DictConfig, technique: Technique) -> dict[str, Any]:
    """The arguments of the Trainer that say how long to train.

    Raises:
        ConfigError: a generative technique is given a length in steps or epochs, or none at all.
    """
    if isinstance(technique, GenerativeTechnique):
        return _images(cfg, technique)
    return {"max_steps": _steps(cfg, technique)}


def _steps(cfg: DictConfig, technique: Technique) -> int:
    if cfg.trainer.max_steps != -1 or cfg.trainer.max_epochs != -1:
        return int(cfg.trainer.max_steps)
    if technique.published_steps > 0:
        log.info(
            "training for %d steps, the published schedule; trainer.max_steps=N or time_limit.total=4d for less",
            technique.published_steps,
        )
    return technique.published_steps


def _images(cfg: DictConfig, technique: GenerativeTechnique) -> dict[str, Any]:
    name, trainer = technique.name, cfg.trainer
    for key, unset in (("max_steps", -1), ("max_epochs", -1), ("min_steps", None), ("min_epochs", None)):
        if trainer[key] != unset:
            raise ConfigError(
                f"trainer.{key}={trainer[key]} says nothing about {name}: Lightning counts the steps of both its "
                f"optimisers, and an epoch is only a unit of the progress bar. Give the length in thousands of images "
                f"shown instead: technique.kimg=N (and trainer.{key}={'null' if unset is None else unset})."
            )
    if trainer.accumulate_grad_batches != 1:
        raise ConfigError(
            f"trainer.accumulate_grad_batches does not work for {name}, which optimises two networks in turn. "
            "technique.batch_gpu=N does a step's images N at a time, with gradients accumulated."
        )
    if trainer.gradient_clip_val is not None:
        raise ConfigError(f"trainer.gradient_clip_val does not work for {name}, which optimises two networks in turn.")
    if math.isinf(technique.kimg_total) and cfg.time_limit.total is None:
        raise ConfigError(f"Say how long to train {name}: technique.kimg=N or time_limit.total=4d.")
    if technique.kimg_limit is None and math.isfinite(technique.kimg_total):
        log.info(
            "training for %g kimg (thousand images shown), the published schedule; technique.kimg=N or "
            "time_limit.total=4d for less",
            technique.kimg_total,
        )
    return {"max_steps": -1, "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}


def fitting_callbacks(nodes: dict[str, Any], technique: Technique) -> dict[str, Any]:
    """Those of the configured callbacks that have something to do for a technique.

    Raises:
        ConfigError: Lightning's averaging of weights is asked for where the technique keeps an average itself.
    """
    generative = isinstance(technique, GenerativeTechnique)
    if generative and "ema" in nodes:
        raise ConfigError(
            f"{technique.name} keeps the moving average of its generator itself, as published: leave callbacks=ema out."
        )
    return {name: node for name, node in nodes.items() if name not in (_VALIDATED if generative else _WATCHED)}
