"""Scores are saved as they are made, nothing known is made again, and no kill changes the table."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from octosr.evaluation import table as table_module
from octosr.evaluation.saved import SavedImage, saved_images
from octosr.evaluation.scoring import score_images
from octosr.evaluation.table import ScoreTable
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.fidelity import Psnr
from octosr.scores.store import ScoreStore


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_kills_at_random_moments_and_two_processes_at_once_change_nothing(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    script = Path(__file__).with_name("kill_worker.py")
    command = [sys.executable, str(script), str(tmp_path / "work"), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-3000:]}"
    result = json.loads(done.stdout)
    assert result["equal"] == [True] * 12, f"seed {seed}: {result}"
    assert result["rows"] == 30
    assert result["total"] == 2 * 30 - 1  # one image is black: brightness has no score for it
    assert result["killed"] >= 3, f"seed {seed}: {result}"  # most runs were killed at work ...
    assert result["killed_often"] >= 3
    assert min(*result["again"], result["again_often"]) < result["total"], (
        f"seed {seed}: {result}"
    )  # ... and some had saved
    assert result["nothing_left"] == 0


class Sides(ImageMetric):
    """Width over height, and the width beside it."""

    higher_is_better = True
    default_name = "sides"
    version = 1
    detail_names = ("width",)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    @property
    def definition(self) -> Definition:
        return {"version": self.version}

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        self.seen.append(len(images))
        width = torch.full((len(images),), images.shape[3], dtype=torch.float64)
        return width / images.shape[2], {"width": width}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.png" for name in "abc"}
    for n, path in enumerate(paths.values()):
        Image.fromarray(np.full((8, 8, 3), 100 + n, np.uint8)).save(path)
    return paths


def open_table(tmp_path: Path, files: dict[str, Path], metric: ImageMetric, **options: object) -> ScoreTable:
    references = options.pop("references", {})
    images, _ = saved_images(files, references)  # type: ignore[arg-type]
    store = ScoreStore(tmp_path / "scores")
    return ScoreTable(store, "dan", "isaid", "study", images, {metric.name: metric}, **options)  # type: ignore[arg-type]


def run(table: ScoreTable) -> dict[str, float]:
    score_images(table.images, table.metrics, table.todo(), table, batch_size=1)
    return dict(zip("abc", table.finish()[next(iter(table.metrics))].tolist(), strict=False))


def test_details_stand_in_columns_of_their_own(tmp_path: Path, files: dict[str, Path]) -> None:
    run(open_table(tmp_path, files, Sides(), run={"date": "today"}))
    store = ScoreStore(tmp_path / "scores")
    table = store.read("dan", "isaid")
    assert list(table.columns) == ["image", "sha256", "sides", "sides:width"]
    assert table["sides:width"].tolist() == [8.0] * 3
    info = store.info("dan", "isaid")["metrics"]
    assert info["sides:width"]["definition"] == {"version": 1, "detail": "width"}
    assert info["sides:width"]["higher_is_better"] is None
    assert info["sides"]["higher_is_better"] is True
    assert store.info("dan", "isaid")["runs"] == [{"date": "today", "kind": "study"}]


def test_only_what_changed_is_scored_again(tmp_path: Path, files: dict[str, Path]) -> None:
    metric = Sides()
    run(open_table(tmp_path, files, metric))
    assert metric.seen == [1, 1, 1]
    run(open_table(tmp_path, files, metric))
    assert metric.seen == [1, 1, 1]
    Image.fromarray(np.zeros((8, 16, 3), np.uint8)).save(files["b"])
    assert run(open_table(tmp_path, files, metric)) == {"a": 1.0, "b": 2.0, "c": 1.0}
    assert metric.seen == [1] * 4
    metric.detail_names = ("width", "more")
    assert open_table(tmp_path, files, metric).todo() == {"sides": {"a", "b", "c"}}  # their new detail is not known
    metric.detail_names, metric.version = ("width",), 2
    run(open_table(tmp_path, files, metric))
    assert metric.seen == [1] * 7


def test_one_new_image_makes_no_comparison_of_the_others_unknown(tmp_path: Path, files: dict[str, Path]) -> None:
    hr = dict.fromkeys("ab", files["c"])
    first = run(open_table(tmp_path, {k: files[k] for k in "ab"}, Psnr(), references={"hr": hr}))
    assert first["a"] == pytest.approx(20 * math.log10(255 / 2), abs=1e-4)
    table = open_table(tmp_path, files, Psnr(), references={"hr": hr | {"c": files["a"]}})
    assert table.todo() == {"psnr": {"c"}}
    hr["a"] = files["b"]
    table = open_table(tmp_path, {k: files[k] for k in "ab"}, Psnr(), references={"hr": hr})
    assert table.todo() == {"psnr": {"a"}}
    assert run(table)["a"] == pytest.approx(20 * math.log10(255), abs=1e-4)


def test_scores_are_on_the_disk_before_the_run_ends(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(table_module.time, "monotonic", lambda: next(clock) * 0.6)
    table = open_table(tmp_path, files, Sides(), run={})
    seen: list[int] = []
    checkpoint = table.checkpoint

    def look() -> None:
        checkpoint()
        seen.append(len(ScoreStore(tmp_path / "scores").read("dan", "isaid")))

    monkeypatch.setattr(table, "checkpoint", look)
    score_images(table.images, table.metrics, table.todo(), table, batch_size=1)
    assert seen == [
        0,
        2,
        2,
    ]  # each look at the clock is 0.6 s later; saving is said to have taken 0.6 s: not again soon
    assert len(table.finish()) == 3


def test_what_does_not_apply_is_not_what_is_not_available(tmp_path: Path, files: dict[str, Path]) -> None:
    apart = {"hr": dict.fromkeys("abc", "generated")}
    table = open_table(tmp_path, files, Psnr(), missing={"maniqa": "no weights\nmore"}, apart=apart)
    assert table.todo() == {"psnr": set()}
    assert table.finish()[["psnr", "maniqa"]].isna().all(axis=None)
    store = ScoreStore(tmp_path / "scores")
    assert store.summary("dan", "isaid")["state"].to_dict() == {"psnr": "not applicable", "maniqa": "not available"}
    info = store.info("dan", "isaid")["metrics"]
    assert info["psnr"]["without"] == {"not applicable: generated": [0, 1, 2]}
    assert info["maniqa"]["definition"] == {"not_available": "no weights"}


def test_a_damaged_table_is_mended_before_scoring(
    tmp_path: Path, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    metric = Sides()
    run(open_table(tmp_path, files, metric))
    path = ScoreStore(tmp_path / "scores").path("dan", "isaid")
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert run(open_table(tmp_path, files, metric)) == {"a": 1.0, "b": 1.0, "c": 1.0}
    assert metric.seen == [1] * 4  # the two whole rows were kept
    assert path.read_bytes() == whole
    assert (path.parent / "isaid.csv.damaged-1").read_bytes() == whole[:-10]
    assert "Set aside as isaid.csv.damaged-1" in caplog.text


def test_keys_of_an_image(tmp_path: Path) -> None:
    image = SavedImage("a", tmp_path, "sha", {"lr": tmp_path}, {"lr": "low"})
    assert image.key("lr") == ("sha", "low")
    assert image.key("nothing") == image.key("hr") == ("sha", "")
