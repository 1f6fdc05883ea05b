"""Scoring of saved images: known scores are kept, unscorable images are named, references must fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from octosr.data.encode import write_png
from octosr.evaluation import saved, scoring
from octosr.evaluation.recipe import Provenance, Recipe, is_current
from octosr.evaluation.saved import SavedImage, saved_images
from octosr.evaluation.scoring import definition_of, score_images
from octosr.metrics.base import Definition, ImageMetric, UnscorableImageError
from octosr.metrics.fidelity import Psnr


class Brightness(ImageMetric):
    """Mean of the image; black images cannot be judged."""

    higher_is_better = True
    default_name = "brightness"
    detail_names = ("pixels",)

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    @property
    def definition(self) -> Definition:
        return {"version": 1}

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        black = [n for n, image in enumerate(images) if image.max() == 0]
        if black:
            raise UnscorableImageError("black", black)
        self.seen += len(images)
        return images.double().flatten(1).mean(1)

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        pixels = images.shape[-1] * images.shape[-2]
        return self._score(images, reference), {"pixels": torch.full((len(images),), pixels)}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    values = {"a": 51, "b": 102, "c": 0, "d": 153, "e": 204}
    paths = {}
    for name, value in values.items():
        paths[name] = tmp_path / f"{name}.png"
        size = 16 if name == "d" else 8
        write_png(paths[name], torch.full((3, size, size), value, dtype=torch.uint8))
    return paths


class Collected:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.scores: dict[tuple[str, str], float] = {}
        self.details: dict[str, dict[str, float]] = {}
        self.failures: list[tuple[str, str, str]] = []
        self.checkpoints = 0

    def add(self, metric: str, image: SavedImage, score: float, details: Mapping[str, float]) -> None:
        assert (metric, image.name) not in self.scores
        self.scores[metric, image.name] = score
        self.details[image.name] = dict(details)

    def fail(self, metric: str, image: SavedImage, reason: str) -> None:
        self.failures.append((metric, image.name, reason))

    def checkpoint(self) -> None:
        self.checkpoints += 1


def score(
    metrics: dict[str, ImageMetric],
    files: dict[str, Path],
    references: dict[str, dict[str, Path]] | None = None,
    only: str | None = None,
    batch_size: int = 4,
) -> tuple[Collected, list[tuple[str, str]]]:
    images, unread = saved_images(files, references or {})
    assert unread == []
    sink = Collected()
    todo = {
        name: {
            i.name
            for i in images
            if (only is None or i.name in only) and (not m.needs_reference or m.compares_with in i.references)
        }
        for name, m in metrics.items()
    }
    return sink, score_images(images, metrics, todo, sink, batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_scores_are_those_of_the_saved_pixels_whatever_the_batch(files: dict[str, Path], batch_size: int) -> None:
    sink, problems = score({"brightness": Brightness()}, files, batch_size=batch_size)
    expected = {"a": 0.2, "b": 0.4, "d": 0.6, "e": 0.8}
    assert {name: value for (_, name), value in sink.scores.items()} == pytest.approx(expected, abs=1e-7)
    assert sink.details["d"] == {"pixels": 256}
    assert sink.details["a"] == {"pixels": 64}
    assert sink.failures == [("brightness", "c", "black")]
    assert problems == []
    assert sink.checkpoints == {1: 5, 2: 3, 5: 2}[batch_size]


def test_only_what_is_to_be_done_is_decoded_and_scored(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    monkeypatch.setattr(scoring, "pixels_of", lambda path: decoded.append(path.stem) or saved.pixels_of(path))
    metric = Brightness()
    sink, _ = score({"brightness": metric}, files, only="be")
    assert sorted(decoded) == ["b", "e"]
    assert metric.seen == 2
    assert set(sink.scores) == {("brightness", "b"), ("brightness", "e")}


def test_images_of_many_sizes_do_not_pile_up_in_memory(tmp_path: Path) -> None:
    files = {}
    for n in range(40):
        files[f"{n}"] = tmp_path / f"{n}.png"
        write_png(files[f"{n}"], torch.full((3, 8, 8 + n), 100, dtype=torch.uint8))
    batches: list[int] = []

    class Counting(Brightness):
        def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
            batches.append(len(images))
            return super()._score(images, reference)

    images, _ = saved_images(files, {})
    done: list[int] = []
    sink = Collected()
    sink.checkpoint = lambda: done.append(len(sink.scores))  # type: ignore[method-assign]
    score_images(images, {"brightness": Counting()}, {"brightness": set(files)}, sink, batch_size=2)
    assert sum(batches) == 40
    assert done[:3] == [1, 2, 3]  # the first is scored when 8 wait, not when all 40 do


def test_what_has_more_than_8_bits_is_scored_unrounded(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 1000, np.uint16)).save(path)
    sink, _ = score({"brightness": Brightness()}, {"deep": path})
    assert sink.scores["brightness", "deep"] == pytest.approx(1000 / 65535, abs=1e-9)


def test_files_that_cannot_be_decoded_are_named_and_the_others_scored(files: dict[str, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(files["a"].read_bytes()[:-20])
    sink, problems = score({"brightness": Brightness()}, {"bad": bad, "a": files["a"]})
    assert set(sink.scores) == {("brightness", "a")}
    assert [file for file, _ in problems] == [str(bad)]
    images, unread = saved_images({"gone": tmp_path / "gone.png", "a": files["a"]}, {})
    assert [image.name for image in images] == ["a"]
    assert unread == [(str(tmp_path / "gone.png"), "cannot be read: No such file or directory")]


def test_psnr_compares_with_the_hr_image_and_only_where_there_is_one(files: dict[str, Path], tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(np.full((8, 8, 3), 61, np.uint8)).save(reference)
    sink, _ = score({"psnr": Psnr()}, {k: files[k] for k in "ab"}, {"hr": {"a": reference}})
    assert sink.scores == {("psnr", "a"): pytest.approx(20 * math.log10(255 / 10), abs=1e-4)}


class Lr(Brightness):
    """Compares with the LR image: how much brighter."""

    compares_with = "lr"
    default_name = "lr"

    def _check_reference(self, images: Tensor, reference: Tensor) -> None:
        assert images.shape[0] == reference.shape[0]

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        assert reference is not None
        return images.double().mean((1, 2, 3)) - reference.double().mean((1, 2, 3)), {"pixels": torch.ones(len(images))}


def test_lr_images_of_several_sizes_and_depths_are_compared_with(files: dict[str, Path], tmp_path: Path) -> None:
    low = {
        "a": np.full((2, 2, 3), 41, np.uint8),
        "b": np.full((1, 1, 3), 52, np.uint8),
        "e": np.full((2, 2), 0, np.uint16),
    }
    paths = {}
    for name, pixels in low.items():
        paths[name] = tmp_path / f"low_{name}.png"
        Image.fromarray(pixels).save(paths[name])
    paths["d"] = tmp_path / "low_d.png"
    paths["d"].write_bytes(b"damaged")
    sink, problems = score({"lr": Lr()}, files, {"lr": paths})
    assert {name: value for (_, name), value in sink.scores.items()} == pytest.approx(
        {"a": 10 / 255, "b": 50 / 255, "e": 204 / 255}, abs=1e-7
    )
    ((metric, name, reason),) = sink.failures
    assert (metric, name) == ("lr", "d")
    assert f"the LR image {paths['d']} cannot be used" in reason
    assert problems == []


def test_reference_of_another_size_is_said_with_both_and_stops_nothing(files: dict[str, Path], tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(reference)
    sink, _ = score({"psnr": Psnr()}, {k: files[k] for k in "ab"}, {"hr": {"a": reference, "b": files["a"]}})
    ((_, name, reason),) = sink.failures
    assert name == "a"
    assert "(1, 3, 8, 8)" in reason
    assert "(1, 3, 8, 9)" in reason
    assert set(sink.scores) == {("psnr", "b")}


def test_the_definition_says_what_is_compared_with_but_not_which_file() -> None:
    assert definition_of(Psnr()) == Psnr().definition | {"compares_with": "hr"}
    assert definition_of(Brightness()) == {"version": 1}


def test_an_image_is_current_only_for_its_recipe_and_its_lr_image(tmp_path: Path) -> None:
    recipe = Recipe("dan", {"version": 2}, (("last.ckpt", "abc"),))
    path = tmp_path / "x.png"
    assert not is_current(path, recipe, "lr")
    write_png(path, torch.zeros(3, 8, 8), recipe.text("lr", standin=True))
    assert is_current(path, recipe, "lr")
    assert is_current(path, Recipe("dan", {"version": 2}, (("elsewhere.ckpt", "abc"),)), "lr")
    assert not is_current(path, recipe, "other lr")
    assert not is_current(path, Recipe("dan", {"version": 1}, recipe.weights), "lr")
    assert not is_current(path, Recipe("dan", {"version": 2}, (("last.ckpt", "def"),)), "lr")
    with Image.open(path) as image:
        assert "STAND-IN" in image.info["octosr:data"]
    path.write_bytes(b"not an image")
    assert not is_current(path, recipe, "lr")


def test_provenance_of_stand_ins_says_so(tmp_path: Path) -> None:
    recipe = Recipe("bicubic", {})
    text = Provenance(recipe, "isaid", "stand-in", {"torch": "2"}, ["a"]).write(tmp_path).read_text()
    assert "STAND-IN" in text
    assert recipe.key in text
    assert "STAND-IN" not in Provenance(recipe, "isaid", "study", {}, ["a"]).write(tmp_path).read_text()
