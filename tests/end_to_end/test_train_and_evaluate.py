"""The two commands on tiny real work: train, resume, evaluate, evaluate again; what a run writes and says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.errors import ConfigError, MissingDataError, MissingMetricError, MissingWeightsError, WrongWeightsError
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train
from octosr.scores.store import ScoreStore

Composer = Callable[..., DictConfig]
TINY = ("experiment=tiny", "logger=none", "trainer.enable_model_summary=false")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, demo_cache: Path) -> Path:
    """A data root with two images of one study dataset (stand-ins)."""
    root = tmp_path_factory.mktemp("data")
    build_standins(root, ["isaid"], build_demo(demo_cache), count=3)
    return root


@pytest.fixture(scope="module")
def trained(study: Path, tmp_path_factory: pytest.TempPathFactory, composer: Composer) -> Path:
    """An output folder in which a tiny DAN has been trained for 6 steps and then on to 8."""
    out = tmp_path_factory.mktemp("outputs")
    shared = ("technique=dan", "dataset=isaid", f"data.root={study}", f"output_root={out}", *TINY)
    first = train(composer("train", *shared, "trainer.max_steps=6"))
    assert first.values["step"] == 6
    second = train(composer("train", *shared, "trainer.max_steps=8"))
    assert second.values["step"] == 8
    assert second.kind == "stand-in"
    assert set(second.values) == {"step", "val/psnr", "val/psnr_bicubic"}
    return out


def test_resumed_training_equals_one_that_was_never_stopped(
    trained: Path, study: Path, tmp_path: Path, composer: Composer
) -> None:
    shared = ("technique=dan", "dataset=isaid", f"data.root={study}", f"output_root={tmp_path}", *TINY)
    train(composer("train", *shared, "trainer.max_steps=8"))
    name = Path("checkpoints") / "dan" / "isaid" / "last.ckpt"
    one, two = (torch.load(folder / name, weights_only=True) for folder in (trained, tmp_path))
    assert one["global_step"] == two["global_step"] == 8
    assert one["octosr"]["technique"] == two["octosr"]["technique"]
    for key, value in two["state_dict"].items():
        assert torch.equal(one["state_dict"][key], value), key


def test_other_settings_do_not_go_on_from_a_checkpoint(trained: Path, study: Path, composer: Composer) -> None:
    shared = ("technique=dan", "dataset=isaid", f"data.root={study}", f"output_root={trained}", *TINY)
    with pytest.raises(ConfigError, match=r"technique\.learning_rate: 0\.0004 there, 0\.1 here(?s:.*)resume=never"):
        train(composer("train", *shared, "technique.learning_rate=0.1"))


def test_evaluation_finds_the_checkpoint_and_scores_what_it_saved(
    trained: Path, study: Path, composer: Composer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ("dataset=isaid", f"data.root={study}", f"output_root={trained}", "metrics=niqe", "logger=none")
    # Nothing says how small this DAN is: its checkpoint does.
    cfg = composer("eval", "technique=dan", *settings)
    with caplog.at_level("INFO", "octosr"):
        result = evaluate(cfg)
    assert "rebuilt as it was trained" in caplog.text
    assert "weights trained on STAND-IN data" in caplog.text
    folder = trained / "hr" / "dan" / "isaid"
    images = sorted(folder.glob("*.png"))
    assert len(images) == 3
    with Image.open(images[0]) as image:
        assert image.size == (1024, 1024)
        assert image.mode == "RGB"
        assert "STAND-IN" in image.info["octosr:data"]
    table = pd.read_csv(trained / "scores" / "dan" / "isaid.csv")
    assert table["image"].tolist() == [path.stem for path in images]
    assert result.values["niqe"] == pytest.approx(table["niqe"].mean())
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["recipe"]["weights"][0][0] == "last.ckpt"
    assert "STAND-IN" in provenance["warning"]


def test_a_second_evaluation_does_nothing_again(
    trained: Path, study: Path, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("technique=nearest", "dataset=isaid", f"data.root={study}", f"output_root={trained}", "logger=none")
    cfg = composer("eval", *settings, "metrics=niqe")
    first = evaluate(cfg)
    images = {p: p.stat().st_mtime_ns for p in (trained / "hr" / "nearest" / "isaid").glob("*.png")}
    lost = next(iter(images))
    lost.unlink()

    def fail(*args: object) -> None:
        raise AssertionError("scored again")

    monkeypatch.setattr("octosr.metrics.niqe.Niqe._score_detailed", fail)
    second = evaluate(cfg)  # the lost image is made again, byte for byte, so that its score is known
    assert second.values == first.values
    assert [p.stat().st_mtime_ns == t for p, t in images.items()].count(False) == 1


def test_comparisons_where_there_is_something_to_compare_with(
    demo_cache: Path, tmp_path: Path, composer: Composer
) -> None:
    (tmp_path / "cache").symlink_to(demo_cache)
    cfg = composer("eval", "technique=bicubic", "dataset=more/demo_pairs", f"output_root={tmp_path}", *TINY)
    result = evaluate(cfg)
    table = ScoreStore(tmp_path / "scores").read("bicubic", "demo_pairs").set_index("image")
    assert set(table.columns) == {"sha256", "niqe", "niqe:blocks", "lr_consistency", "psnr", "ssim"}
    name = table.index[0]
    sr, hr = (
        np.asarray(Image.open(folder / f"{name}.png"), dtype=np.float64)
        for folder in (tmp_path / "hr" / "bicubic" / "demo_pairs", demo_cache / "demo-v1" / "pairs" / "HR")
    )
    assert table.loc[name, "psnr"] == pytest.approx(20 * np.log10(255 / np.sqrt(((sr - hr) ** 2).mean())), abs=1e-4)
    assert result.values["psnr"] == pytest.approx(table["psnr"].mean())
    lr = np.asarray(Image.open(demo_cache / "demo-v1" / "pairs" / "LR" / f"{name}.png"), dtype=np.float64)
    size = (lr.shape[1], lr.shape[0])
    planes = [
        Image.fromarray(p.astype(np.float32)).resize(size, Image.Resampling.BICUBIC) for p in np.moveaxis(sr, 2, 0)
    ]
    error = ((np.stack([np.asarray(p) for p in planes], axis=2).clip(0, 255) - lr) ** 2).mean()
    assert table.loc[name, "lr_consistency"] == pytest.approx(20 * np.log10(255 / np.sqrt(error)), abs=1e-4)


def test_what_is_missing_is_said_with_the_remedy(study: Path, tmp_path: Path, composer: Composer) -> None:
    base = (f"output_root={tmp_path}", "logger=none")
    with pytest.raises(MissingDataError, match=r"prepare\.py dataset=ships source=standin"):
        evaluate(composer("eval", "dataset=ships", f"data.root={tmp_path}", *base))
    here = ("dataset=isaid", f"data.root={study}", *base)
    with pytest.raises(MissingWeightsError, match=r"last\.ckpt(?s:.*)train\.py technique=dan dataset=isaid"):
        evaluate(composer("eval", "technique=dan", "metrics=niqe", *here))
    with pytest.raises(MissingWeightsError, match=r"no\.pth: there is no such file"):
        evaluate(composer("eval", "technique=dan", "metrics=niqe", "weights=no.pth", *here))
    with pytest.raises(WrongWeightsError, match="takes no weights"):
        evaluate(composer("eval", "weights=x.pth", "metrics=niqe", *here))
    with pytest.raises(ConfigError, match="on_missing must be one of auto, error, skip, but got 'skp'"):
        evaluate(composer("eval", "metrics.on_missing=skp", *here))
    with pytest.raises(ConfigError, match="scale is 4"):
        train(composer("train", "scale=4", "technique=dan", *here))


def test_a_missing_metric_is_an_error_on_demand_and_an_empty_column_otherwise(
    study: Path, tmp_path: Path, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    base = ("dataset=isaid", f"data.root={study}", f"output_root={tmp_path}", "logger=none", "metrics=[niqe,maniqa]")
    with pytest.raises(MissingMetricError, match=r"ckpt_koniq10k\.pt"):
        evaluate(composer("eval", "metrics.on_missing=error", *base))
    result = evaluate(composer("eval", *base))
    assert np.isnan(result.values["maniqa"])
    table = ScoreStore(tmp_path / "scores").read("bicubic", "isaid")
    assert table["maniqa"].isna().all()
    assert table["niqe"].notna().all()


def test_baselines_are_not_trained(study: Path, tmp_path: Path, composer: Composer) -> None:
    with pytest.raises(ConfigError, match="nothing to train"):
        train(composer("train", "technique=bicubic", "dataset=isaid", f"data.root={study}", f"output_root={tmp_path}"))
