"""What determines the result of a cell, so that a finished one is run again when, and only when, that has changed.

No torch here: ``multirun.sh`` compares, and so may ``report.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

NEUTRAL = (
    "hydra",
    "output_root",
    "logger",
    "resume",
    "redo",
    "callbacks.progress",
    "callbacks.time_limit",
    "callbacks.image_logger",
    "time_limit.allocation",
    "time_limit.margin",
    "hardware.name",
    "hardware.cuda_graphs",
    "trainer.accelerator",
    "trainer.plugins",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.log_every_n_steps",
    "data.decoded_cache_mb",
    "data.device_cache_mb",
    "data.eval_batch_size",
    "metrics.batch_size",
    "metrics.download",
)
"""Settings that change how a cell is run and not what comes out."""

NEUTRAL_FOR_EVALUATION = ("callbacks", "hardware", "time_limit", "trainer")
"""Likewise, for an evaluation; of the trainer only the precision counts."""


def settings_of(config: DictConfig, job: str) -> dict[str, Any]:
    """The settings that determine a cell's result, by dotted name.

    Args:
        config: as composed for the job.
        job: ``train`` or ``eval``.

    Returns:
        Plain values, interpolations resolved.
    """
    neutral = NEUTRAL if job == "train" else (*NEUTRAL, *NEUTRAL_FOR_EVALUATION)
    root = str(config.output_root)
    settings: dict[str, Any] = {}
    for top in config:
        if top != "hydra":
            node = OmegaConf.select(config, str(top), throw_on_missing=False)
            plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
            settings |= _flat(plain, str(top))
    return {
        # A folder of outputs may be moved, or named in another way.
        name: value.replace(root, "OUTPUT_ROOT", 1) if isinstance(value, str) and value.startswith(root) else value
        for name, value in settings.items()
        if name == "trainer.precision" or not any(name == key or name.startswith(f"{key}.") for key in neutral)
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each setting that differs, e.g. ``trainer.max_steps: 100 -> 200``."""
    names = dict.fromkeys([*before, *now])
    return [
        f"{name}: {before.get(name, 'not set')} -> {now.get(name, 'not set')}"
        for name in names
        if before.get(name, ...) != now.get(name, ...)
    ]


def digest_of_files(files: Iterable[Path]) -> str:
    """A digest of names, sizes and times of change: milliseconds for a dataset, nothing is read.

    A file that is not there is part of it, so that it is noticed when it comes.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            found = path.stat()
            line = f"{path.name}\0{found.st_size}\0{found.st_mtime_ns}\n"
        except OSError:  # a dangling link, or not there yet
            line = f"{path.name}\0absent\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def digest_of_configs(conf: Path) -> str:
    """A digest of the contents of all config files: where it is the same, so are the configs of the same settings."""
    digest = hashlib.sha256()
    for path in sorted(conf.rglob("*.yaml")):
        digest.update(f"{path.relative_to(conf)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def inputs_of(settings: Mapping[str, Any], output_root: Path, job: str, technique: str) -> dict[str, str]:
    """Digests of what a cell works on: the dataset's files, and the weights that an evaluation uses.

    Args:
        settings: as :func:`settings_of` gives them.
        output_root: of the run.
        job: ``train`` or ``eval``.
        technique: its name, under which training leaves its checkpoint.
    """
    found = {"data": digest_of_files(dataset_files(settings))}
    given = settings.get("weights")
    if job == "eval" and given is None:
        checkpoint = output_root / "checkpoints" / technique / str(settings["dataset.name"]) / "last.ckpt"
        found["weights"] = digest_of_files([checkpoint])
    elif given is not None:
        found["weights"] = digest_of_files(Path(str(item)) for item in (given if isinstance(given, list) else [given]))
    return found


def dataset_files(settings: Mapping[str, Any]) -> list[Path]:
    """The LR images and references of a cell's dataset; none if they are not there, or are the embedded ones."""
    from octosr.data.locate import locate, locate_folder  # imports torch
    from octosr.errors import OctoSRError

    name, path = str(settings["dataset.name"]), settings.get("dataset.path")
    root, references = settings.get("data.root", "data"), settings.get("data.reference_root")
    try:
        found = locate_folder(name, path, references) if path else locate(name, root, references)
    except OctoSRError:
        return []  # the cell itself says what is missing, and how to get it
    return [*found.lr, *found.references.values()]


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _flat(child, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value
