"""The data of the page's image explorer: names, scores, links and embedded pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from octosr.catalog import TECHNIQUES
from octosr.study import names
from octosr.study.page import catalogue as cat
from octosr.study.page.picks import interleaved, picks
from octosr.study.page.previews import Embedded, Limits, Preview, by_dataset, embed, preview_bytes
from octosr.study.page.sources import ImageRoots, link
from octosr.study.page.text import printable
from octosr.study.page.thumbnails import Sheet, sheet, sheet_bytes, tile_side

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ExplorerData:
    """What the explorer needs.

    Attributes:
        index: plain values for the page's script: techniques, metrics, sources, datasets and their images.
        sheets: thumbnails, one picture a dataset.
        previews: embedded pictures, the most important first.
        step: (side in pixels, quality) of the previews.
        problems: image files that could not be read, with the reason.
    """

    index: Mapping[str, Any]
    sheets: tuple[Sheet, ...] = ()
    previews: tuple[Preview, ...] = ()
    step: tuple[int, int] = (0, 0)
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Characters that the pictures take in the page."""
        return preview_bytes(self.previews) + sheet_bytes(self.sheets)

    @property
    def images(self) -> int:
        """Number of images, embedded or not."""
        return sum(len(dataset["images"]) for dataset in self.index["datasets"])

    @property
    def with_files(self) -> bool:
        """Whether any image was found on the disk."""
        return any(any(image["f"]) for dataset in self.index["datasets"] for image in dataset["images"])

    def fitted(self, room: int) -> ExplorerData:
        """The same with no more than `room` characters of pictures; the most important stay."""
        if self.bytes <= room:
            return self
        kept: list[Preview] = []
        left = room - sheet_bytes(self.sheets)
        if left < 0:
            return replace(self, sheets=tuple(Sheet() for _ in self.sheets), previews=()).fitted(room)
        for preview in self.previews:
            left -= preview.bytes
            if left < 0:
                break
            kept.append(preview)
        return replace(self, previews=tuple(kept))

    def pictures(self) -> list[dict[str, Any]]:
        """For each dataset, what the page's script needs to show embedded pictures."""
        grouped = by_dataset(self.previews, len(self.index["datasets"]))
        return [
            {
                "sheet": {"uri": s.uri, "tile": s.tile, "columns": s.columns, "places": s.places},
                "previews": {i: {"uris": p.uris, "kernels": p.kernels, "size": p.size} for i, p in previews.items()},
            }
            for s, previews in zip(self.sheets, grouped, strict=True)
        ]


def collect(
    frame: pd.DataFrame,
    folder: Path,
    roots: ImageRoots,
    *,
    higher_is_better: Mapping[str, bool],
    title: Callable[[str], str] = names.title,
    metric_title: Callable[[str], str] = names.metric_title,
    limits: Limits | None = None,
) -> ExplorerData:
    """Gather everything for the explorer.

    Args:
        frame: tidy frame of scores, see :mod:`octosr.study.scores_frame`.
        folder: where the page will be written; links to full images are relative to it.
        roots: where images are looked for. Without any image the explorer shows the scores and says so.
        higher_is_better: direction of each metric; one without an entry has no best and no worst.
        title: how a technique is written.
        metric_title: how a metric is written.
        limits: budgets of bytes and files.

    Returns:
        The data; the same frame and the same images give the same data.
    """
    limits = limits or Limits()
    metrics = names.metric_order(frame["metric"].unique())
    catalogue = cat.build(frame, roots, metrics)
    directions = [higher_is_better.get(metric) for metric in metrics]
    order = [_order(data, directions) for data in catalogue.datasets]
    embedded = embed(catalogue, order, limits)
    sheets, problems = _sheets(catalogue, embedded, limits)
    index = {
        "techniques": [
            {
                "name": printable(t),
                "title": printable(title(t)),
                "paired": not names.is_generative(t),
                "study": t in TECHNIQUES,
            }
            for t in catalogue.techniques
        ],
        "metrics": [
            {
                "title": printable(metric_title(m)),
                "better": None if d is None else "max" if d else "min",
                "digits": _digits(frame, m),
            }
            for m, d in zip(metrics, directions, strict=True)
        ],
        "sources": [{"kind": s.kind, "technique": s.technique} for s in catalogue.sources],
        "datasets": [_dataset(data, catalogue, folder) for data in catalogue.datasets],
    }
    failed = {link(path, folder): printable(reason) for path, reason in sorted((embedded.problems | problems).items())}
    return ExplorerData(index, tuple(sheets), tuple(embedded.previews), embedded.step, failed)


def _order(data: cat.DatasetItems, directions: list[bool | None]) -> list[int]:
    """The images of a dataset, the most telling first."""
    owners = {item.generator for item in data.items}
    by_owner = {o: [k for k, item in enumerate(data.items) if item.generator == o] for o in owners}
    ordered = {
        o: [members[k] for k in picks(data.scores[:, :, members], directions)] for o, members in by_owner.items()
    }
    return interleaved(ordered.pop(None, []), [ordered[o] for o in sorted(o for o in ordered if o is not None)])


def _sheets(catalogue: cat.Catalogue, embedded: Embedded, limits: Limits) -> tuple[list[Sheet], dict[Path, str]]:
    room = limits.tiles
    side = tile_side(min(room, sum(len(data.items) for data in catalogue.datasets)))
    sheets: list[Sheet] = []
    problems: dict[Path, str] = {}
    grouped = by_dataset(embedded.previews, len(catalogue.datasets))
    with ThreadPoolExecutor(limits.threads) as pool:
        for data, previews in zip(catalogue.datasets, grouped, strict=True):
            made, failed = sheet(data, previews, side, room, pool)
            sheets.append(made)
            problems |= failed
            room -= len(made.places)
    return sheets, problems


def _digits(frame: pd.DataFrame, metric: str) -> int:
    values = frame.loc[frame["metric"] == metric, "value"].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    largest = float(np.abs(values).max()) if values.size else 0.0
    return 4 if largest <= 2 else 2 if largest >= 100 else 3


def _dataset(data: cat.DatasetItems, catalogue: cat.Catalogue, folder: Path) -> dict[str, Any]:
    folders: dict[int, str] = {}
    for item in data.items:
        for s, path in item.files.items():
            if s not in folders:
                folders[s] = link(path.parent, folder) + "/"
    return {
        "name": printable(data.name),
        "domain": printable(data.domain),
        "folders": folders,
        "images": [_image(k, item, data, catalogue, folder) for k, item in enumerate(data.items)],
    }


def _image(k: int, item: cat.Item, data: cat.DatasetItems, catalogue: cat.Catalogue, folder: Path) -> dict[str, Any]:
    owners = range(len(catalogue.techniques)) if item.generator is None else [item.generator]
    entry: dict[str, Any] = {
        "n": printable(item.name),
        "s": [[cat.plain_number(float(data.scores[m, t, k])) for t in owners] for m in range(len(catalogue.metrics))],
        # 1: NAME.png, the usual case; else the file's name as it stands in an address; 0: no file. A computed
        # bicubic picture has no file of its own.
        "f": [
            0 if s not in item.files or source.kind == "bicubic" else _file(item.name, item.files[s])
            for s, source in enumerate(catalogue.sources)
        ],
    }
    if item.generator is not None:
        entry["g"] = item.generator
    if item.kernels:
        entry["k"] = {s: [link(path, folder) for path in paths] for s, paths in item.kernels.items()}
    return entry


def _file(name: str, path: Path) -> int | str:
    plain = path.name == f"{name}.png" and _PLAIN.fullmatch(name) is not None
    return 1 if plain else link(path, path.parent)
