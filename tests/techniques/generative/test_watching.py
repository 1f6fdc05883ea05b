"""What watches the generative family: grids of samples, the alarm, the statistics beside the scores."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from toy_gan import ToyGan

from octosr.callbacks.diversity import DiversityAlarm
from octosr.callbacks.sample_grid import grid_picture
from octosr.callbacks.samples import evaluating
from octosr.data.whole import square
from octosr.errors import ConfigError, OctoSRError
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train

Toy = Callable[..., DictConfig]
GRID = ("callbacks.sample_grid.every_kimg=0.02", "callbacks.diversity.every_kimg=0.02", "diversity.samples=12")


def weights(out: Path) -> dict[str, torch.Tensor]:
    return torch.load(out / "checkpoints" / "toy_gan" / "folder" / "last.ckpt", weights_only=True)["state_dict"]


def test_grids_and_figures_come_and_change_nothing(toy: Toy, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "octosr"):
        train(toy("train", *GRID, "logger=csv"))
    folder = tmp_path / "out" / "images" / "toy_gan" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"samples_kimg_{kimg:010.3f}.png" for kimg in (0, 0.02, 0.04, 0.048)
    ]
    with Image.open(folder / "samples_kimg_000000.048.png") as picture:
        assert picture.size == (4 + 5 * 20, 28 + 4 * 20)  # 5 x 4 images of 16 pixels, 4 apart, under a line of 24
    assert [r.getMessage().split("  ")[0] for r in caplog.records if "diversity: pairs" in r.getMessage()] == [
        "kimg 0.02", "kimg 0.04", "kimg 0.048",
    ]  # fmt: skip
    (table,) = (tmp_path / "out").rglob("metrics.csv")
    header = table.read_text().splitlines()[0].split(",")
    assert {
        "diversity/pairwise_ratio",
        "diversity/nearest_ratio",
        "diversity/gap",
        "diversity/copies",
        "train/loss_g",
    } <= set(header)
    without = ("callbacks.sample_grid=null", "callbacks.diversity=null", f"output_root={tmp_path / 'without'}")
    train(toy("train", *without))
    for key, value in weights(tmp_path / "without").items():
        assert torch.equal(weights(tmp_path / "out")[key], value), key


def test_the_alarm_quotes_the_figures_and_does_not_repeat_itself(
    toy: Toy, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyGan, "generate", lambda self, seeds: torch.full((len(seeds), 3, 16, 16), 0.5))
    with caplog.at_level(logging.INFO, "octosr"):
        train(toy("train", *GRID))
    said = [r for r in caplog.records if "mode collapse" in r.getMessage()]
    assert len(said) == 1
    assert said[0].levelno == logging.ERROR
    assert "toy_gan at 0.02 kimg: mode collapse: two samples differ by 0.000, 0.00x the" in said[0].getMessage()


def test_limits_can_be_set_and_nonsense_is_refused(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "octosr"):
        train(toy("train", *GRID, "diversity.warn_below=0", "diversity.fail_below=0"))
    assert not [r for r in caplog.records if "collapse" in r.getMessage() or "memorisation" in r.getMessage()]
    with pytest.raises(ConfigError, match=r"diversity\.samples must be 2 or more"):
        DiversityAlarm(samples=1)
    with pytest.raises(ConfigError, match=r"fail_below=0\.7 must not be above diversity\.warn_below=0\.5"):
        DiversityAlarm(fail_below=0.7)


def test_modes_are_put_back_one_by_one() -> None:
    toy = ToyGan()
    toy.discriminator.eval()
    with evaluating(toy):
        assert not any(module.training for module in toy.modules())
    assert toy.generator.training
    assert not toy.discriminator.training


def test_a_grid_is_reduced_and_labelled() -> None:
    images = torch.full((3, 3, 64, 32), 200, dtype=torch.uint8)
    picture = grid_picture(images, 2, 16, "toy", "STAND-IN")
    assert picture.size == (4 + 2 * 12, 28 + 2 * 20)
    assert picture.getpixel((5, 29)) == (200, 200, 200)
    assert picture.getpixel((4 + 12 + 1, 28 + 20 + 1)) == (255, 255, 255)  # no fourth image


def read(out: Path, technique: str = "toy_gan") -> dict:
    return json.loads((out / "diversity" / technique / "folder.json").read_text())


def test_the_statistics_stand_beside_the_scores(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photographs: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    out = tmp_path / "out"
    train(toy("train", "technique.kimg=0.008"))
    evaluate(toy("eval", "metrics=rms_contrast"))
    found = read(out)
    assert (found["samples"], found["reals"], found["side"], found["kind"]) == (12, 12, 16, "folder")
    assert set(found["distances"]) == {"octaves"}
    assert set(found["not_available"]) == {"lpips", "fid", "kid"}
    assert "inception" in found["not_available"]["fid"]
    assert {row["training"] for row in found["nearest"]} <= {path.stem for path in photographs.iterdir()}
    assert [row["sample"] for row in found["nearest"]] == [f"seed{n:04d}" for n in range(12)]

    def fail(*args: object) -> None:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:  # other limits are another judgement, not another measurement
        patch.setattr("octosr.runs.diversity.diversity", fail)
        result = evaluate(toy("eval", "metrics=rms_contrast", "diversity.warn_below=1e9", "diversity.fail_below=0"))
    assert "mode collapse" in result.note
    assert {f["severity"] for f in read(out)["findings"]} == {"warn"}
    assert read(out)["distances"] == found["distances"]


def test_copies_of_the_training_images_are_found(toy: Toy, tmp_path: Path, photographs: Path) -> None:
    """Images of others, declared to be generated: the same statistics."""
    import numpy as np

    folder = tmp_path / "theirs"
    folder.mkdir()
    for number, path in enumerate(sorted(photographs.iterdir())):
        enlarged = Image.fromarray(square(np.asarray(Image.open(path)), 32, "lanczos"))
        enlarged.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"seed{1000 + number}.png")
    settings = ("technique=precomputed", f"technique.root={folder}", "technique.paired=false", "technique.name=theirs")
    result = evaluate(toy("eval", *settings, "metrics=rms_contrast"))
    found = read(tmp_path / "out", "theirs")
    assert found["distances"]["octaves"]["copies"] == 1
    assert found["distances"]["octaves"]["nearest_ratio"] == pytest.approx(0, abs=1e-6)
    assert [row["training"] for row in found["nearest"]] == [path.stem for path in sorted(photographs.iterdir())]
    assert [(f["severity"], f["line"].split(":")[0]) for f in found["findings"]] == [("fail", "memorisation")]
    assert "memorisation" in result.note
    Image.new("RGB", (8, 8)).save(folder / "seed2000.png")
    with pytest.raises(OctoSRError, match=r"different sizes \(8x8, 32x32\)"):
        evaluate(toy("eval", *settings, "metrics=rms_contrast"))


def test_real_images_that_are_all_alike_give_no_figure(toy: Toy, tmp_path: Path) -> None:
    from octosr.metrics.functional.diversity import diversity
    from octosr.runs.diversity import _figures

    same = torch.zeros(3, 3, 16, 16)
    assert _figures(diversity(torch.rand(4, 3, 16, 16), same))["pairwise_ratio"] is None
    assert math.isnan(diversity(torch.rand(4, 3, 16, 16), same).nearest_ratio)
