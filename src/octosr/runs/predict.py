"""``predict.py``: enlarge anybody's own images.

What is there already, made from the same bytes by the same weights and settings, is not made again; where that is
everything, no network is built.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import pytorch_lightning as pl
from omegaconf import DictConfig, ListConfig, OmegaConf

from octosr.errors import ConfigError, OctoSRError
from octosr.evaluation.recipe import Recipe
from octosr.prediction.enlarge import Settings
from octosr.prediction.flow import enlarge_all
from octosr.prediction.formats import check_format, suffix_of
from octosr.prediction.inputs import Job, find_jobs
from octosr.prediction.journal import Journal
from octosr.runs.build import build, prepare_hardware, quiet_lightning, technique_class
from octosr.runs.console import console
from octosr.runs.predict_progress import Meter
from octosr.runs.predict_weights import with_checkpoint
from octosr.runs.quit import end_on_signal
from octosr.runs.record import run_record
from octosr.runs.super_resolve import make_trainer
from octosr.runs.weights import Described, describe_technique
from octosr.techniques.base import GenerativeTechnique, SingleImageTechnique
from octosr.techniques.precomputed import Precomputed

log = logging.getLogger(__name__)


class FailedImages(OctoSRError):  # noqa: N818  (the name says it all)
    """Some images were not enlarged; the others were.

    Attributes:
        problems: pairs (file, reason).
    """

    def __init__(self, problems: Sequence[tuple[Path, str]], total: int) -> None:
        self.problems = list(problems)
        lines = "\n".join(f"  {path}: {reason}" for path, reason in self.problems)
        super().__init__(f"{len(self.problems)} of {total} images were not enlarged:\n{lines}")


def predict(cfg: DictConfig) -> None:
    """Enlarge images.

    Args:
        cfg: the composed ``conf/predict.yaml``.

    Raises:
        OctoSRError: a setting is wrong, nothing is there to enlarge, or weights are missing; before any work.
        FailedImages: some images cannot be used or written; the others have been.
        SystemExit: SIGTERM; what is written is whole, and the next start goes on from there.
    """
    quiet_lightning()
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    _check(cfg)
    output = Path(cfg.output)
    jobs = find_jobs(_inputs(cfg), output, lambda path: suffix_of(path, cfg.format))
    cfg = with_checkpoint(cfg)
    described = describe_technique(cfg)
    recipe = _recipe(cfg, described)
    trainer = make_trainer(cfg)
    ran = run_record(trainer.strategy.root_device, str(cfg.trainer.precision))
    record = {"recipe": _plain_recipe(recipe), "run": ran}
    journal = Journal(output, recipe.key, record)
    problems: list[tuple[Path, str]] = []
    todo = _pending(jobs, journal, bool(cfg.overwrite), problems)
    with Meter(len(todo)) as meter:
        if todo:
            technique = _technique(cfg, described, trainer)
            precision = trainer.precision_plugin.forward_context
            with end_on_signal(signal.SIGTERM):  # Ctrl-C is answered by the entry point
                problems += enlarge_all(todo, technique, _settings(cfg), journal, meter, precision)
    console.print(meter.summary(output, there=len(jobs) - len(todo) - _foreign(problems, todo)), markup=False)
    if problems:
        raise FailedImages(problems, len(jobs))


def _check(cfg: DictConfig) -> None:
    for key, example in (("input", "photos/"), ("output", "big/")):
        if OmegaConf.is_missing(cfg, key):
            raise ConfigError(f"{key} is not said: input=PATH output=FOLDER, e.g. {key}={example}; --help says more.")
    check_format(str(cfg.format), int(cfg.quality))
    made = technique_class(cfg)
    name = cfg.technique.name
    if issubclass(made, GenerativeTechnique):
        raise ConfigError(
            f"technique={name} makes new images from seeds and enlarges none; eval.py shows what it makes. "
            "Choose one that super-resolves, e.g. technique=dan or technique=bicubic."
        )
    if issubclass(made, Precomputed):
        raise ConfigError(f"technique={name} stands for images that are there already: there is nothing to run.")
    if cfg.trainer.devices not in (1, "1", [0], "auto") or cfg.trainer.num_nodes != 1:
        raise ConfigError(
            f"predict.py runs on one device, but trainer.devices={cfg.trainer.devices} on {cfg.trainer.num_nodes} "
            "machine(s) were asked for: hardware=gpu or hardware=cpu. To use several, give each a part of the images."
        )
    if cfg.tile is not None and int(cfg.tile) < 1:
        raise ConfigError(f"tile={cfg.tile} is a side in pixels: 1 or more, or null.")
    asked = cfg.batch_size
    if asked != "auto" and not (isinstance(asked, int) and asked >= 1):
        raise ConfigError(f"batch_size={asked} is how many small images are enlarged at once: auto, or 1 or more.")
    if int(cfg.scale) < 1:
        raise ConfigError(f"scale={cfg.scale} is how many times larger: 8, 4 or 2.")
    given = cfg.geo.range
    if given is not None and not (len(given) == 2 and given[0] < given[1]):
        raise ConfigError(f"geo.range={given} is the smallest and the largest value, e.g. geo.range=[0,10000].")


def _inputs(cfg: DictConfig) -> list[str]:
    given = list(cfg.input) if isinstance(cfg.input, ListConfig) else [cfg.input]
    return [str(item) for item in given]


def _recipe(cfg: DictConfig, described: Described) -> Recipe:
    """What determines a result besides its LR image. Not the tile and the batch: their results differ by rounding."""
    settings: dict[str, Any] = {"scale": int(cfg.scale), "self_ensemble": bool(cfg.self_ensemble)}
    settings["geo.range"] = None if cfg.geo.range is None else [float(value) for value in cfg.geo.range]
    if cfg.format in ("jpg", "webp", "same"):
        settings["quality"] = int(cfg.quality)
    arguments = {**described.arguments, "predict": settings}
    return Recipe(str(cfg.technique.name), arguments, described.weights, int(cfg.seed), str(cfg.trainer.precision))


def _plain_recipe(recipe: Recipe) -> dict[str, Any]:
    return {
        "technique": recipe.technique,
        "arguments": recipe.arguments,
        "weights": [list(pair) for pair in recipe.weights],
        "seed": recipe.seed,
        "precision": recipe.precision,
    }


def _pending(jobs: Sequence[Job], journal: Journal, overwrite: bool, problems: list[tuple[Path, str]]) -> list[Job]:
    """The jobs that are not done; files in the way that we did not make become problems."""
    todo = []
    outdated = 0
    for job in jobs:
        if job.target.is_dir():
            problems.append((job.source, f"{job.target} is a folder; move it, or choose another output"))
            continue
        try:
            state = "absent" if overwrite else journal.state(job.name, job.target, job.source)
        except OSError:  # the image cannot be read: it says so itself when its turn comes
            state = "absent"
        if state == "foreign":
            problems.append(
                (job.source, f"{job.target} is there and is not what predict.py wrote; overwrite=true replaces it")
            )
        elif state != "current":
            outdated += state == "outdated"
            todo.append(job)
    if outdated:
        log.info("%d results of other settings, weights or inputs are replaced", outdated)
    return todo


def _foreign(problems: Sequence[tuple[Path, str]], todo: Sequence[Job]) -> int:
    tried = {job.source for job in todo}
    return sum(path not in tried for path, _ in problems)


def _technique(cfg: DictConfig, described: Described, trainer: pl.Trainer) -> SingleImageTechnique:
    """Built, loaded, at the scale wanted, on its device."""
    technique = cast(SingleImageTechnique, build(described.arguments))
    if described.paths:
        log.info(technique.load_weights(described.paths))
    if technique.scale != cfg.scale:
        technique = technique.at_scale(int(cfg.scale))
    prepare_hardware(technique, cfg)
    trainer.precision_plugin.convert_module(technique)
    technique.to(trainer.strategy.root_device)
    return technique.eval()


def _settings(cfg: DictConfig) -> Settings:
    value_range = None if cfg.geo.range is None else (float(cfg.geo.range[0]), float(cfg.geo.range[1]))
    return Settings(
        tile=None if cfg.tile is None else int(cfg.tile),
        self_ensemble=bool(cfg.self_ensemble),
        quality=int(cfg.quality),
        value_range=value_range,
        max_pixels=int(cfg.data.max_pixels),
        batch_size=None if cfg.batch_size == "auto" else int(cfg.batch_size),
    )
