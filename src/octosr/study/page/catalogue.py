"""What the explorer knows of every image: its scores and its files, dataset by dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.study.page.sources import EMPTY, Folder, ImageRoots, hr_folder, hr_techniques, lr_folder, reference_folder


@dataclass(frozen=True)
class Source:
    """One thing that can stand on a side of the slider.

    Attributes:
        kind: ``lr``, ``bicubic`` (computed from the LR image for the page), ``technique`` or ``reference``.
        technique: index of the technique, for that kind.
    """

    kind: str
    technique: int | None = None


@dataclass
class Item:
    """One image of a dataset: an LR image with what techniques made of it, or a sample that a technique generated.

    Attributes:
        name: name in the tidy frame.
        generator: index of the technique whose sample this is; None for LR images.
        files: file by index of the source.
        kernels: pictures of estimated kernels by index of the source.
    """

    name: str
    generator: int | None = None
    files: dict[int, Path] = field(default_factory=dict)
    kernels: dict[int, list[Path]] = field(default_factory=dict)


@dataclass
class DatasetItems:
    """All images of one dataset; ``scores`` is (metrics, techniques, items), NaN where there is no score."""

    name: str
    domain: str
    items: list[Item]
    scores: NDArray[np.float64]


@dataclass
class Catalogue:
    """Everything of a report, in the order shown."""

    techniques: list[str]
    metrics: list[str]
    sources: list[Source]
    datasets: list[DatasetItems]


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts ``im2`` before ``im10``."""
    pieces = re.split(r"([0-9]+)", text)
    return [(1, int(p), p) if k % 2 else (0, 0, p.casefold() + "\0" + p) for k, p in enumerate(pieces)]


def is_generator(technique: str) -> bool:
    """Whether a technique's images belong to no LR image."""
    return technique in TECHNIQUES and not TECHNIQUES[technique].single_image


def build(frame: pd.DataFrame, roots: ImageRoots, metrics: Sequence[str]) -> Catalogue:
    """Bring scores and files together.

    Args:
        frame: tidy frame, see :mod:`octosr.study.scores_frame`.
        roots: where images are looked for.
        metrics: names of the metrics to show, in order.
    """
    names = sorted(set(frame["dataset"]), key=_position(list(DATASETS)))
    on_disk = {technique for name in names for technique in hr_techniques(roots, name)}
    techniques = sorted(set(frame["technique"]) | on_disk, key=_position(list(TECHNIQUES)))
    sources = [Source("lr")]
    if "bicubic" not in techniques:
        sources.append(Source("bicubic"))
    sources += [Source("technique", t) for t in range(len(techniques))]
    sources.append(Source("reference"))
    groups = dict(iter(frame.groupby("dataset", sort=False)))
    datasets = [_dataset(name, groups[name], roots, techniques, metrics, sources) for name in names]
    return Catalogue(techniques, list(metrics), sources, datasets)


def _position(known: list[str]) -> Callable[[str], tuple[int, list[tuple[int, int, str]]]]:
    order = {name: k for k, name in enumerate(known)}
    return lambda name: (order.get(name, len(order)), natural_key(name))


def _dataset(
    name: str,
    frame: pd.DataFrame,
    roots: ImageRoots,
    techniques: list[str],
    metrics: Sequence[str],
    sources: list[Source],
) -> DatasetItems:
    generators = [t for t, technique in enumerate(techniques) if is_generator(technique)]
    position = {technique: t for t, technique in enumerate(techniques)}
    owner = frame["technique"].map(position)
    owner = owner.where(owner.isin(generators), -1).astype(int)
    keys = pd.MultiIndex.from_arrays([owner, frame["image"].astype(str)])
    unique = sorted(set(keys), key=lambda key: (key[0], natural_key(key[1])))
    items = [Item(image, None if t < 0 else t) for t, image in unique]
    scores = np.full((len(metrics), len(techniques), len(items)), np.nan)
    columns = pd.MultiIndex.from_tuples(unique).get_indexer(keys) if unique else np.zeros(0, dtype=int)
    shown = frame["metric"].isin(list(metrics)).to_numpy()
    m = frame["metric"].map({metric: k for k, metric in enumerate(metrics)})[shown].astype(int)
    t = frame["technique"].map(position)[shown].astype(int)
    scores[m, t, columns[shown]] = frame["value"].to_numpy(dtype=float)[shown]
    spellings: dict[tuple[int, int], list[str]] = {}
    for column, technique, file in zip(columns, frame["technique"], frame["file"].astype(str), strict=True):
        spellings.setdefault((int(column), position[technique]), []).append(file)
    _find_files(items, name, roots, techniques, sources, spellings)
    domains = frame["domain"]
    return DatasetItems(name, str(domains.iloc[0]) if len(domains) else "Other", items, scores)


def _find_files(
    items: list[Item],
    dataset: str,
    roots: ImageRoots,
    techniques: list[str],
    sources: list[Source],
    spellings: Mapping[tuple[int, int], list[str]],
) -> None:
    lr, reference = lr_folder(roots, dataset), reference_folder(roots, dataset)
    folders = {t: hr_folder(roots, technique, dataset) for t, technique in enumerate(techniques)}
    for s, source in enumerate(sources):
        folder = {"lr": lr, "bicubic": lr, "reference": reference}.get(source.kind, EMPTY)
        if source.technique is not None:
            folder = folders[source.technique]
        for column, item in enumerate(items):
            if item.generator is not None and item.generator != source.technique:
                continue
            # The study's LR files are named low_NAME; its readers may drop the prefix.
            names = [*spellings.get((column, source.technique or 0), []), item.name, f"low_{item.name}"]
            _note(item, s, folder, names if source.technique is not None else names[-2:])


def _note(item: Item, source: int, folder: Folder, names: Iterable[str]) -> None:
    found = folder.find(*names)
    if found is None:
        return
    item.files[source] = found
    kernels = folder.kernels.get(found.stem)
    if kernels:
        item.kernels[source] = [folder.path / name for name in kernels]


def plain_number(value: float) -> Any:
    """A score for JSON: seven digits; None where not available; infinities by name."""
    if np.isnan(value):
        return None
    return float(f"{value:.7g}") if np.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
