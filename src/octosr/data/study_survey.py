"""Which files in a folder are the study's images, whatever folders they lie in.

How the study's images are laid out on Kaggle could not be established; its public code has them as
``Results/Aerial/condoaerial/APA/img/``. So nothing is assumed but what the study's raw scores say: the names of LR
images, the names and codes of datasets and techniques, and the sizes. Every file that is passed over is counted, with
the reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.data.decode import MAX_PIXELS, UnreadableImage, read_header
from octosr.data.locate import EXTENSIONS, natural_key

MANIQA_SIDE = 224
LEAST_HR_SIDE = 512
"""At which size the study kept FastGAN's samples is unknown: 512 or 1024."""


@dataclass
class Survey:
    """What a folder holds of the study.

    Attributes:
        lr: LR images by dataset, in natural order.
        published: HR images that the study published, by (technique, dataset).
        problems: file and reason of those that belong to a dataset by their folder but cannot be read.
        passed_over: how many other image files there are, by reason.
    """

    lr: dict[str, list[Path]] = field(default_factory=dict)
    published: dict[tuple[str, str], list[Path]] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def survey(folder: Path, max_pixels: int = MAX_PIXELS) -> Survey:
    """Look at every image file in a folder and its subfolders; hidden ones are left out. Only headers are read.

    Args:
        folder: a folder.
        max_pixels: see :func:`octosr.data.decode.read_header`.
    """
    result = Survey()
    lr: dict[str, dict[Path, list[Path]]] = defaultdict(lambda: defaultdict(list))
    published: dict[tuple[str, str], dict[Path, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in _images(folder):
        folders = path.relative_to(folder).parts[:-1]
        dataset, technique = dataset_of(folders, path.stem), technique_of(folders)
        try:
            header = read_header(path, max_pixels)
        except UnreadableImage as error:
            if dataset is None:
                result.passed_over["unreadable, of no dataset"] += 1
            else:
                result.problems.append((str(path), error.reason))
            continue
        side = DATASETS[dataset].lr_side if dataset is not None else 0
        is_lr_size = header.width == header.height == side
        if dataset is None:
            result.passed_over["of no dataset by folder or name"] += 1
        elif DATASETS[dataset].is_study_stem(path.stem) and (is_lr_size or technique is None):
            lr[dataset][path.parent].append(path)
        elif path.stem.endswith("_res") or header.width == MANIQA_SIDE:
            result.passed_over[f"copies of {MANIQA_SIDE} pixels, made for MANIQA"] += 1
        elif technique is not None and min(header.width, header.height) >= LEAST_HR_SIDE:
            published[technique, dataset][path.parent].append(path)
        else:
            result.passed_over["neither an LR image by its name nor a technique's result"] += 1
    for dataset in DATASETS:
        if dataset in lr:
            result.lr[dataset] = _one_place(lr[dataset], DATASETS[dataset].extensions, result.passed_over)
    for key in sorted(published):
        result.published[key] = _one_place(published[key], (), result.passed_over)
    return result


def dataset_of(folders: Sequence[str], stem: str) -> str | None:
    """The dataset that the folders name, the innermost first; else the only one whose LR images are called so.

    >>> dataset_of(["Results", "Aerial", "condoaerial", "APA"], "seed1000")
    'condoaerial'
    >>> dataset_of(["acon-apa"], "seed1000"), dataset_of([], "low_ISIC_0052060"), dataset_of([], "low_17")
    ('condoaerial', 'melanomaisic', None)
    """
    for part in reversed(folders):
        words, joined = _words(part), "".join(_words(part))
        for name, dataset in DATASETS.items():
            plain = "".join(_words(name))
            if joined == plain or dataset.code in words or plain in words or joined.startswith(plain):
                return name
    fitting = [name for name, dataset in DATASETS.items() if dataset.is_study_stem(stem)]
    return fitting[0] if len(fitting) == 1 else None


def technique_of(folders: Sequence[str]) -> str | None:
    """The technique that a folder is named after, the innermost first: by name, title or code.

    A code beside other words counts only where the dataset's code is one of them: ``acon-dan``.

    >>> technique_of(["DL_BlindSR_Datasets", "Results", "DAN", "img"]), technique_of(["DL_BlindSR_Datasets", "LR"])
    ('dan', None)
    """
    codes = {dataset.code for dataset in DATASETS.values()}
    for part in reversed(folders):
        words = _words(part)
        for name, technique in TECHNIQUES.items():
            names = {name, technique.title.casefold(), technique.code}
            if "".join(words) in names or (names & set(words) and codes & set(words)):
                return name
    return None


def _words(part: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", part.casefold()) if word]


def _images(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield path


def _one_place(places: dict[Path, list[Path]], extensions: Sequence[str], passed_over: Counter[str]) -> list[Path]:
    """The files of the folder that has most of them, counting those of the study's own extensions first.

    DAN and MoESR read PNG files only, so the study had its JPEG images a second time.
    """

    def rank(folder: Path) -> tuple[int, int]:
        known = sum(path.suffix.lower()[1:] in extensions for path in places[folder])
        return known, len(places[folder])

    best = max(sorted(places, key=lambda folder: natural_key(folder.as_posix())), key=rank)
    seen: dict[str, Path] = {}
    for path in sorted(places[best], key=lambda path: (path.suffix.lower()[1:] not in extensions, path.name)):
        seen.setdefault(path.stem, path)
    second = sum(map(len, places.values())) - len(seen)
    if second:
        passed_over["a second time in another folder or format"] += second
    return sorted(seen.values(), key=lambda path: natural_key(path.name))
