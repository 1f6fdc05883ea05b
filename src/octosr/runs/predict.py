"""``predict.py``: enlarge anybody's own images.

What is there already, made from the same bytes by the same weights and settings, is not made again; where that is
everything, no network is built.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

# isort: split
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, ListConfig, OmegaConf

from octosr.atomic import replacing
from octosr.data.decode import UnreadableImage
from octosr.errors import ConfigError, OctoSRError
from octosr.evaluation.recipe import Recipe
from octosr.hashing import file_sha256
from octosr.prediction.enlarge import Outcome, Settings, enlarge
from octosr.prediction.formats import check_format, suffix_of
from octosr.prediction.inputs import Job, find_jobs
from octosr.prediction.journal import Journal
from octosr.runs.build import build, prepare_hardware, quiet_lightning, technique_class
from octosr.runs.console import console
from octosr.runs.predict_progress import Meter
from octosr.runs.predict_weights import with_checkpoint
from octosr.runs.record import run_record
from octosr.runs.super_resolve import make_trainer
from octosr.runs.weights import Described, describe_technique
from octosr.techniques.base import GenerativeTechnique, SingleImageTechnique
from octosr.techniques.precomputed import Precomputed

log = logging.getLogger(__name__)

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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
    precision = str(cfg.trainer.precision)
    record = {"recipe": _plain_recipe(recipe), "run": run_record(trainer.strategy.root_device, precision)}
    journal = Journal(output, recipe.key, record)
    problems: list[tuple[Path, str]] = []
    todo = _pending(jobs, journal, bool(cfg.overwrite), problems)
    with Meter(len(todo)) as meter:
        if todo:
            technique = _technique(cfg, described, trainer)
            _enlarge_all(cfg, todo, technique, trainer, journal, meter, problems)
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
    if int(cfg.scale) < 1:
        raise ConfigError(f"scale={cfg.scale} is how many times larger: 8, 4 or 2.")
    given = cfg.geo.range
    if given is not None and not (len(given) == 2 and given[0] < given[1]):
        raise ConfigError(f"geo.range={given} is the smallest and the largest value, e.g. geo.range=[0,10000].")


def _inputs(cfg: DictConfig) -> list[str]:
    given = list(cfg.input) if isinstance(cfg.input, ListConfig) else [cfg.input]
    return [str(item) for item in given]


def _recipe(cfg: DictConfig, described: Described) -> Recipe:
    """What determines a result besides its LR image. Not the tile: its results differ by rounding."""
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


def _enlarge_all(
    cfg: DictConfig,
    jobs: Sequence[Job],
    technique: SingleImageTechnique,
    trainer: pl.Trainer,
    journal: Journal,
    meter: Meter,
    problems: list[tuple[Path, str]],
) -> None:
    value_range = None if cfg.geo.range is None else (float(cfg.geo.range[0]), float(cfg.geo.range[1]))
    settings = Settings(
        None if cfg.tile is None else int(cfg.tile),
        bool(cfg.self_ensemble),
        int(cfg.quality),
        value_range,
        int(cfg.data.max_pixels),
    )
    for job in jobs:
        meter.begin(str(job.source))
        try:
            with replacing(job.target) as temporary, trainer.precision_plugin.forward_context():
                made = enlarge(job.source, temporary, job.target, technique, settings, meter.advance)
                _note(journal, job, temporary, made)
        except UnreadableImage as error:
            reason = error.reason
        except ConfigError:  # would be the same for every image
            raise
        except OctoSRError as error:
            reason = str(error)
        except (MemoryError, torch.OutOfMemoryError) as error:
            reason = f"the memory does not suffice ({error or 'out of memory'}): try a smaller tile=N, or format=png"
        except OSError as error:
            if _no_space(error):
                raise ConfigError(
                    f"{job.target} cannot be written ({error.strerror or error}). {meter.done} images were finished; "
                    "the same command goes on when there is room."
                ) from error
            reason = f"{job.target} cannot be written: {error.strerror or error}"
        else:
            meter.end(job, made)
            continue
        meter.fail()
        problems.append((job.source, reason))


def _note(journal: Journal, job: Job, temporary: Path, made: Outcome) -> None:
    tiles = [{"tile": report.tile, "tiles": report.tiles, "halvings": report.halvings} for report in made.reports]
    size = {"height": made.height, "width": made.width}
    journal.add(job.name, file_sha256(temporary), job.source, **size, tiling=tiles, notes=made.notes)


def _no_space(error: OSError) -> bool:
    return error.errno in _NO_SPACE or "No space left on device" in str(error)
