"""The shipped generative techniques through the real commands: train, go on, evaluate, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from octosr.data.demo import build_demo
from octosr.data.seeds import sample_names
from octosr.data.standin import build_standins
from octosr.runs.evaluate import evaluate
from octosr.runs.report import report
from octosr.runs.train import train
from octosr.scores.store import ScoreStore
from octosr.techniques.base import GenerativeTechnique

ROOT = Path(__file__).resolve().parents[2]
Composer = Callable[..., DictConfig]
TECHNIQUES = [
    path.stem
    for path in sorted((ROOT / "conf" / "technique").glob("*.yaml"))
    if issubclass(get_class(OmegaConf.load(path)._target_), GenerativeTechnique)
]


def test_the_studys_generative_techniques_are_here() -> None:
    assert TECHNIQUES


@pytest.mark.slow
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_train_go_on_evaluate_report(
    technique: str, tmp_path: Path, demo_cache: Path, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    build_standins(data, ["isaid"], build_demo(demo_cache), count=5)
    shared = (f"technique={technique}", "dataset=isaid", f"data.root={data}", f"output_root={out}", "experiment=tiny")
    quiet = ("logger=none", "trainer.enable_model_summary=false", "metrics=[rms_contrast,psnr,lr_consistency]")
    whole = composer("train", *shared).technique.kimg
    first = train(composer("train", *shared, *quiet, f"technique.kimg={whole / 2}"))
    assert first.values["kimg"] == pytest.approx(whole / 2)
    assert train(composer("train", *shared, *quiet)).values["kimg"] == pytest.approx(whole)
    checkpoint = torch.load(out / "checkpoints" / technique / "isaid" / "last.ckpt", weights_only=True)
    assert int(checkpoint["state_dict"]["images_shown"]) == round(1000 * whole)
    assert not any("_orig_mod" in key for key in checkpoint["state_dict"])

    result = evaluate(composer("eval", *shared, *quiet))
    assert result.words == {"psnr": "not applicable", "lr_consistency": "not applicable"}
    assert ScoreStore(out / "scores").read(technique, "isaid")["image"].tolist() == list(sample_names(5))
    found = json.loads((out / "diversity" / technique / "isaid.json").read_text())
    assert found["distances"]["octaves"]["pairwise_ratio"] > 0
    assert "STAND-IN" in found["warning"]

    monkeypatch.delitem(ConfigStore.instance().repo, "metrics", raising=False)  # in report.py a plain setting
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(ROOT / "conf" / "report"), version_base="1.3"):
        report(compose("report", [f"output_root={out}", f"data.root={data}", "resamples=100"]))
    page = json.loads((out / "report" / "report.json").read_text())
    assert "Generated images as sets" in [section["title"] for section in page["sections"]]
    assert (out / "report" / "figures" / f"samples-{technique}.svg").is_file()
