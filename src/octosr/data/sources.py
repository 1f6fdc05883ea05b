"""Which files a run evaluates on, trains on and validates on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from octosr.catalog import DATASETS
from octosr.data.locate import DatasetFiles, images_under, locate, locate_folder
from octosr.errors import ConfigError, nearest

DEMO = ("demo", "demo_pairs")
FOLDER = "folder"


@dataclass(frozen=True)
class TrainingFiles:
    """HR sides of the training pairs.

    Attributes:
        paths: files to train on, and to hold some out of unless ``held_out`` is given.
        keys: a name for each, unique; decides what is held out.
        held_out: files held out in any case; empty to hold out some of ``paths``.
    """

    paths: tuple[Path, ...]
    keys: tuple[str, ...]
    held_out: tuple[Path, ...] = ()


def check_name(dataset: str) -> None:
    """Refuse a dataset that is neither in the catalog nor one of the others.

    Raises:
        ConfigError: the message names the nearest one.
    """
    known = (*DATASETS, *DEMO, FOLDER)
    if dataset not in known:
        hint = nearest(dataset.lower(), known) or f" Choose one of {', '.join(known)}."
        raise ConfigError(f"There is no dataset named {dataset!r}.{hint}")


def kind_of(dataset: str, standin: bool, own: bool = False) -> str:
    """``study``, ``stand-in``, ``own``, ``demo`` or ``folder``: what scores on these images may be called."""
    if dataset in DEMO:
        return "demo"
    if standin:
        return "stand-in"
    if own:
        return "own"
    return "study" if dataset in DATASETS else "folder"


def domain_of(dataset: str) -> str:
    """The study's domain; ``Mixed`` for the demo set, which has all five, and ``Other`` for a folder."""
    if dataset in DATASETS:
        return DATASETS[dataset].domain
    return "Mixed" if dataset in DEMO else "Other"


def demo_folder(cache: Path | str) -> Path:
    """The demo set, made on first use."""
    from octosr.data.demo import build_demo  # here, since it needs packages of the `demo` extra

    return build_demo(cache)


def evaluation_files(
    dataset: str, root: Path | str | None, path: Path | str | None, cache: Path | str, reference_root: Path | str | None
) -> DatasetFiles:
    """The LR images of a dataset and their references.

    Raises:
        MissingDataError, ConfigError: see :mod:`octosr.data.locate`.
    """
    if path is not None:
        return locate_folder(dataset, path, reference_root)
    if dataset in DEMO:
        folder = demo_folder(cache)
        return locate_folder(dataset, folder if dataset == "demo" else folder / "pairs", reference_root)
    if dataset == FOLDER:
        raise ConfigError("Say which folder: dataset.path=FOLDER.")
    if root is None:
        raise ConfigError("Say where the datasets lie: data.root=FOLDER.")
    return locate(dataset, root, reference_root)


def training_files(files: DatasetFiles | None, demo: Path | None, hr_root: Path | str | None) -> TrainingFiles:
    """The HR images of a run.

    Args:
        files: the dataset, whose own images are the HR side where nothing else is given.
        demo: the demo set's folder, to train on its training crops and validate on its pairs.
        hr_root: any folder of HR images, subfolders included; goes before the others.

    Raises:
        MissingDataError: ``hr_root`` is missing or holds no images.
    """
    if hr_root is not None:
        paths = images_under(hr_root)
        return TrainingFiles(paths, tuple(path.relative_to(hr_root).as_posix() for path in paths))
    if demo is not None:
        paths = images_under(demo / "train")
        return TrainingFiles(paths, tuple(path.stem for path in paths), images_under(demo / "pairs" / "HR"))
    if files is None:
        raise ConfigError("There is neither a dataset nor a folder of HR images to train on.")
    return TrainingFiles(files.lr, tuple(path.stem for path in files.lr))


def study_notes(files: DatasetFiles) -> list[str]:
    """Where a dataset differs from the study's in number; nothing for stand-ins and others."""
    if files.name not in DATASETS or files.standin or files.own:
        return []
    expected = DATASETS[files.name].count
    return [f"{files.name}: {len(files.lr)} images, the study has {expected}"] if len(files.lr) != expected else []


def size_notes(files: DatasetFiles, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Where LR images, sizes given as (height, width), differ from the study's; nothing for stand-ins and others."""
    if files.name not in DATASETS or files.standin or files.own:
        return []
    side = DATASETS[files.name].lr_side
    other = [size for size in sizes if size != (side, side)]
    if not other:
        return []
    height, width = other[0]
    return [f"{files.name}: {len(other)} of {len(sizes)} images are not {side}x{side} (the first: {width}x{height})"]
