"""Where the images that scores belong to lie on disk, and how the page links to them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from octosr.catalog import DATASETS

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
_KERNEL = re.compile(r"(?P<stem>.+)[._]kernel(?:[._-]?\w+)?\.png")


@dataclass(frozen=True)
class ImageRoots:
    """Folders of images; whatever is not there is simply not shown.

    Attributes:
        hr: holds ``TECHNIQUE/DATASET/NAME.png``, as ``eval.py`` writes them.
        data: holds the datasets, ``<dataset>/`` or ``<Domain>/<dataset>/``, images there or in ``LR/`` below it.
        lr: folder of a dataset's LR images, for datasets that lie elsewhere.
    """

    hr: Path | None = None
    data: Path | None = None
    lr: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Folder:
    """The images of one folder: file name by stem, and file names of kernel pictures by the stem they belong to."""

    path: Path
    files: Mapping[str, str]
    kernels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def find(self, *names: str) -> Path | None:
        """The file of the first of these names (with or without extension) that is there.

        Names are looked up in the folder's listing, never joined to its path: ``../x`` finds nothing.
        """
        for name in names:
            stem, extension = os.path.splitext(name)
            found = self.files.get(name)
            if found is None and extension.lower() in EXTENSIONS:  # of "drone.v2", ".v2" is no extension
                found = self.files.get(stem)
            if found is not None:
                return self.path / found
        return None


EMPTY = Folder(Path(), {})


def hr_folder(roots: ImageRoots, technique: str, dataset: str) -> Folder:
    """The images that a technique made of a dataset."""
    return EMPTY if roots.hr is None else _listed(_inside(roots.hr, technique, dataset))


def hr_techniques(roots: ImageRoots, dataset: str) -> list[str]:
    """Names of all techniques that have a folder of images of a dataset."""
    if roots.hr is None or not roots.hr.is_dir():
        return []
    return sorted(p.name for p in roots.hr.iterdir() if not p.name.startswith(".") and (p / dataset).is_dir())


def lr_folder(roots: ImageRoots, dataset: str) -> Folder:
    """The LR images of a dataset."""
    place = _dataset_folder(roots, dataset)
    if place is None:
        return EMPTY
    inner = _listed(_child(place, "LR"))
    return inner if inner.files else _listed(place)


def reference_folder(roots: ImageRoots, dataset: str) -> Folder:
    """The HR references of a dataset: ``HR/`` beside ``LR/``."""
    place = _dataset_folder(roots, dataset)
    if place is None:
        return EMPTY
    return _listed(_child(place.parent if place.name.upper() == "LR" else place, "HR"))


def _dataset_folder(roots: ImageRoots, dataset: str) -> Path | None:
    if dataset in roots.lr:
        return roots.lr[dataset]
    if roots.data is None:
        return None
    domain = DATASETS[dataset].domain if dataset in DATASETS else None
    parents = [roots.data, *([_child(roots.data, domain)] if domain else [])]
    return next((found for p in parents if p is not None and (found := _child(p, dataset)) is not None), None)


def _inside(root: Path, *names: str) -> Path | None:
    """``root/name/name``, unless a name would lead elsewhere."""
    if any(not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name for name in names):
        return None
    return root.joinpath(*names)


def _child(folder: Path, name: str) -> Path | None:
    exact = _inside(folder, name)
    if exact is None or not folder.is_dir():
        return None
    if exact.is_dir():
        return exact
    alike = sorted(p for p in folder.iterdir() if p.name.casefold() == name.casefold() and p.is_dir())
    return alike[0] if alike else None


def _listed(folder: Path | None) -> Folder:
    if folder is None or not folder.is_dir():
        return EMPTY
    files: dict[str, str] = {}
    kernels: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        stem, extension = os.path.splitext(name)
        if name.startswith(".") or extension.lower() not in EXTENSIONS:
            continue
        kernel = _KERNEL.fullmatch(name)
        if kernel is not None:
            kernels.setdefault(kernel["stem"], []).append(name)
        files.setdefault(stem, name)
    # "sparse.kernel.png" is an image like any other unless there is a "sparse.png" that it can be the kernel of.
    known = {stem: tuple(names) for stem, names in kernels.items() if stem in files}
    return Folder(folder, files, known)


def link(target: Path, folder: Path) -> str:
    """Address of a file as seen from a page in `folder`: relative where possible, every odd character encoded.

    >>> link(Path("/o/hr/dan/isaid/a b.png"), Path("/o/report"))
    '../hr/dan/isaid/a%20b.png'
    """
    try:
        relative = os.path.relpath(target, folder)
    except ValueError:  # another drive
        return target.absolute().as_uri()
    # A colon would turn the first part into a scheme ("javascript:..."): quote() encodes it.
    return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")
