"""The score store as the report sees it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from octosr.scores.store import ScoreStore
from octosr.study.inputs import read_scores
from octosr.study.manifest import manifest


def write(store: ScoreStore, technique: str, dataset: str, columns: dict[str, list[float]], **more: object) -> None:
    n = len(next(iter(columns.values())))
    names = more.pop("names", [f"img{i}" for i in range(n)])
    table = pd.DataFrame({"image": names, "sha256": [f"{i:064d}" for i in range(n)], **columns})
    definitions = more.pop("definitions", {m: {"version": "1"} for m in columns})
    directions = {m: m != "niqe" for m in columns if ":" not in m}
    store.write(technique, dataset, table, definitions, {"kind": "folder"}, higher_is_better=directions, **more)  # type: ignore[arg-type]


def test_metrics_and_details_are_told_apart(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    write(store, "dan", "isaid", {"niqe": [4.0, float("nan")], "niqe:blocks": [100.0, 20.0], "mine": [1.0, 2.0]})
    scores = read_scores(tmp_path)
    assert scores.metrics == ["niqe", "mine"]
    assert scores.higher_is_better == {"niqe": False, "mine": True}
    assert scores.of("niqe")["value"].isna().tolist() == [False, True]
    assert scores.details[["metric", "value"]].to_numpy().tolist() == [["niqe:blocks", 100.0], ["niqe:blocks", 20.0]]
    assert scores.kinds == {("dan", "isaid"): "folder"}
    assert scores.definitions["dan", "isaid", "mine"] == {"version": "1"}


def test_what_does_not_apply_is_no_gap_and_what_failed_is(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    nan = float("nan")
    reasons = {"psnr": {"img1": "not applicable: no HR reference"}, "niqe": {"img0": "too small"}}
    write(store, "dan", "isaid", {"niqe": [nan, 5.0], "psnr": [20.0, nan]}, reasons=reasons)
    scores = read_scores(tmp_path)
    assert scores.of("psnr")["image"].tolist() == ["img0"]
    assert scores.of("niqe")["image"].tolist() == ["img0", "img1"]
    assert scores.unavailable == {("dan", "isaid", "niqe"): "too small"}
    (cell,) = manifest(scores).to_dict("records")
    assert cell["status"] == "partial"
    assert cell["note"] == "NIQE of 1 of 2 images (too small)"


def test_images_of_no_lr_image_pair_with_nothing(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    reasons = {"psnr": {"0": "not applicable: generated"}}
    write(store, "mygan", "demo", {"niqe": [4.0], "psnr": [float("nan")]}, names=["0"], reasons=reasons)
    write(store, "dan", "demo", {"niqe": [4.0]}, names=["0"])
    images = read_scores(tmp_path).of("niqe").set_index("technique")["image"].to_dict()
    assert images == {"mygan": "mygan:0", "dan": "0"}


def test_a_metric_that_could_not_be_computed_says_why(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    definitions = {"niqe": {"version": "1"}, "maniqa": {"not_available": "no weights"}}
    write(store, "dan", "isaid", {"niqe": [4.0], "maniqa": [float("nan")]}, definitions=definitions)
    scores = read_scores(tmp_path)
    assert scores.metrics == ["niqe"]
    assert scores.unavailable == {("dan", "isaid", "maniqa"): "no weights"}


def test_a_damaged_table_is_a_failed_cell_not_the_end(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    write(store, "dan", "isaid", {"niqe": [4.0, 5.0]})
    write(store, "dan", "ships", {"niqe": [4.0, 5.0]})
    path = store.path("dan", "ships")
    path.write_bytes(path.read_bytes()[:-5])
    scores = read_scores(tmp_path)
    cells = manifest(scores).set_index("dataset")["status"].to_dict()
    assert cells == {"ships": "failed", "isaid": "complete"}
    assert "ships.csv" in scores.damaged["dan", "ships"]


def test_names_that_are_not_unicode_come_through(tmp_path: Path) -> None:
    write(ScoreStore(tmp_path), "dan", "demo", {"niqe": [4.0, 5.0]}, names=["not-utf8-\udcff", "NA"])
    assert read_scores(tmp_path).of("niqe")["file"].tolist() == ["not-utf8-\udcff", "NA"]
