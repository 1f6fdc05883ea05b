"""Where the figures of a run go: Weights & Biases, a CSV file, TensorBoard, or nowhere."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger

from octosr.catalog import DATASETS
from octosr.errors import ConfigError, nearest
from octosr.runs.sweep import in_sweep
from octosr.runs.wandb_access import keep_under, wandb_mode, without_secrets

log = logging.getLogger(__name__)

NAMES = ("wandb", "csv", "tensorboard", "none")


@contextmanager
def open_logger(cfg: DictConfig, job: Literal["train", "eval"], kind: str) -> Iterator[Logger | None]:
    """The logger of a run, closed whatever happens, so that the next run of a sweep gets its own.

    Args:
        cfg: the run's whole config; ``cfg.logger`` says which logger.
        job: what the run does.
        kind: kind of the data; ``stand-in`` puts STAND-IN among the tags.

    Yields:
        The logger, or None for ``logger=none``.

    Raises:
        ConfigError: an unknown logger or mode, or a package that is not installed.
    """
    logger = build_logger(cfg, job, kind)
    status = "failed"
    try:
        yield logger
        status = "success"
    finally:
        if logger is not None:
            logger.finalize(status)
        if isinstance(logger, pl.loggers.WandbLogger):
            import wandb

            if wandb.run is not None:  # None in the processes that log nothing
                wandb.finish(exit_code=0 if status == "success" else 1)


def build_logger(cfg: DictConfig, job: str, kind: str) -> Logger | None:
    """Construct the logger that ``cfg.logger`` asks for; see :func:`open_logger`."""
    name = str(cfg.logger.name)
    root = Path(cfg.output_root)
    folder = f"{cfg.technique.name}/{cfg.dataset.name}"
    if name == "none":
        return None
    if name == "csv":
        # A version a start: CSVLogger would empty the folder of an earlier one.
        return CSVLogger(root / "logs", name=f"{folder}/{job}")
    if name == "tensorboard":
        try:
            return pl.loggers.TensorBoardLogger(root / "tensorboard", name=f"{folder}/{job}")
        except ModuleNotFoundError as error:
            raise ConfigError(
                "logger=tensorboard needs a package that is not installed: pip install 'octosr[tensorboard]'. "
                "Or choose logger=csv."
            ) from error
    if name == "wandb":
        return _wandb(cfg, job, kind)
    raise ConfigError(f"logger.name must be one of {', '.join(NAMES)}, but got {name!r}.{nearest(name, NAMES)}")


def run_id(cfg: DictConfig, job: str) -> str:
    """An identifier that is the same at each start of the same cell, so that a resumed run goes on in one curve."""
    parts = (cfg.technique.name, cfg.dataset.name, job, cfg.seed, Path(cfg.output_root).resolve())
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:12]


def _wandb(cfg: DictConfig, job: str, kind: str) -> Logger:
    root = Path(cfg.output_root).resolve() / "wandb"
    keep_under(root)
    import wandb

    settings = cfg.logger
    mode = wandb_mode(settings.mode)
    dataset = DATASETS.get(cfg.dataset.name)
    tags = [cfg.dataset.name, *([dataset.domain] if dataset is not None else []), kind.upper(), *settings.tags]
    logger = pl.loggers.WandbLogger(
        project=settings.project,
        entity=settings.entity,
        name=f"{cfg.technique.name}/{cfg.dataset.name}",
        group=settings.get("group") or cfg.technique.name,
        job_type=job,
        id=run_id(cfg, job),
        tags=sorted(set(tags)),
        save_dir=root.parent,
        mode=mode,
        config=without_secrets(OmegaConf.to_container(cfg, resolve=True)),
        save_code=False,
        settings=wandb.Settings(silent=True, console="off", disable_git=True),
    )
    logger._wandb_init.pop("anonymous", None)  # Lightning always passes it, and wandb warns about it
    if mode == "offline" and not in_sweep():
        log.info("W&B is offline: upload later with `wandb sync %s`, or choose logger=csv", root / "offline-run-*")
    return logger
