"""What is there already: a second evaluation, metrics.only=true, and images that others made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig
from PIL import Image

from octosr.data.decode import read_image
from octosr.errors import BadImageError, ConfigError, MissingDataError, MissingMetricError
from octosr.metrics.fidelity import LrConsistency
from octosr.runs import evaluate as evaluate_module
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train
from octosr.scores.store import ScoreStore, ScoreStoreError
from octosr.techniques.base import GenerativeTechnique
from octosr.techniques.interpolation import Interpolation

Composer = Callable[..., DictConfig]
NAMES = ("low_P0001", "low_P0002", "low_P0003")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with three LR images of isaid (12x12) and their HR references (96x96)."""
    generator = np.random.default_rng(0)
    for part, side in (("LR", 12), ("HR", 96)):
        folder = tmp_path / "data" / "isaid" / part
        folder.mkdir(parents=True)
        for name in NAMES:
            Image.fromarray(generator.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{name}.png")
    return tmp_path / "data"


@pytest.fixture
def compose(composer: Composer, data: Path, tmp_path: Path) -> Callable[..., DictConfig]:
    shared = ("dataset=isaid", f"data.root={data}", f"output_root={tmp_path / 'out'}", "logger=none", "hardware=cpu")
    quiet = ("trainer.enable_progress_bar=false", "metrics=[niqe,psnr]")
    return lambda *overrides, name="eval": composer(name, *shared, *quiet, *overrides)


def forbid(monkeypatch: pytest.MonkeyPatch, *targets: str) -> None:
    """Make it an error that any of these is called."""
    for target in targets:

        def fail(*args: object, target: str = target, **kwargs: object) -> None:
            raise AssertionError(f"{target} was called")

        monkeypatch.setattr(target, fail)


NOTHING_TO_DO = (
    "octosr.metrics.base.ImageMetric.score_detailed",
    "octosr.metrics.niqe.Niqe.prepare",
    "octosr.techniques.interpolation.Interpolation.super_resolve",
    "octosr.techniques.interpolation.Interpolation.__init__",
    "octosr.data.bank.decode",
    "octosr.data.references.decode",
    "octosr.evaluation.saved.decode",
    "pytorch_lightning.Trainer.__init__",
)


def test_a_second_evaluation_computes_decodes_and_builds_nothing(
    compose: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(compose())
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {path.name for path in files} >= {"isaid.csv", "isaid.json", "provenance.json", "low_P0001.png"}
    with monkeypatch.context() as patched:
        forbid(patched, *NOTHING_TO_DO)
        second = evaluate(compose())
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()} == files


def test_what_would_be_forbidden_is_what_a_first_evaluation_uses(
    compose: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    for target in NOTHING_TO_DO:
        with monkeypatch.context() as patched:
            forbid(patched, target)
            with pytest.raises((AssertionError, InstantiationException), match=f"{target} was called"):
                evaluate(compose("redo=true"))


def test_one_new_image_costs_one_image(
    compose: Callable[..., DictConfig], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(compose())
    for part in ("LR", "HR"):
        folder = data / "isaid" / part
        shutil.copy(folder / "low_P0001.png", folder / "low_P0000.png")
        pixels = np.asarray(Image.open(folder / "low_P0001.png"))
        Image.fromarray(255 - pixels).save(folder / "low_P0000.png")
    made: list[int] = []
    super_resolve = Interpolation.super_resolve
    monkeypatch.setattr(
        Interpolation, "super_resolve", lambda self, lr: made.append(len(lr)) or super_resolve(self, lr)
    )
    judged: list[tuple[str, int]] = []
    score = evaluate_module.judge.__globals__["score_images"]

    def counting(images: Any, metrics: Any, todo: Any, *rest: Any, **options: Any) -> Any:
        judged.extend((name, len(names)) for name, names in todo.items())
        return score(images, metrics, todo, *rest, **options)

    monkeypatch.setattr("octosr.runs.judge.score_images", counting)
    assert evaluate(compose()).note == "4 images"
    assert made == [1]
    assert sorted(judged) == [("niqe", 1), ("psnr", 1)]


def test_a_metric_that_cannot_be_loaded_stops_the_run_before_the_work(
    compose: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: object) -> None:
        raise MissingMetricError("no such file")

    monkeypatch.setattr("octosr.metrics.niqe.Niqe.prepare", missing)
    with pytest.raises(MissingMetricError, match="no such file"):
        evaluate(compose())
    assert not (tmp_path / "out" / "hr").exists()
    result = evaluate(compose("metrics.on_missing=skip"))
    assert result.words == {"niqe": "not available"}
    assert result.values["psnr"] > 0


def test_metrics_only_scores_what_is_there(
    compose: Callable[..., DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(MissingDataError, match=r"there are none\. To make them: python eval\.py technique=bicubic"):
        evaluate(compose("metrics.only=true"))
    whole = evaluate(compose("metrics=psnr"))
    folder = tmp_path / "out" / "hr" / "bicubic" / "isaid"
    before = (folder / "provenance.json").read_bytes()
    forbid(monkeypatch, "octosr.techniques.interpolation.Interpolation.__init__")
    forbid(monkeypatch, "octosr.runs.weights.find_weights")
    again = evaluate(compose("metrics.only=true"))
    assert again.values["psnr"] == whole.values["psnr"]
    assert set(again.values) == {"niqe", "psnr"}
    (folder / "low_P0002.png").unlink()
    lacking = evaluate(compose("metrics.only=true"))
    assert "1 images not made yet" in lacking.note
    assert f"{folder} lacks 1 of 3 images: low_P0002" in caplog.text
    assert ScoreStore(tmp_path / "out" / "scores").read("bicubic", "isaid")["image"].tolist() == [NAMES[0], NAMES[2]]
    assert (folder / "provenance.json").read_bytes() == before
    # without the LR images on this machine, the images alone are scored
    alone = evaluate(compose("metrics.only=true", "data.root=nowhere", "metrics.on_missing=skip"))
    assert alone.values["niqe"] == lacking.values["niqe"]
    assert alone.kind == "study"
    # a technique that needs weights needs none here
    shutil.copytree(folder, tmp_path / "out" / "hr" / "dan" / "isaid")
    assert evaluate(compose("metrics.only=true", "technique=dan")).values["niqe"] == lacking.values["niqe"]


def precomputed(folder: Path, *more: str) -> list[str]:
    return ["technique=precomputed", f"technique.root={folder}", *more]


def test_our_own_images_score_the_same_when_precomputed(
    compose: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = evaluate(compose())
    hr = tmp_path / "out" / "hr"
    authors = tmp_path / "authors"
    authors.mkdir()
    for path in (hr / "bicubic" / "isaid").glob("*.png"):
        shutil.copy(path, authors / f"{path.stem}_x2_x4.png")
    theirs = evaluate(compose(*precomputed(authors, "technique.name=authors_dan")))
    assert theirs.technique == "authors_dan"
    assert theirs.values == ours.values
    store = ScoreStore(tmp_path / "out" / "scores")
    assert store.read("authors_dan", "isaid").equals(store.read("bicubic", "isaid"))
    sources = json.loads((hr / "authors_dan" / "isaid" / "provenance.json").read_text())
    assert sources["images"]["low_P0001"]["file"] == "low_P0001_x2_x4.png"
    assert sources["images"]["low_P0001"]["sha256"] == store.read("bicubic", "isaid")["sha256"][0]
    assert [path.name for path in (hr / "authors_dan" / "isaid").iterdir()] == ["provenance.json"]  # nothing is copied
    forbid(monkeypatch, "octosr.metrics.base.ImageMetric.score_detailed", "octosr.evaluation.saved.decode")
    assert evaluate(compose(*precomputed(authors, "technique.name=authors_dan"))) == theirs
    assert evaluate(compose(*precomputed(hr, "technique.name=bicubic"))).values == ours.values


def test_images_of_no_lr_image_are_scored_unpaired(compose: Callable[..., DictConfig], tmp_path: Path) -> None:
    folder = tmp_path / "gan"
    folder.mkdir()
    generator = np.random.default_rng(1)
    for name, side in (("seed1000", 128), ("17", 100)):
        Image.fromarray(generator.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{name}.jpg")
    result = evaluate(compose(*precomputed(folder)))
    assert result.words == {"psnr": "not applicable"}
    assert np.isnan(result.values["psnr"])
    assert result.values["niqe"] > 0
    store = ScoreStore(tmp_path / "out" / "scores")
    assert store.summary("precomputed", "isaid")["state"].to_dict() == {"niqe": "scored", "psnr": "not applicable"}
    # some paired, some not
    shutil.copy(tmp_path / "data" / "isaid" / "HR" / "low_P0002.png", folder / "P0002_x8.png")
    mixed = evaluate(compose(*precomputed(folder)))
    assert mixed.values["psnr"] == np.inf
    assert "psnr: 1 of 3" in mixed.note
    assert "2 LR images without a result" in mixed.note
    assert "2 of no LR image" in mixed.note


def test_no_lr_images_on_this_machine_at_all(compose: Callable[..., DictConfig], tmp_path: Path, data: Path) -> None:
    folder = shutil.copytree(data / "isaid" / "HR", tmp_path / "authors" / "isaid")
    shutil.rmtree(data)
    result = evaluate(compose(*precomputed(folder.parent)))
    assert result.kind == "study"
    assert result.words == {"psnr": "not available"}
    assert ScoreStore(tmp_path / "out" / "scores").read("precomputed", "isaid")["image"].tolist() == list(NAMES)
    anybody = evaluate(compose(*precomputed(folder), "dataset=more/folder"))
    assert (anybody.dataset, anybody.kind) == ("folder", "folder")
    assert anybody.values["niqe"] == result.values["niqe"]


def test_bad_files_are_said_at_the_end_and_the_rest_is_scored(
    compose: Callable[..., DictConfig], tmp_path: Path, data: Path
) -> None:
    folder = shutil.copytree(data / "isaid" / "HR", tmp_path / "authors")
    bad = folder / "low_P0002.png"
    bad.write_bytes(bad.read_bytes()[:-30])
    with pytest.raises(BadImageError) as caught:
        evaluate(compose(*precomputed(folder)))
    assert [file for file, _ in caught.value.problems] == [str(bad)]
    table = ScoreStore(tmp_path / "out" / "scores").read("precomputed", "isaid")
    assert table["niqe"].notna().tolist() == [True, False, True]
    result = evaluate(compose(*precomputed(folder), "data.on_bad_image=skip"))
    assert "1 unreadable" in result.note


def test_precomputed_says_what_it_needs(compose: Callable[..., DictConfig], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"technique\.root=FOLDER"):
        evaluate(compose("technique=precomputed"))
    with pytest.raises(ScoreStoreError, match="must be a plain file name"):
        evaluate(compose(*precomputed(tmp_path, "technique.name=../x")))
    with pytest.raises(MissingDataError, match=r"technique\.root=.*nowhere is not there"):
        evaluate(compose(*precomputed(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match="nothing to train"):
        train(compose(*precomputed(tmp_path), name="train"))


class Generator(GenerativeTechnique):
    """Stands for a GAN whose images have been saved."""


def test_nothing_is_compared_with_images_that_were_generated(
    compose: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(compose())
    shutil.copytree(tmp_path / "out" / "hr" / "bicubic", tmp_path / "out" / "hr" / "gan")
    monkeypatch.setattr(evaluate_module, "technique_class", lambda cfg: Generator)
    result = evaluate(compose("metrics.only=true", "technique.name=gan", "metrics=[niqe,psnr,lr_consistency]"))
    assert result.words == {"psnr": "not applicable", "lr_consistency": "not applicable"}
    assert result.values["niqe"] > 0


def test_each_image_is_compared_with_its_own_lr_image(
    compose: Callable[..., DictConfig], tmp_path: Path, data: Path
) -> None:
    def scores() -> dict[str, float]:
        evaluate(compose("metrics=lr_consistency"))
        table = ScoreStore(tmp_path / "out" / "scores").read("bicubic", "isaid")
        return dict(zip(table["image"], table["lr_consistency"], strict=True))

    def expected(name: str) -> float:
        files = (tmp_path / "out" / "hr" / "bicubic" / "isaid" / f"{name}.png", data / "isaid" / "LR" / f"{name}.png")
        sr, lr = (torch.from_numpy(read_image(file)).permute(2, 0, 1)[None] for file in files)
        return float(LrConsistency().score(sr, lr))

    first = scores()
    assert first == {name: pytest.approx(expected(name), abs=1e-9) for name in NAMES}
    path = data / "isaid" / "LR" / "low_P0002.png"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    second = scores()
    assert second["low_P0002"] == pytest.approx(expected("low_P0002"), abs=1e-9)
    assert second["low_P0002"] != first["low_P0002"]
    assert {second[name] == first[name] for name in (NAMES[0], NAMES[2])} == {True}


@pytest.mark.slow
def test_a_sweep_over_images_of_others_needs_no_lr_images(tmp_path: Path, data: Path, root: Path) -> None:
    for dataset in ("isaid", "ships"):
        shutil.copytree(data / "isaid" / "HR", tmp_path / "authors" / "dan" / dataset)
    command = [sys.executable, "eval.py", "-m", "dataset=isaid,ships", "technique.name=dan"]
    command += precomputed(tmp_path / "authors", f"data.root={tmp_path / 'nowhere'}", f"output_root={tmp_path / 'out'}")
    done = subprocess.run(
        [*command, "metrics=niqe", "logger=none"], cwd=root, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    store = ScoreStore(tmp_path / "out" / "scores")
    assert store.cells() == [("dan", "isaid"), ("dan", "ships")]
    assert store.read("dan", "ships")["niqe"].notna().tolist() == [True] * 3
