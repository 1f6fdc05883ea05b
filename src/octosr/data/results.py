"""Super-resolved images that others made: where they lie, and which LR image each was made from.

Folders, for ``root``: one of

- ``root/DATASET/`` or ``root/DOMAIN/DATASET/``,
- ``root/TECHNIQUE/DATASET/`` or ``root/DATASET/TECHNIQUE/``,
- ``root`` itself, where none of these is there,

each with the images in it or in ``HR/`` below it. The dataset may also go by the study's code (``acon``), the technique
by the study's title or code (``DAN``, ``dan``), in any letter case. How the study's own images are laid out on Kaggle
could not be established.

Names, see :func:`match`: DAN and MoESR of the study end in ``_x2_x4``, its copies for MANIQA in ``_res``; samples of
its GANs are named ``seed1000`` or ``17`` and belong to no LR image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.data.kernel_files import without_kernels
from octosr.data.locate import EXTENSIONS, natural_key
from octosr.errors import ConfigError, MissingDataError

PREFIX = "low_"
"""What the study put before the names of most LR images; results may go without it."""

_SUFFIX = re.compile(r"(?<=.)[_-](?:x\d+|res|sr|hr|out|output|result|rlt|fake|pred|up)\Z", re.IGNORECASE)
_GENERATED = re.compile(r"(?:seed)?\d+")


@dataclass(frozen=True)
class Results:
    """Images that others made.

    Attributes:
        folder: where they lie.
        files: image name -> file: the LR stem where the image was matched, else the file's own stem.
        unpaired: names of those that were made from no known LR image.
        without: LR stems for which there is no image.
    """

    folder: Path
    files: dict[str, Path]
    unpaired: tuple[str, ...]
    without: tuple[str, ...]


def find_results(
    root: Path | str,
    dataset: str,
    technique: str,
    lr_stems: Sequence[str] | None,
    *,
    suffix: str | None = None,
    paired: bool = True,
) -> Results:
    """Find and name the images of one dataset.

    Args:
        root: see the head of this module.
        dataset: name of the dataset.
        technique: name of the technique.
        lr_stems: names of its LR images; None where they are not on this machine: then what remains of a name without
            its suffixes counts if it is a name that the study gave to an LR image.
        suffix: one more suffix to take off.
        paired: False: the images were generated from no LR images, whatever they are called.

    Raises:
        MissingDataError: no images there.
        ConfigError: they are in more than one place, or a name is ambiguous.
    """
    folder = results_folder(Path(root), dataset, technique)
    files = _by_stem(_images(folder))
    if not paired:
        return Results(folder, files, tuple(files), tuple(lr_stems or ()))
    if lr_stems is None:
        known = [s for stem in files for s in _readings(stem, suffix) if _is_study_stem(dataset, s)]
        lr_stems = list(dict.fromkeys(known))
        matches = match(list(files), lr_stems, suffix)
        lr_stems = [stem for stem in lr_stems if stem in matches.values()]
    else:
        matches = match(list(files), lr_stems, suffix)
    named = {matches.get(stem, stem): path for stem, path in files.items()}
    unpaired = tuple(stem for stem in files if stem not in matches)
    taken = set(matches.values())
    ordered = dict(sorted(named.items(), key=lambda item: natural_key(item[0])))
    return Results(folder, ordered, unpaired, tuple(stem for stem in lr_stems if stem not in taken))


def match(stems: Sequence[str], lr_stems: Sequence[str], suffix: str | None = None) -> dict[str, str]:
    """Which LR image each result belongs to.

    A name that is exactly an LR stem is that; else the study's ``low_`` prefix is put before it or taken off, and
    suffixes such as ``_x2_x4``, ``_res``, ``_sr``, ``_out`` are taken off one after the other. ``low_`` is never put
    before a bare number or ``seed1000``, with or without suffixes: these are samples of a GAN.

    Args:
        stems: names of results without extensions.
        lr_stems: names of LR images without extensions.
        suffix: one more suffix to take off.

    Returns:
        result stem -> LR stem; results that match nothing are left out.

    Raises:
        ConfigError: a result fits more than one LR image, or two results fit the same.

    >>> match(["low_P0033_x2_x4", "P0034_res", "seed1000", "17"], ["low_P0033", "low_P0034", "low_17"])
    {'low_P0033_x2_x4': 'low_P0033', 'P0034_res': 'low_P0034'}
    """
    known = set(lr_stems)
    matches: dict[str, str] = {}
    problems: list[str] = []
    for stem in stems:
        found = [stem] if stem in known else list(dict.fromkeys(r for r in _readings(stem, suffix) if r in known))
        if len(found) > 1:
            problems.append(f"  {stem} fits the LR images {' and '.join(found)}")
        elif found:
            matches[stem] = found[0]
    by_lr: dict[str, list[str]] = {}
    for stem, lr in matches.items():
        by_lr.setdefault(lr, []).append(stem)
    problems += [
        f"  {' and '.join(several)} fit the LR image {lr}" for lr, several in by_lr.items() if len(several) > 1
    ]
    if problems:
        raise ConfigError(
            "It is not clear which LR image some results belong to:\n"
            + "\n".join(problems)
            + "\nRename or remove some, or score them without LR images: technique.paired=false."
        )
    return matches


def results_folder(root: Path, dataset: str, technique: str) -> Path:
    """The folder of one dataset's images; see the head of this module.

    Raises:
        MissingDataError: no images there.
        ConfigError: images in more than one place.
    """
    if not root.is_dir():
        what = "a file, not a folder" if root.exists() else "not there"
        raise MissingDataError(f"technique.root={root} is {what}. Name the folder that holds the images.")
    datasets, techniques = _dataset_names(dataset), _technique_names(technique)
    domain = {DATASETS[dataset].domain.casefold()} if dataset in DATASETS else set()
    places = _below(root, [datasets]) + _below(root, [domain, datasets])
    places += _below(root, [techniques, datasets]) + _below(root, [datasets, techniques])
    holding = list(dict.fromkeys(found for place in places if (found := _holding(place)) is not None))
    if not holding and (own := _holding(root)) is not None:
        holding = [own]
    if not holding:
        raise MissingDataError(
            f"technique.root={root} holds no images of {dataset}. Looked for {', '.join(sorted(EXTENSIONS))} in "
            f"{dataset}/, <Domain>/{dataset}/, {technique}/{dataset}/, {dataset}/{technique}/ and the folder itself. "
            "technique.name=NAME says what the technique is called."
        )
    if len(holding) > 1:
        raise ConfigError(
            f"The images of {dataset} are in more than one place: {', '.join(map(str, holding))}. "
            "Name one of them with technique.root=FOLDER."
        )
    return holding[0]


def _readings(stem: str, suffix: str | None) -> Iterable[str]:
    """What the LR image of a result may be called: the name with fewer and fewer suffixes, with and without prefix."""
    while True:
        yield stem
        if stem.startswith(PREFIX):
            yield stem.removeprefix(PREFIX)
        elif not _GENERATED.fullmatch(stem):
            yield PREFIX + stem
        if suffix and stem.endswith(suffix) and len(stem) > len(suffix):
            stem = stem.removesuffix(suffix)
        elif (shorter := _SUFFIX.sub("", stem)) != stem:
            stem = shorter
        else:
            return


def _is_study_stem(dataset: str, stem: str) -> bool:
    return dataset in DATASETS and not _SUFFIX.search(stem) and DATASETS[dataset].is_study_stem(stem)


def _dataset_names(dataset: str) -> set[str]:
    return {dataset.casefold()} | ({DATASETS[dataset].code} if dataset in DATASETS else set())


def _technique_names(technique: str) -> set[str]:
    study = TECHNIQUES.get(technique.casefold())
    return {technique.casefold()} | ({study.title.casefold(), study.code} if study is not None else set())


def _below(folder: Path, levels: Sequence[set[str]]) -> list[Path]:
    """Subfolders by names in any letter case, level by level."""
    places = [folder]
    for names in levels:
        places = [
            child
            for place in places
            for child in sorted(place.iterdir())
            if child.name.casefold() in names and child.is_dir()
        ]
    return places


def _holding(folder: Path) -> Path | None:
    """The folder, or its HR/, whichever holds images."""
    for place in (*_below(folder, [{"hr"}]), folder):
        if _images(place):
            return place
    return None


def _images(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."))
    return sorted(without_kernels(path for path in found if not path.is_dir()), key=lambda path: natural_key(path.name))


def _by_stem(paths: Sequence[Path]) -> dict[str, Path]:
    by_stem: dict[str, Path] = {}
    for path in paths:
        if by_stem.setdefault(path.stem, path) is not path:
            raise ConfigError(f"{by_stem[path.stem]} and {path.name} share a name: rename or remove one of them.")
    return by_stem
