"""Evaluation of the generative family: one image a seed, the same whoever makes it, compared with nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from toy_gan import ToyGan

from octosr.data.seeds import SeedData, sample_names
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train
from octosr.scores.store import ScoreStore
from octosr.study.inputs import read_scores

Toy = Callable[..., DictConfig]
METRICS = "metrics=[rms_contrast,lr_consistency,psnr,ssim,ms_ssim]"


@pytest.fixture
def trained(toy: Toy, tmp_path: Path) -> Path:
    train(toy("train", "technique.kimg=0.008"))
    return tmp_path / "out"


def pixels(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path)) for path in sorted(folder.glob("seed*.png"))}


def test_latents_are_those_of_upstreams_sampler() -> None:
    toy = ToyGan()
    z = toy.latents(torch.tensor([3, 85]), 8)
    assert z.dtype == torch.float32
    assert np.array_equal(z[1].numpy(), np.random.RandomState(85).randn(1, 8)[0].astype(np.float32))
    images = toy.generate(torch.arange(4))
    assert torch.allclose(images[2:3], toy.generate(torch.tensor([2])), atol=1e-6)
    again = toy.predict_step({"name": ["a"] * 4, "seed": torch.arange(4)})["sr"]
    alone = toy.predict_step({"name": ["a"], "seed": torch.tensor([2])})["sr"]
    assert torch.equal(again[2], alone[0])  # to the bit


def test_as_many_images_as_the_dataset_has_and_nothing_to_compare_them_with(toy: Toy, trained: Path) -> None:
    result = evaluate(toy("eval", METRICS))
    folder = trained / "hr" / "toy_gan" / "folder"
    made = pixels(folder)
    assert list(made) == list(sample_names(12))
    with Image.open(folder / "seed0007.png") as image:
        assert image.info["octosr:seed"] == "7"
        assert "octosr:lr_sha256" not in image.info
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["seeds"] == sample_names(12)
    assert result.words == dict.fromkeys(("lr_consistency", "psnr", "ssim", "ms_ssim"), "not applicable")
    table = ScoreStore(trained / "scores").read("toy_gan", "folder").set_index("image")
    assert list(table.index) == list(sample_names(12))
    assert table["rms_contrast"].notna().all()
    assert table[["lr_consistency", "psnr", "ssim", "ms_ssim"]].isna().all(axis=None)
    frame = read_scores(trained / "scores").frame
    assert set(frame["image"]) == {f"toy_gan:{name}" for name in sample_names(12)}  # it pairs with no other technique


def test_a_metric_that_does_not_apply_is_not_missed(
    toy: Toy, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))  # LPIPS's network is not here
    for more in ((), ("metrics.only=true",)):
        caplog.clear()
        result = evaluate(toy("eval", "metrics=[rms_contrast,lpips]", "metrics.on_missing=error", *more))
        assert result.words == {"lpips": "not applicable"}
        assert "lpips is not available" not in caplog.text


def test_the_weights_decide_and_not_the_batch_size(toy: Toy, trained: Path) -> None:
    evaluate(toy("eval", METRICS, "data.eval_batch_size=1"))
    folder = trained / "hr" / "toy_gan" / "folder"
    one = pixels(folder)
    evaluate(toy("eval", METRICS, "data.eval_batch_size=5", "redo=true"))
    for name, image in pixels(folder).items():
        assert np.array_equal(image, one[name]), name


def test_only_what_is_lacking_is_made_again(toy: Toy, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(toy("eval", METRICS))
    folder = trained / "hr" / "toy_gan" / "folder"
    (folder / "seed0005.png").unlink()
    made: list[int] = []
    generate = ToyGan.generate
    monkeypatch.setattr(ToyGan, "generate", lambda self, seeds: made.extend(seeds.tolist()) or generate(self, seeds))
    evaluate(toy("eval", METRICS))
    assert made == [5]
    train(toy("train", "technique.kimg=0.012"))  # other weights: all of them again
    made.clear()
    evaluate(toy("eval", METRICS))
    assert made == list(range(12))


def test_saved_images_are_scored_without_the_technique(toy: Toy, trained: Path, caplog) -> None:
    first = evaluate(toy("eval", METRICS))
    (trained / "checkpoints" / "toy_gan" / "folder" / "last.ckpt").unlink()
    again = evaluate(toy("eval", METRICS, "metrics.only=true"))
    assert again.values == pytest.approx(first.values, nan_ok=True)
    assert again.words == first.words
    os.remove(trained / "hr" / "toy_gan" / "folder" / "seed0011.png")
    assert "1 images not made yet" in evaluate(toy("eval", METRICS, "metrics.only=true")).note


def test_processes_share_the_seeds() -> None:
    from types import SimpleNamespace

    seen = []
    for rank in range(3):
        data = SeedData(sample_names(7), batch_size=2)
        data.trainer = SimpleNamespace(global_rank=rank, world_size=3)  # type: ignore[assignment]
        seen.append([int(seed) for batch in data.predict_dataloader() for seed in batch["seed"]])
    assert seen == [[0, 3, 6], [1, 4], [2, 5]]
