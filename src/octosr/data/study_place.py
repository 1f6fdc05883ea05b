"""Laying the study's images under ``data.root``: ``DATASET/LR/`` and ``published/TECHNIQUE/DATASET/``.

``SOURCE.json`` beside the images says where they came from and has their hashes, so that a file that changed later is
found. Doing it again writes only what is missing or differs; a killed run is finished by the next.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from octosr.atomic import write_bytes
from octosr.catalog import find
from octosr.data.locate import MARKER, OWN_MARKER, dataset_places, images_in
from octosr.data.standin_guard import foreign_file
from octosr.errors import ConfigError
from octosr.hashing import file_sha256

SOURCE = "SOURCE.json"
PUBLISHED = "published"
"""Folder under the root with the HR images that the study published: a ``technique.root`` for technique=precomputed."""

How = Literal["copy", "move"]


def refuse_occupied(root: Path, wanted: Mapping[str, Sequence[str]]) -> None:
    """Raise where the study's images may not be laid, before anything is fetched or written.

    Stand-ins give way; so do images of the same names (they are compared, and replaced where they differ).

    Args:
        root: data.root.
        wanted: names of the LR files by dataset; empty where they are not known yet.

    Raises:
        ConfigError: a dataset's place holds somebody's own images or other files; all such places.
    """
    problems = []
    for dataset, names in wanted.items():
        places = dataset_places(dataset, root)
        if not places or foreign_file(root, find(dataset)) is None:
            continue
        own = [place for place in places if (place / OWN_MARKER).is_file()]
        if own:
            problems.append(f"  {dataset}: {own[0]} holds a set built from own images ({OWN_MARKER})")
        elif len(places) > 1:
            problems.append(f"  {dataset}: in {' and in '.join(map(str, places))}")
        elif names and (other := _other_images(places[0], names)):
            problems.append(f"  {dataset}: {other[0]} is none of the study's images ({len(other)} such files)")
    if problems:
        lines = "\n".join(problems)
        raise ConfigError(
            "The study's images are not laid over other images; nothing was written:\n"
            f"{lines}\nMove these folders away, leave the datasets out, or choose another folder with data.root=FOLDER."
        )


def lay(files: Sequence[Path], folder: Path, origin: str, how: How) -> int:
    """Bring files into a folder, each in one step, and write ``SOURCE.json`` when all are there.

    Args:
        files: with different names.
        folder: made where missing.
        origin: where they come from, for SOURCE.json.
        how: ``copy``, or ``move`` for files on the same disk that nobody else needs.

    Returns:
        How many were not there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digests, written = {}, 0
    for path in files:
        target = folder / path.name
        digests[path.name] = file_sha256(path)
        if target.is_file() and not target.is_symlink() and file_sha256(target) == digests[path.name]:
            continue
        _bring(path, target, how)
        written += 1
    content = {"kind": "study", "from": origin, "files": digests}
    write_bytes(folder / SOURCE, (json.dumps(content, indent=1) + "\n").encode())
    return written


def clear_standin(root: Path, dataset: str) -> None:
    """Remove a stand-in, and nothing else, from a dataset's place."""
    for place in dataset_places(dataset, root):
        if (place / MARKER).is_file() and foreign_file(root, find(dataset)) is None:
            shutil.rmtree(place)


def lr_folder(root: Path, dataset: str) -> Path:
    """Where LR images of the dataset lie or shall lie."""
    for place in dataset_places(dataset, root):
        inner = place / "LR"
        if images_in(place) and not inner.is_dir():
            return place
        return inner
    return root / dataset / "LR"


def changed(folder: Path) -> list[tuple[str, str]]:
    """File and reason of the files that are no longer what ``SOURCE.json`` in their folder says; none without one."""
    record = folder / SOURCE
    if not record.is_file():
        return []
    try:
        digests = json.loads(record.read_bytes())["files"]
        items = sorted(digests.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        return [(str(record), "damaged; remove it, and the images are not compared with it")]
    found = []
    for name, digest in items:
        path = folder / name
        if not path.is_file():
            found.append((str(path), f"gone since it was laid; {SOURCE} names it"))
        elif file_sha256(path) != digest:
            found.append((str(path), f"changed since it was laid (its sha256 is not that in {SOURCE})"))
    return found


def _bring(source: Path, target: Path, how: How) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        if how == "move":
            os.replace(source, target)
            return
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _other_images(place: Path, names: Sequence[str]) -> list[Path]:
    """Image files in the places of LR images that are not among these names; references in HR/ do not matter."""
    folders = [folder for folder in (place, place / "LR") if folder.is_dir()]
    return [path for folder in folders for path in images_in(folder) if path.name not in names]
