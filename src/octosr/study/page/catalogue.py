"""What the explorer knows of every image: its scores and its files, dataset by dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from octosr.study import names
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
    return [(1, len(p.lstrip("0")), p.lstrip("0")) if k % 2 else (0, 0, p) for k, p in enumerate(pieces)]


def build(frame: pd.DataFrame, roots: ImageRoots, metrics: Sequence[str]) -> Catalogue:
    """Bring scores and files together.

    Args:
        frame: tidy frame, see :mod:`octosr.study.scores_frame`.
        roots: where images are looked for.
        metrics: names of the metrics to show, in order.
    """
    listed = names.dataset_order(frame["dataset"].unique())
    on_disk = {technique for name in listed for technique in hr_techniques(roots, name)}
    techniques = names.technique_order({*frame["technique"].unique(), *on_disk})
    sources = [Source("lr")]
    if "bicubic" not in techniques:
        sources.append(Source("bicubic"))
    sources += [Source("technique", t) for t in range(len(techniques))]
    sources.append(Source("reference"))
    groups = dict(iter(frame.groupby("dataset", sort=False)))
    datasets = [_dataset(name, groups[name], roots, techniques, metrics, sources) for name in listed]
    return Catalogue(techniques, list(metrics), sources, datasets)


def _dataset(
    name: str,
    frame: pd.DataFrame,
    roots: ImageRoots,
    techniques: list[str],
    metrics: Sequence[str],
    sources: list[Source],
) -> DatasetItems:
    position = {technique: t for t, technique in enumerate(techniques)}
    # Lists and dictionaries, not pandas' strings: names of files may hold bytes that are no valid Unicode.
    rows = list(zip(frame["technique"], map(str, frame["image"]), map(str, frame["file"]), strict=True))
    keys = [
        (position[technique], image.removeprefix(f"{technique}:"))
        if names.is_generative(technique) or image.startswith(f"{technique}:")  # as the readers name samples
        else (-1, image)
        for technique, image, _ in rows
    ]
    unique = sorted(set(keys), key=lambda key: (key[0], natural_key(key[1]), key[1]))
    items = [Item(image, None if t < 0 else t) for t, image in unique]
    scores = np.full((len(metrics), len(techniques), len(items)), np.nan)
    place = {key: k for k, key in enumerate(unique)}
    columns = np.array([place[key] for key in keys], dtype=int)
    shown = frame["metric"].isin(list(metrics)).to_numpy()
    m = frame["metric"].map({metric: k for k, metric in enumerate(metrics)})[shown].astype(int)
    t = frame["technique"].map(position)[shown].astype(int)
    scores[m, t, columns[shown]] = frame["value"].to_numpy(dtype=float)[shown]
    spellings: dict[tuple[int, int], list[str]] = {}
    for key, (technique, _, file) in zip(keys, rows, strict=True):
        spellings.setdefault((place[key], position[technique]), []).append(file)
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
            wanted = [*spellings.get((column, source.technique or 0), []), item.name, f"low_{item.name}"]
            _note(item, s, folder, wanted if source.technique is not None else wanted[-2:])


def _note(item: Item, source: int, folder: Folder, wanted: Iterable[str]) -> None:
    found = folder.find(*wanted)
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
