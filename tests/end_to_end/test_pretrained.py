"""A network of somebody else's through ``eval.py``: images, scores, the record beside them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

from octosr.errors import ConfigError, MissingWeightsError
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train
from octosr.scores.store import ScoreStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "techniques"))

from toy_network import initialised

Composer = Callable[..., DictConfig]
TINY = ("experiment=tiny", "logger=none", "metrics=[psnr,lr_consistency]", "trainer.enable_progress_bar=false")


def test_a_network_of_ones_own_is_judged_like_every_technique(
    demo_cache: Path, tmp_path: Path, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").symlink_to(demo_cache)
    weights = tmp_path / "toy.pth"
    torch.save({"params_ema": initialised(scale=2).state_dict()}, weights)
    settings = (
        "technique=external",
        "technique.name=mine",
        "technique.target=toy_network.Toy",
        "technique.args={scale: 2}",
        "technique.own_scale=2",
        "dataset=more/demo_pairs",
        f"output_root={tmp_path}",
        *TINY,
    )
    with pytest.raises(MissingWeightsError, match="technique=mine runs a network that you give"):
        evaluate(composer("eval", *settings))
    with pytest.raises(ConfigError, match="nothing to train"):
        train(composer("train", *settings))
    result = evaluate(composer("eval", f"weights={weights}", *settings))
    table = ScoreStore(tmp_path / "scores").read("mine", "demo_pairs")
    assert result.values["psnr"] == pytest.approx(table["psnr"].mean())
    assert 15 < result.values["psnr"] < 60
    folder = tmp_path / "hr" / "mine" / "demo_pairs"
    name = table["image"].iloc[0]
    lr = np.asarray(Image.open(demo_cache / "demo-v1" / "pairs" / "LR" / f"{name}.png"))
    assert np.asarray(Image.open(folder / f"{name}.png")).shape == (8 * lr.shape[0], 8 * lr.shape[1], 3)
    record = json.loads((folder / "provenance.json").read_text())
    assert record["recipe"]["weights"] == [["toy.pth", hashlib.sha256(weights.read_bytes()).hexdigest()]]
    assert record["network"] == {
        "architecture": "toy_network.Toy",
        "scale": "x2",
        "parameters": 84,
        "steps": [["network", 2]] * 3,
    }
    monkeypatch.setattr("octosr.runs.evaluate.load_technique", None)  # everything is there: nothing is built again
    assert evaluate(composer("eval", f"weights={weights}", *settings)).values == result.values
