"""Where the figures of a run go: Weights & Biases, a CSV file, TensorBoard, or nowhere."""

from __future__ import annotations

import hashlib
import logging
import netrc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger, Logger

from octosr.catalog import DATASETS
from octosr.errors import ConfigError, nearest
from octosr.runs.sweep import in_sweep

log = logging.getLogger(__name__)

NAMES = ("wandb", "csv", "tensorboard", "none")
MODES = ("online", "offline", "disabled")
_SECRET = re.compile(r"(key|token|secret|password|passwd|credential)s?$", re.IGNORECASE)


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


def wandb_mode(asked: str | None) -> str:
    """``online``, ``offline`` or ``disabled``: what is asked for, else WANDB_MODE, else by whether there is a key.

    Raises:
        ConfigError: another mode.
    """
    mode = asked or os.environ.get("WANDB_MODE")
    if mode is None:
        mode = "online" if has_wandb_key() else "offline"
    mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)  # names of old
    if mode not in MODES:
        raise ConfigError(f"logger.mode must be one of {', '.join(MODES)}, but got {mode!r}.{nearest(mode, MODES)}")
    return mode


def has_wandb_key() -> bool:
    """Whether a W&B key is configured: in the environment, a netrc file or wandb's settings. Asks no server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    for path in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        file = Path(path).expanduser() if path else None
        if file is not None and file.is_file() and netrc.netrc(file).authenticators(host):
            return True
    import wandb

    return bool(wandb.setup().settings.api_key)


def without_secrets(value: Any) -> Any:
    """A copy of a nested config without the entries whose name says that they are secret."""
    if isinstance(value, Mapping):
        return {k: without_secrets(v) for k, v in value.items() if not _SECRET.search(str(k))}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def _wandb(cfg: DictConfig, job: str, kind: str) -> Logger:
    root = Path(cfg.output_root).resolve() / "wandb"
    root.mkdir(parents=True, exist_ok=True)
    # wandb keeps caches and logs in the home folder unless told otherwise; a run writes under output_root only.
    for variable, folder in (
        ("WANDB_CACHE_DIR", "cache"),
        ("WANDB_DATA_DIR", "data"),
        ("WANDB_ARTIFACT_DIR", "artifacts"),
    ):
        os.environ.setdefault(variable, str(root / folder))
    import wandb

    settings = cfg.logger
    mode = wandb_mode(settings.mode)
    dataset = DATASETS.get(cfg.dataset.name)
    tags = [cfg.dataset.name, *([dataset.domain] if dataset is not None else []), kind.upper(), *settings.tags]
    logger = pl.loggers.WandbLogger(
        project=settings.project,
        entity=settings.entity,
        name=f"{cfg.technique.name}/{cfg.dataset.name}",
        group=cfg.technique.name,
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
