"""Scoring of saved images: known scores are kept, unscorable images are named, references must fit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from octosr.data.encode import write_png
from octosr.errors import OctoSRError
from octosr.evaluation.recipe import Provenance, Recipe, file_sha256, is_current
from octosr.evaluation.scoring import definition_for, score_saved
from octosr.metrics.base import Definition, ImageMetric, UnscorableImageError
from octosr.metrics.fidelity import Psnr


class Brightness(ImageMetric):
    """Mean of the image; black images cannot be judged."""

    higher_is_better = True
    default_name = "brightness"

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    @property
    def definition(self) -> Definition:
        return {"version": 1}

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        self.seen += len(images)
        black = [n for n, image in enumerate(images) if image.max() == 0]
        if black:
            raise UnscorableImageError("black", black)
        return images.double().flatten(1).mean(1)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    values = {"a": 51, "b": 102, "c": 0, "d": 153, "e": 204}
    paths = {}
    for name, value in values.items():
        paths[name] = tmp_path / f"{name}.png"
        size = 16 if name == "d" else 8
        write_png(paths[name], torch.full((3, size, size), value, dtype=torch.uint8))
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_scores_are_those_of_the_saved_pixels_whatever_the_batch(files: dict[str, Path], batch_size: int) -> None:
    scores = score_saved(files, {"brightness": Brightness()}, {}, {}, batch_size=batch_size)
    table = scores.table.set_index("image")["brightness"]
    assert list(table.index) == list("abcde")
    assert table.drop("c").to_dict() == pytest.approx({"a": 0.2, "b": 0.4, "d": 0.6, "e": 0.8}, abs=1e-7)
    assert math.isnan(table["c"])
    assert scores.failures == {"brightness": [("c", "black")]}
    assert scores.table["sha256"].tolist() == [file_sha256(path) for path in files.values()]


def test_known_scores_are_not_computed_again(files: dict[str, Path]) -> None:
    metric = Brightness()
    known = {"brightness": {file_sha256(files["a"]): 7.0, file_sha256(files["e"]): 8.0}}
    scores = score_saved({k: files[k] for k in "abe"}, {"brightness": metric}, {}, known)
    assert scores.table["brightness"].tolist() == pytest.approx([7.0, 0.4, 8.0])
    assert metric.seen == 1
    assert scores.computed == {"brightness": 1}


def test_reference_of_another_size_is_an_error_that_names_both(files: dict[str, Path], tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(reference)
    with pytest.raises(OctoSRError, match=r"reference.png is 8x9, but the image 'a'.* is 8x8"):
        score_saved({"a": files["a"]}, {"psnr": Psnr()}, {"a": reference}, {})


def test_images_without_a_reference_stay_empty(files: dict[str, Path], tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(np.full((8, 8, 3), 61, np.uint8)).save(reference)
    scores = score_saved({k: files[k] for k in "ab"}, {"psnr": Psnr()}, {"a": reference}, {})
    expected = 20 * math.log10(255 / 10)
    assert scores.table["psnr"].tolist()[0] == pytest.approx(expected, abs=1e-4)
    assert math.isnan(scores.table["psnr"].tolist()[1])


def test_a_changed_reference_changes_the_definition(tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(reference)
    before = definition_for(Psnr(), {"a": reference})
    Image.fromarray(np.ones((8, 8, 3), np.uint8)).save(reference)
    assert definition_for(Psnr(), {"a": reference}) != before
    assert definition_for(Brightness(), {"a": reference}) == {"version": 1}


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
