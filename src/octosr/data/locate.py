"""Where the images of a dataset lie.

``root/<dataset>/`` or ``root/<Domain>/<dataset>/``, the images there or in ``LR/`` below it, references in ``HR/``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from octosr.catalog import COUNT, DATASETS, KAGGLE_URL
from octosr.errors import ConfigError, MissingDataError
from octosr.typed import typed

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
"""Image file extensions, in any letter case."""

MARKER = "STANDIN.json"
"""A dataset folder that holds this file holds stand-ins, not the dataset's own images."""

OWN_MARKER = "OWN.json"
"""A dataset folder that holds this file was built from somebody's own images; the file says from which."""


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one dataset.

    Attributes:
        name: the dataset.
        folder: the dataset's folder (the one that holds ``LR/`` where there is an ``LR/``).
        lr: LR image files in natural order; their stems are unique.
        references: HR reference file by LR stem, for those that have one.
        standin: whether these are stand-ins.
        own: whether these were built from somebody's own images (``prepare.py dataset=NAME from=FOLDER``).
    """

    name: str
    folder: Path
    lr: tuple[Path, ...]
    references: dict[str, Path]
    standin: bool
    own: bool = False


def locate(name: str, root: Path | str, reference_root: Path | str | None = None) -> DatasetFiles:
    """Find a dataset under a root folder.

    Args:
        name: name of the dataset; folder names are also accepted in other letter case.
        root: the folder that holds the datasets.
        reference_root: another such folder, with HR references of the same stems; it goes before ``HR/``.

    Raises:
        MissingDataError: no images there; the message says how to get them.
        ConfigError: images in more than one of the places, or two files of one stem.
    """
    folders = [folder for folder in dataset_places(name, Path(root)) if images_in(_lr_folder(folder))]
    if not folders:
        raise MissingDataError(missing_message([name], root))
    if len(folders) > 1:
        raise ConfigError(
            f"{name} is in more than one place: {', '.join(map(str, folders))}. "
            "Keep one of them, or name it with dataset.path=FOLDER."
        )
    return locate_folder(name, folders[0], reference_root)


def locate_folder(name: str, folder: Path | str, reference_root: Path | str | None = None) -> DatasetFiles:
    """The files of one given folder (or its ``LR/`` and ``HR/``); arguments and errors as :func:`locate`."""
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "not there"
        raise MissingDataError(f"The folder of images {folder} is {what}. Name another with dataset.path=FOLDER.")
    source = _lr_folder(folder)
    lr = _unique(images_in(source))
    if not lr:
        raise MissingDataError(f"The folder {source} holds no image files ({_extensions()}).")
    references: dict[str, Path] = {}
    for place in (_child(folder, "HR"), *_reference_places(name, reference_root)):
        if place is not None:
            references |= {path.stem: path for path in _unique(images_in(place))}
    known = {path.stem for path in lr}
    return DatasetFiles(
        name=name,
        folder=folder,
        lr=lr,
        references={stem: path for stem, path in references.items() if stem in known},
        standin=(folder / MARKER).is_file(),
        own=(folder / OWN_MARKER).is_file(),
    )


def images_under(folder: Path | str) -> tuple[Path, ...]:
    """All image files in a folder and its subfolders, in natural order; hidden files and folders are left out.

    Raises:
        MissingDataError: there is no such folder, or no image in it.
    """
    return image_files_below(folder, "The folder of HR images", "data.hr_root=FOLDER")


def image_files_below(
    folder: Path | str, title: str = "The folder of images", setting: str = "from=FOLDER"
) -> tuple[Path, ...]:
    """As :func:`images_under`, for a folder that another setting names."""
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingDataError(f"{title} {folder} is not there. Name another with {setting}.")
    found = [
        path
        for path in folder.rglob("*")
        if _is_image(path) and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise MissingDataError(f"The folder {folder} and its subfolders hold no image files ({_extensions()}).")
    return tuple(sorted(found, key=lambda path: natural_key(path.relative_to(folder).as_posix())))


def missing_message(names: Sequence[str], root: Path | str) -> str:
    """One message for all the datasets that are missing: where they were looked for, and what gets them."""
    root = Path(root)
    places = f"{root}/<dataset>/ and {root}/<Domain>/<dataset>/ (images there, or in LR/ below it)"
    state = "" if root.is_dir() else f" The folder {root} itself is not there."
    here = shlex.quote(f"data.root={root}")
    every = len(names) == len(DATASETS)
    which = "all" if every else names[0] if len(names) == 1 else f"[{','.join(names)}]"
    return "\n".join(
        [
            f"{len(names)} dataset{'s' if len(names) != 1 else ''} not found: {', '.join(names)}.",
            f"Looked in {places} for {_extensions()}.{state}",
            "To try every command now, with small stand-ins cut from free photographs (not the study's images):",
            f"  {typed('prepare')} {shlex.quote(f'dataset={which}')} source=standin {here}",
            f"For the study itself ({len(DATASETS)} x {COUNT} images), from Kaggle, or downloaded in a browser:",
            f"  {typed('prepare')} {shlex.quote(f'dataset={which}')} {here}",
            f"  {KAGGLE_URL}",
            f"  {typed('prepare')} {shlex.quote(f'dataset={which}')} from=ARCHIVE {here}",
            "Or say where they lie: data.root=FOLDER",
        ]
    )


def natural_key(text: str) -> tuple[tuple[int, str] | tuple[str, ...], ...]:
    """Sort key that puts ``im2`` before ``im10``, the same on every machine."""
    pieces = re.split(r"([0-9]+)", text)
    key: list[tuple[int, str] | tuple[str, ...]] = [
        (int(piece), piece) if number % 2 else (piece.casefold(), piece) for number, piece in enumerate(pieces)
    ]
    return tuple(key)


def dataset_places(name: str, root: Path) -> list[Path]:
    """The folders of that name directly under the root and under its domain's folder: where a dataset may lie."""
    parents: list[Path | None] = [root]
    if name in DATASETS:
        parents.append(_child(root, DATASETS[name].domain))
    return [found for parent in parents if parent is not None and (found := _child(parent, name)) is not None]


def _reference_places(name: str, reference_root: Path | str | None) -> list[Path]:
    if reference_root is None:
        return []
    root = Path(reference_root)
    if not root.is_dir():
        raise ConfigError(f"data.reference_root={root} is not a folder.")
    places = dataset_places(name, root)
    if name not in DATASETS:
        places.insert(0, root)  # one folder of anybody's own images needs no folder named after it
    return [_child(place, "HR") or place for place in places]


def _child(folder: Path, name: str) -> Path | None:
    """The subfolder of that name, else of that name in other letter case, else None."""
    exact = folder / name
    if exact.is_dir():
        return exact
    if not folder.is_dir():
        return None
    alike = sorted(path for path in folder.iterdir() if path.name.casefold() == name.casefold() and path.is_dir())
    return alike[0] if alike else None


def _lr_folder(folder: Path) -> Path:
    inner = _child(folder, "LR")
    return inner if inner is not None and images_in(inner) else folder


def _is_image(path: Path) -> bool:
    # A dangling link counts: it is then named as unreadable, instead of being silently absent.
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and not path.is_dir()


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder itself, hidden ones left out, in natural order."""
    return sorted((path for path in folder.iterdir() if _is_image(path)), key=lambda path: natural_key(path.name))


def _unique(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The same files, once it is sure that no two differ in the extension alone."""
    by_stem: dict[str, Path] = {}
    doubles: list[str] = []
    for path in paths:
        first = by_stem.setdefault(path.stem, path)
        if first is not path:
            doubles.append(f"  {first} and {path.name}")
    if doubles:
        raise ConfigError(
            "Results are filed under the name without its extension, so no two images may share it:\n"
            + "\n".join(doubles)
            + "\nRename or remove one of each."
        )
    return tuple(by_stem.values())


def _extensions() -> str:
    return ", ".join(sorted(extension[1:] for extension in EXTENSIONS))
