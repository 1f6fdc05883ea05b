"""From a composed config to objects, with errors that a person can act on."""

from __future__ import annotations

import logging
import os
import platform
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

from octosr import __version__
from octosr.data.datamodule import ImageDataModule
from octosr.data.whole import WholeSettings
from octosr.errors import ConfigError, MissingMetricError, OctoSRError, nearest
from octosr.metrics.base import ImageMetric
from octosr.metrics.inapplicable import Inapplicable
from octosr.runs.metrics_group import extra_node
from octosr.runs.sweep import warn
from octosr.techniques.base import GenerativeTechnique, SingleImageTechnique, Technique

log = logging.getLogger(__name__)

ON_MISSING = ("auto", "error", "skip")


def build(node: Any, **extra: Any) -> Any:
    """``hydra.utils.instantiate``, but an error written for the user comes through as it is.

    Raises:
        OctoSRError: the constructor raised it.
        InstantiationException: any other failure, with the target's name.
    """
    try:
        return instantiate(node, **extra)
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OctoSRError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from error
        raise


def choose(key: str, value: str, options: tuple[str, ...]) -> str:
    """Check a setting that takes one of a few words.

    Raises:
        ConfigError: another word; the nearest right one is named.
    """
    if value not in options:
        raise ConfigError(
            f"{key} must be one of {', '.join(options)}, but got {value!r}.{nearest(str(value), options)}"
        )
    return value


def plain(node: Any) -> Any:
    """A config node as plain Python values, interpolations resolved."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def technique_class(cfg: DictConfig) -> type[Technique]:
    """The class that ``technique._target_`` names."""
    return get_class(cfg.technique._target_)


def build_technique(arguments: dict[str, Any], cfg: DictConfig) -> Technique:
    """Construct a technique and check that it fits the run.

    Raises:
        ConfigError: its stages do not multiply to ``scale``.
    """
    technique = build(arguments)
    if isinstance(technique, SingleImageTechnique) and technique.scale != cfg.scale:
        stages = " x ".join(str(s) for s in technique.stages)
        raise ConfigError(
            f"technique.stages {list(technique.stages)} enlarge {stages} = {technique.scale} times, but scale is "
            f"{cfg.scale}. Set both, e.g. scale={technique.scale}."
        )
    return technique


def build_datamodule(cfg: DictConfig, technique: Technique | None = None) -> ImageDataModule:
    """The data of a cell: crops of the size that the technique wants unless ``data.patch`` is set, or whole images."""
    settings = dict(plain(cfg.data))
    choose("data.source", settings["source"], ("self", "hr_root"))
    choose("data.on_bad_image", settings["on_bad_image"], ("error", "skip"))
    if settings["patch"] is None:
        settings["patch"] = technique.hr_patch if isinstance(technique, SingleImageTechnique) else 128
    whole = None
    if isinstance(technique, GenerativeTechnique):
        whole = WholeSettings(technique.resolution, technique.enlarge, technique.flip)
    return ImageDataModule(
        dataset=cfg.dataset.name,
        path=cfg.dataset.path,
        cache=str(Path(cfg.output_root) / "cache"),
        seed=cfg.seed,
        scale=cfg.scale,
        whole=whole,
        **settings,
    )


def build_metrics(cfg: DictConfig, kind: str, generated: bool = False) -> tuple[dict[str, ImageMetric], dict[str, str]]:
    """The metrics that were asked for, before they have loaded anything large: see :func:`prepare_metrics`.

    Args:
        cfg: the run's config.
        kind: kind of the data; with ``metrics.on_missing=auto`` the study's data make a missing metric an error.
        generated: the images have no references, so that a metric that needs one is not missed.

    Returns:
        The metrics by name, and for each that is not available here the reason.

    Raises:
        MissingMetricError: a metric cannot be computed here and may not be skipped.
    """
    choose("metrics.on_missing", cfg.metrics.on_missing, ON_MISSING)
    metrics: dict[str, ImageMetric] = {}
    missing: dict[str, str] = {}
    for name, node in _metric_nodes(cfg).items():
        try:
            metrics[name] = build(node)
        except MissingMetricError as error:
            made: Any = get_class(node["_target_"])
            if generated and made.compares_with != "nothing":
                metrics[name] = Inapplicable(name, made.compares_with, made.higher_is_better)
                continue
            missing[name] = _not_available(cfg, kind, name, error)
    return metrics, missing


def prepare_metrics(cfg: DictConfig, kind: str, metrics: Mapping[str, ImageMetric]) -> dict[str, str]:
    """Load what metrics need to score: before hours of super-resolution, and only where something must be scored.

    Returns:
        For each that turns out not to be available here the reason.

    Raises:
        MissingMetricError: a metric cannot be computed here and may not be skipped.
    """
    missing: dict[str, str] = {}
    for name, metric in metrics.items():
        try:
            metric.prepare()
        except MissingMetricError as error:
            missing[name] = _not_available(cfg, kind, name, error)
    return missing


def _not_available(cfg: DictConfig, kind: str, name: str, error: MissingMetricError) -> str:
    """The reason, said on the screen; or the error itself where the metric may not be skipped."""
    policy = cfg.metrics.on_missing
    if policy == "error" or (policy == "auto" and kind == "study"):
        raise error
    warn(f"{name} is not available: its column stays empty. {error}")
    return str(error)


def _metric_nodes(cfg: DictConfig) -> dict[str, Any]:
    """The configs of the metrics by name: those chosen in the group, and pyiqa's that ``metrics.extra`` names."""
    nodes = {str(name): node for name, node in cfg.metrics.items() if OmegaConf.is_dict(node) and "_target_" in node}
    extra = [str(name) for name in cfg.metrics.extra if str(name) not in nodes]
    return nodes | {name: extra_node(name) | {"download": cfg.metrics.download} for name in extra}


def prepare_hardware(technique: Technique, cfg: DictConfig) -> None:
    """Apply what ``hardware`` asks of the network itself: memory format, compilation, graphs, precision of products."""
    hardware = cfg.hardware
    if hardware.matmul_precision is not None:
        torch.set_float32_matmul_precision(hardware.matmul_precision)
        # Convolutions have a switch of their own, on by default. Not cudnn.conv.fp32_precision: with "ieee" there,
        # asking this older one raises.
        torch.backends.cudnn.allow_tf32 = hardware.matmul_precision != "highest"
    technique.record_passes = bool(hardware.cuda_graphs) and not hardware.compile
    if hardware.channels_last:
        technique.to(memory_format=torch.channels_last)
    if hardware.compile:
        # Where the other cells find it too, on whatever node; by default it is in a folder for temporary files.
        compiled = Path(cfg.output_root).resolve() / "cache" / "compiled"
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled))
        technique.compile_networks()


def quiet_lightning() -> None:
    """Leave out what Lightning says to developers; what a run decides is said by its own lines."""
    for name in ("pytorch_lightning", "lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*isinstance\(treespec, LeafSpec\)` is deprecated.*",
        r".*Couldn't infer the batch indices.*",
        r".*is smaller than the logging interval.*",
        r".*`weights_only` was not set.*",
        r".*does not have many workers.*",
        r".*`srun` command is available on your system but is not used.*",
        r".*`broadcast_buffers` is deprecated.*",  # what it says to use instead does not exist yet
        r".*recommended to use `self\.log\(.*sync_dist=True.*",  # our validation metrics are means over all processes
        r"You passed in a `val_dataloader` but have no `validation_step`.*",
        r".*Checkpoint directory .* exists and is not empty.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def versions() -> dict[str, str]:
    """Versions of what can change a number."""
    found = {"octosr": __version__, "python": platform.python_version()}
    for package in ("torch", "pytorch-lightning", "torchmetrics", "pyiqa", "numpy", "scipy", "pillow"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
