"""Which weights a cell uses, and the technique rebuilt as it was trained."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from octosr.callbacks.checkpoint_files import LAST, whole_checkpoint
from octosr.callbacks.time_limit import TimeLimit
from octosr.errors import MissingWeightsError, WrongWeightsError
from octosr.hashing import cached_sha256
from octosr.runs.build import build_technique, plain, technique_class
from octosr.runs.weight_files import find_files
from octosr.techniques.base import Technique
from octosr.techniques.weights import read_weight_file
from octosr.typed import typed

log = logging.getLogger(__name__)

CARD = "octosr"
"""The key under which our checkpoints keep a plain record of the run."""

TRAINED_SECONDS = "trained_seconds"


def checkpoint_folder(cfg: DictConfig) -> Path:
    """Where the checkpoints of a cell lie: ``output_root/checkpoints/TECHNIQUE/DATASET``."""
    return Path(cfg.output_root) / "checkpoints" / cfg.technique.name / cfg.dataset.name


def find_weights(cfg: DictConfig) -> list[Path]:
    """The weight files of a cell: those of ``weights=``, or the checkpoint that training left.

    Raises:
        MissingWeightsError: none are there; the message says all the ways to give them.
    """
    if cfg.weights is None:
        if technique_class(cfg).pretrained:
            return technique_class(cfg).own_weights(plain(cfg.technique))
        path = checkpoint_folder(cfg) / LAST
        found = whole_checkpoint(path.parent)
        if found is not None:
            return [found]
        raise MissingWeightsError(
            f"There are no weights for technique '{cfg.technique.name}' on dataset '{cfg.dataset.name}'.\n"
            f"  looked for: {path}\n"
            "Three ways to get them:\n"
            f"  train:            {typed('train')} technique={cfg.technique.name} dataset={cfg.dataset.name}\n"
            "  your own file:    weights=PATH            (a checkpoint of ours, or an official release;"
            " a list, one file a stage: weights=[x2.pth,x4.pth])\n"
            f"  download:         {typed('prepare')} weights=list names what is published, and weights='https://...'"
            " fetches a file"
        )
    given = list(cfg.weights) if isinstance(cfg.weights, ListConfig) else [cfg.weights]
    return [path for item in given for path in find_files(str(item), Path(cfg.output_root))]


def read_card(path: Path) -> dict[str, Any]:
    """The record our checkpoints keep of their run (technique, dataset, kind of data, ...); empty for other files.

    ``trained_seconds`` is the time that training has taken over all resumes, where it was measured.
    """
    content = read_weight_file(path)
    card = content.get(CARD, {})
    if not isinstance(card, dict):
        return {}
    measured = content.get("callbacks", {}).get(TimeLimit.__name__, {}) if card else {}
    return card | ({TRAINED_SECONDS: float(measured["elapsed"])} if "elapsed" in measured else {})


def as_trained(
    current: dict[str, Any], trained: dict[str, Any], changes: list[str], prefix: str = ""
) -> dict[str, Any]:
    """The current settings of a technique with the values it was trained with.

    Only plain values of settings that exist are taken over; names starting with an underscore, such
    as ``_target_``, never are: a weight file must not decide which code runs.

    Args:
        current: settings from the config.
        trained: settings from the checkpoint.
        changes: filled with one line per value that differs.
        prefix: of the names in those lines.
    """
    merged = dict(current)
    for key, value in trained.items():
        if key not in current or str(key).startswith("_") or (not prefix and key == "name"):
            continue
        if isinstance(current[key], dict) and isinstance(value, dict) and "_target_" in current[key]:
            merged[key] = as_trained(current[key], value, changes, f"{prefix}{key}.")
        elif current[key] != value and not _holds_target(value):
            changes.append(f"{prefix}{key}={value}")
            merged[key] = value
    return merged


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return any(str(k).startswith("_") or _holds_target(v) for k, v in value.items())
    return isinstance(value, list) and any(_holds_target(v) for v in value)


@dataclass(frozen=True)
class Described:
    """A technique as a cell uses it, before it is built.

    Attributes:
        arguments: its settings as plain values, as it was trained.
        paths: its weight files; none for baselines.
        weights: name and sha256 of each of them.
        card: the record of the training run; empty for baselines and foreign weights.
    """

    arguments: dict[str, Any]
    paths: tuple[Path, ...] = ()
    weights: tuple[tuple[str, str], ...] = ()
    card: dict[str, Any] = field(default_factory=dict)


def describe_technique(cfg: DictConfig) -> Described:
    """Settings and weights of a cell's technique, without building its networks.

    Raises:
        MissingWeightsError: there are none; the message says all the ways to give them.
        WrongWeightsError: a file cannot be read, or the technique takes none.
    """
    arguments = plain(cfg.technique)
    kind = technique_class(cfg)
    if not kind.trainable and not kind.pretrained:
        if cfg.weights is not None:
            raise WrongWeightsError(f"technique '{cfg.technique.name}' has nothing to learn: it takes no weights.")
        return Described(arguments)
    paths = find_weights(cfg)
    card = read_card(paths[0]) if len(paths) == 1 and not kind.pretrained else {}
    changes: list[str] = []
    asked = set(kind.inference_settings)
    trained = {key: value for key, value in card.get("technique", {}).items() if key not in asked}
    arguments = as_trained(arguments, trained, changes)
    if changes:
        log.info("rebuilt as it was trained: %s", ", ".join(f"technique.{change}" for change in changes))
    return Described(arguments, tuple(paths), tuple((path.name, cached_sha256(path)) for path in paths), card)


def load_technique(cfg: DictConfig, described: Described) -> Technique:
    """Build the technique of a cell with its weights, ready for evaluation."""
    technique = build_technique(described.arguments, cfg)
    if described.paths:
        log.info(technique.load_weights(described.paths))
    return technique
