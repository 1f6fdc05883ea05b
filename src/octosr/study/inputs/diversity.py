"""Reads what ``eval.py`` measures of a set of generated images: ``output_root/diversity/TECHNIQUE/DATASET.json``."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from octosr.study.inputs.score_set import Cell

FIGURES = ("pairwise", "pairwise_reals", "pairwise_ratio", "nearest", "nearest_reals", "nearest_ratio", "gap", "copies")


@dataclass(frozen=True)
class GeneratedSet:
    """The statistics of one technique's images of one dataset.

    Attributes:
        technique, dataset, kind: whose they are.
        samples: how many images were looked at.
        reals: how many training images they were compared with.
        distances: name of a distance (``octaves``, ``lpips``) -> :data:`FIGURES` by name; None: not defined.
        fid: Frechet inception distance; None: not available.
        kid: kernel inception distance.
        missing: name of what is not available -> why.
        findings: (``warn`` or ``fail``, distance, one line with the figures).
        nearest: (sample, nearest training image, their distance).
    """

    technique: str
    dataset: str
    kind: str
    samples: int
    reals: int
    distances: Mapping[str, Mapping[str, float | None]]
    fid: float | None = None
    kid: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[tuple[str, str, str], ...] = ()
    nearest: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True)
class Generated:
    """All such sets, and where their images lie.

    Attributes:
        sets: by technique and dataset.
        damaged: file -> why it cannot be read.
        hr: folder of images, ``TECHNIQUE/DATASET/NAME.png``; None: they are not here.
    """

    sets: tuple[GeneratedSet, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)
    hr: Path | None = None


def read_generated(folder: Path, cells: Collection[Cell], hr: Path | None = None) -> Generated:
    """Read the sets of some cells; a damaged file is noted and left out.

    Args:
        folder: ``output_root/diversity``.
        cells: (technique, dataset) that the report is about.
        hr: folder of the images.
    """
    sets, damaged = [], {}
    for technique, dataset in sorted(cells):
        path = folder / technique / f"{dataset}.json"
        if not path.is_file():
            continue
        try:
            sets.append(_parse(technique, dataset, json.loads(path.read_bytes())))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            damaged[str(path)] = f"{type(error).__name__}: {error}"
    return Generated(tuple(sets), damaged, hr)


def _parse(technique: str, dataset: str, content: Mapping[str, Any]) -> GeneratedSet:
    return GeneratedSet(
        technique,
        dataset,
        str(content["kind"]),
        int(content["samples"]),
        int(content["reals"]),
        {
            str(name): {figure: _number(figures[figure]) for figure in FIGURES}
            for name, figures in content["distances"].items()
        },
        _number(content.get("fid")),
        _number(content.get("kid")),
        {str(name): str(reason) for name, reason in content["not_available"].items()},
        tuple((str(f["severity"]), str(f["distance"]), str(f["line"])) for f in content["findings"]),
        tuple((_file_name(n["sample"]), str(n["training"]), float(n["distance"])) for n in content["nearest"]),
    )


def _file_name(value: Any) -> str:
    """A sample's name, which becomes part of a path."""
    name = str(value)
    if any(character in name for character in "/\\\0"):
        raise ValueError(f"{name!r} is no file name")
    return name


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
