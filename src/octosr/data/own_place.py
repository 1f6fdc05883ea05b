"""Where a dataset built from somebody's own images is put, and what it may not replace."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from octosr.atomic import write_bytes
from octosr.data.decode import MAX_PIXELS
from octosr.data.locate import OWN_MARKER, dataset_places
from octosr.data.own import Selection, manifest, name_results, select
from octosr.data.standin_guard import JUNK
from octosr.errors import ConfigError
from octosr.hashing import file_sha256

LOCK = ".prepare.lock"
REPLACED = "replaced"
"""Folder under the root into which what was replaced is moved: nothing is deleted."""


@dataclass(frozen=True)
class Built:
    """What :func:`build_own` did.

    Attributes:
        folder: the dataset's folder.
        selection: see :class:`octosr.data.own.Selection`.
        new: False if the very same was there already.
        moved: where the folder that was there before lies now; None if there was none.
    """

    folder: Path
    selection: Selection
    new: bool
    moved: Path | None = None


def build_own(
    folder: Path,
    root: Path,
    dataset: str,
    *,
    count: int,
    seed: int,
    overwrite: bool = False,
    origin: str | None = None,
    max_pixels: int = MAX_PIXELS,
    advance: Callable[[], None] | None = None,
) -> Built:
    """Build ``root/DATASET/`` with ``LR/``, ``HR/`` and ``OWN.json`` from a folder of images, in one step.

    Args:
        folder: images, also in subfolders.
        root: data.root.
        dataset: a dataset's name.
        count, seed, max_pixels, advance: see :func:`octosr.data.own.select`.
        overwrite: move what lies in the dataset's place out of the way; else that is an error, unless it is the same.
        origin: what the manifest calls the folder.

    Raises:
        ConfigError: the place is taken.
        MissingDataError: no image can be used.
        OSError: the root cannot be written.
    """
    if count < 1:
        raise ConfigError(f"own.count={count}: a dataset has one image or more.")
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / LOCK), _temporary(root) as temporary:
        taken = [place for place in dataset_places(dataset, root) if _holds_files(place)]
        ours = len(taken) == 1 and (taken[0] / OWN_MARKER).is_file()
        if taken and not ours and not overwrite:
            raise ConfigError(_refusal(dataset, taken, "holds images that this command did not build"))
        selection = select(folder, temporary, count, seed, max_pixels, advance)
        named = name_results(selection, temporary)
        content = manifest(
            selection, named, dataset=dataset, origin=origin or str(folder.resolve()), count=count, seed=seed
        )
        if ours and _is_same(taken[0], content):
            return Built(taken[0], selection, new=False)
        if taken and not overwrite:
            raise ConfigError(_refusal(dataset, taken, "was built from other images or with other settings"))
        write_bytes(temporary / OWN_MARKER, _as_json(content))
        moved = _move_aside(root, dataset, taken)
        target = root / dataset
        if target.is_dir():
            shutil.rmtree(target)  # no files in it: see _holds_files
        os.replace(temporary, target)
    return Built(target, selection, new=True, moved=moved)


@contextmanager
def _temporary(root: Path) -> Iterator[Path]:
    """A new folder beside the datasets, so that taking its place is one step; leftovers of killed runs are removed."""
    for old in root.glob(".own-*"):
        shutil.rmtree(old, ignore_errors=True)
    folder = root / f".own-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _holds_files(folder: Path) -> bool:
    return any(path.name not in JUNK and not path.is_dir() for path in folder.rglob("*"))


def _as_json(content: dict[str, Any]) -> bytes:
    # A name that is not Unicode is kept as it is, and json reads it back.
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def _is_same(folder: Path, content: dict[str, Any]) -> bool:
    """Whether the folder holds just what this manifest says, byte for byte."""
    try:
        there = json.loads((folder / OWN_MARKER).read_bytes())
    except ValueError:
        return False
    if there != content:
        return False
    files = {
        f"{part}/{stem}.png": digest for stem, i in content["images"].items() for part, digest in i["results"].items()
    }
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if set(found) - JUNK != {*files, OWN_MARKER}:
        return False
    return all(file_sha256(found[name]) == digest for name, digest in files.items())


def _move_aside(root: Path, dataset: str, taken: list[Path]) -> Path | None:
    moved = None
    for place in taken:
        numbered = (root / REPLACED / f"{dataset}-{number}" for number in itertools.count(1))
        moved = next(folder for folder in numbered if not folder.exists())
        moved.parent.mkdir(parents=True, exist_ok=True)
        os.replace(place, moved)
    return moved


def _refusal(dataset: str, taken: list[Path], why: str) -> str:
    return (
        f"{' and '.join(map(str, taken))} {why}; nothing was changed. Choose another folder with data.root=FOLDER, or "
        f"own.overwrite=true: then it is moved to {REPLACED}/ under data.root and the new {dataset} takes its place."
    )
