"""The cells of a matrix: which there are, what they are called, and how each is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import get_args

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from octosr.errors import ConfigError, nearest
from octosr.runs.cells import CellState, Job, read_state
from octosr.runs.conf import conf_folder
from octosr.runs.matrix.arguments import STUDY, Request
from octosr.runs.metrics_group import register_metrics

CONDITIONS = ("job", "technique", "dataset", "seed")
GROUP = "++logger.group=study"  # one group in W&B


@dataclass(frozen=True)
class MatrixCell:
    """One process of the matrix.

    Attributes:
        job: ``train`` or ``eval``.
        technique: name that its results are filed under.
        dataset: likewise.
        seed: as typed; empty where seeds are no axis.
        root: its output_root.
        overrides: what follows ``train.py`` or ``eval.py``.
    """

    job: Job
    technique: str
    dataset: str
    seed: str
    root: Path
    overrides: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.job} {self.technique} on {self.dataset}{f' seed {self.seed}' if self.seed else ''}"

    @property
    def place(self) -> tuple[Path, str, str, str]:
        """Where its state stands."""
        return self.root, self.job, self.technique, self.dataset

    def state(self) -> CellState | None:
        """Its state on disk."""
        return read_state(*self.place)


@dataclass(frozen=True)
class Plan:
    """The cells in the order in which they are begun, and the names of both axes."""

    cells: tuple[MatrixCell, ...]
    techniques: tuple[str, ...]
    datasets: tuple[str, ...]
    roots: tuple[Path, ...]

    def training_of(self, cell: MatrixCell) -> MatrixCell | None:
        """The training that an evaluation needs to be over, if it is among the cells."""
        if cell.job == "train":
            return None
        same = (c for c in self.cells if c.job == "train" and (c.root, *c.place[2:]) == (cell.root, *cell.place[2:]))
        return next(same, None)


def make_plan(request: Request) -> Plan:
    """All cells that a request asks for.

    Raises:
        ConfigError: there is no such technique or dataset, or a setting is an axis of its own.
    """
    from octosr.runs.trainable import trainable  # imports torch

    conf = conf_folder()
    with initialize_config_dir(str(conf), version_base="1.3"):
        known = ",".join(name for name in STUDY if (conf / "technique" / f"{name}.yaml").is_file())
        techniques = values_of("technique", request.techniques or known)
        datasets = values_of("dataset", request.datasets or "glob(*)")
        seeds = values_of("seed", request.seeds) if request.seeds else [""]
        for job in ("train", "eval"):
            _refuse_sweeps(job, request.settings[job])
    learning = trainable(conf, techniques)
    for name in datasets:
        _check_option("dataset", name)
    cells = []
    for job in get_args(Job):
        settings = request.settings[job]
        for technique in learning if job == "train" else techniques:
            for dataset in datasets:
                for seed in seeds:
                    root = request.output_root / f"seed-{seed}" if seed else request.output_root
                    chosen = [f"technique={technique}", f"dataset={dataset}", *([f"seed={seed}"] if seed else [])]
                    overrides = (*chosen, f"output_root={quoted(root)}", GROUP, *settings)
                    named = _name("technique", technique, settings), _name("dataset", dataset, settings)
                    cells.append(MatrixCell(job, *named, seed, root, overrides))
    axes = tuple(dict.fromkeys(c.technique for c in cells)), tuple(dict.fromkeys(c.dataset for c in cells))
    roots = tuple(dict.fromkeys(cell.root for cell in cells))
    return Plan(tuple(cell for cell in cells if selected(cell, request.only)), *axes, roots)


def selected(cell: MatrixCell, only: Sequence[str]) -> bool:
    """Whether a cell meets all conditions of one of the lines, e.g. ``technique=dan,dataset=s*``.

    Raises:
        ConfigError: a condition on something else.
    """
    return not only or any(all(_meets(cell, condition) for condition in line.split(",")) for line in only)


def _meets(cell: MatrixCell, condition: str) -> bool:
    key, equals, pattern = condition.strip().partition("=")
    if not equals or key not in CONDITIONS:
        hint = nearest(key, CONDITIONS)
        raise ConfigError(
            f"--only takes KEY=PATTERN with KEY among {', '.join(CONDITIONS)}, but got {condition!r}.{hint}"
        )
    return fnmatchcase(str(getattr(cell, key)), pattern)


def values_of(key: str, text: str) -> list[str]:
    """What a sweep over a key stands for; to be called while Hydra is initialised."""
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    (override,) = parser.parse_overrides([f"{key}={text}"])
    return list(override.sweep_string_iterator()) if override.is_sweep_override() else [text]


def composed(cell: MatrixCell) -> DictConfig:
    """The config that the cell's process would get.

    Raises:
        HydraException: a setting that is not there.
    """
    register_metrics(conf_folder())
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose(cell.job, list(cell.overrides))


def _refuse_sweeps(job: str, settings: Iterable[str]) -> None:
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    for override in parser.parse_overrides(list(settings)):
        if override.is_sweep_override():
            raise ConfigError(
                f"{override.input_line} would be several {job} cells with the same place for their results. The axes "
                "of the matrix are techniques=, datasets= and seeds=; start it once for each value, with an "
                "output_root= of its own."
            )


def _check_option(group: str, name: str) -> None:
    folder = conf_folder() / group
    if not (folder / f"{name}.yaml").is_file():
        there = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
        hint = nearest(name, there) or f" Choose from: {', '.join(there)}."
        raise ConfigError(f"There is no {group} '{name}'.{hint}")


def _name(group: str, option: str, settings: Sequence[str]) -> str:
    """The name that an option gives its results, which a setting may change."""
    given = [setting.split("=", 1)[1] for setting in settings if setting.lstrip("+").startswith(f"{group}.name=")]
    return given[-1] if given else str(OmegaConf.load(conf_folder() / group / f"{option}.yaml").name)


def quoted(path: Path) -> str:
    """A path as the value of an override: Hydra wants quotes around some characters."""
    text = str(path)
    if all(character.isalnum() or character in "/._-" for character in text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
