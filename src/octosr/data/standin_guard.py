"""What a stand-in may not replace: any file that a stand-in did not write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from octosr.catalog import Dataset
from octosr.data.locate import MARKER
from octosr.errors import ConfigError
from octosr.typed import typed

JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what file managers leave behind


def refuse_foreign(root: Path, datasets: Sequence[Dataset]) -> None:
    """Raise ConfigError, naming the files, if a dataset's place holds something that is not a stand-in."""
    foreign = {dataset.name: file for dataset in datasets if (file := foreign_file(root, dataset)) is not None}
    if not foreign:
        return
    lines = "\n".join(f"  {name}: {file}" for name, file in foreign.items())
    rest = [dataset.name for dataset in datasets if dataset.name not in foreign]
    others = f" To lay the others: {typed('prepare')} 'dataset=[{','.join(rest)}]' source=standin." if rest else ""
    raise ConfigError(
        f"Stand-ins are not laid over files that are not stand-ins; nothing was written:\n{lines}\n"
        f"Leave these datasets out, or choose another folder with data.root=FOLDER.{others}"
    )


def foreign_file(root: Path, dataset: Dataset) -> Path | None:
    """The first file at one of the dataset's places that no stand-in put there (or changed since), or None."""
    for folder in _places(root, dataset):
        if folder.is_symlink() or not folder.is_dir():
            return folder
        marker = folder / MARKER
        try:
            ours = json.loads(marker.read_text(encoding="utf-8"))["files"] if marker.is_file() else {}
        except (ValueError, KeyError, TypeError):
            return marker  # not written by us
        for path in sorted(folder.rglob("*")):
            if path == marker or path.name in JUNK or path.is_dir():
                continue
            entry = ours.get(path.relative_to(folder).as_posix())
            if entry is None or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
                return path
    return None


def _places(root: Path, dataset: Dataset) -> list[Path]:
    """What lies where `octosr.data.locate` would look for the dataset: in any letter case, also below its domain."""

    def named(parent: Path, name: str) -> list[Path]:
        return sorted(path for path in parent.iterdir() if path.name.casefold() == name.casefold())

    domains = [path for path in named(root, dataset.domain) if path.is_dir()]
    return [place for parent in (root, *domains) for place in named(parent, dataset.name)]
