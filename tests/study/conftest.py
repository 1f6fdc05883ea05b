"""Score sets made for the tests: small ones by hand, and a whole study with the published means."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from octosr.catalog import DATASETS, TECHNIQUES
from octosr.study.inputs import ScoreSet
from octosr.study.inputs.score_set import tidy
from octosr.study.inputs.stems import pairing_key
from octosr.study.published import published_means

# |C_B| and |C_W| of MoESR and DAN by MANIQA as counted from the study's raw scores, in the order of its datasets.
COMMON_BEST = (7, 6, 7, 5, 8, 8, 10, 9, 10, 8, 8, 7, 3, 7)
COMMON_WORST = (7, 7, 4, 8, 9, 9, 8, 7, 9, 9, 6, 8, 7, 7)

Values = Mapping[tuple[str, str, str], Sequence[float]]


@pytest.fixture
def make_scores() -> Callable[..., ScoreSet]:
    """(technique, dataset, metric) -> values of images i0, i1, ... -> a score set."""

    def make(values: Values, **about: object) -> ScoreSet:
        frames = []
        for (technique, dataset, metric), column in values.items():
            names = [f"i{n}" for n in range(len(column))]
            keys = [pairing_key(technique, name) for name in names]
            frames.append(tidy(technique, dataset, keys, names, metric, column))
        return ScoreSet(pd.concat(frames, ignore_index=True), **about)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw scores in the study's layouts, with its means and its |C_B| and |C_W|; each score as such is made up."""
    folder = tmp_path_factory.mktemp("study")
    means = published_means().set_index(["metric", "technique", "dataset"])["mean"].to_dict()
    spread = np.linspace(1, -1, 100) * 0.01  # best first, sums to zero
    (folder / "csv_MANIQA").mkdir()
    records: dict[str, list[dict[str, object]]] = {"niqe": [], "maniqa": []}
    for place, dataset in enumerate(DATASETS.values()):
        for technique in TECHNIQUES.values():
            order = _order(COMMON_BEST[place], COMMON_WORST[place]) if technique.name == "dan" else list(range(100))
            for metric, found in records.items():
                mean = means[f"{metric}_study", technique.name, dataset.name]
                found += [
                    {
                        "dom": dataset.domain,
                        "dset": dataset.name,
                        "tech": technique.title,
                        "file": _file(technique.name, dataset.example, image)
                        + ("_res.png" if metric == "maniqa" else ".png"),
                        metric: mean + shift,
                    }
                    for image, shift in zip(order, spread.tolist(), strict=True)
                ]
            rows = [(r["file"], r["maniqa"]) for r in records["maniqa"][-100:]]
            with (folder / "csv_MANIQA" / f"output_{dataset.code}-{technique.code}.csv").open("w", newline="") as file:
                csv.writer(file).writerows(rows)
    for metric, found in records.items():
        (folder / f"df_{metric}.json").write_text(json.dumps({str(i): r for i, r in enumerate(found)}))
    return folder


def _order(common_best: int, common_worst: int) -> list[int]:
    """Images 0..99 with so many of 0..9 among the first ten, and so many of 90..99 among the last ten."""
    best = [*range(common_best), *range(40, 50 - common_best)]
    worst = [*range(60, 70 - common_worst), *range(100 - common_worst, 100)]
    middle = [image for image in range(100) if image not in {*best, *worst}]
    return [*best, *middle, *worst]


def _file(technique: str, example: str, image: int) -> str:
    stem = {"apa": f"seed{1000 + image}", "fastgan": f"{image}"}.get(
        technique, re.sub(r"\d+$", lambda n: f"{image:0{len(n[0])}d}", example)
    )
    return f"{stem}_x2_x4" if technique in ("dan", "moesr") else stem
