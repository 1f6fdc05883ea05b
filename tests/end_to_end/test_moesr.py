"""MoESR through the commands: its phases one after the other, and the kernels that evaluation leaves beside images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.errors import ConfigError
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train

Composer = Callable[..., DictConfig]
TINY = ("technique=moesr", "experiment=tiny", "logger=none", "trainer.enable_model_summary=false")


@pytest.mark.slow
def test_phases_by_themselves_make_the_checkpoint_that_all_at_once_makes(
    tmp_path: Path, demo_cache: Path, composer: Composer
) -> None:
    build_standins(tmp_path / "data", ["isaid"], build_demo(demo_cache), count=3)

    def run(out: str, *overrides: str) -> Path:
        shared = ("dataset=isaid", f"data.root={tmp_path / 'data'}", f"output_root={tmp_path / out}")
        train(composer("train", *TINY, *shared, "technique.stages=[2]", "scale=2", *overrides))
        return tmp_path / out / "checkpoints/moesr/isaid/last.ckpt"

    with pytest.raises(ConfigError, match=r"technique\.phase=experts first"):
        run("parts", "technique.phase=ise")
    one = run("whole")
    for phase, steps in (("experts", 4), ("ise", 6), ("ken", 8)):
        two = run("parts", f"technique.phase={phase}")
        assert torch.load(two, weights_only=True)["global_step"] == steps
    whole, parts = (torch.load(path, weights_only=True)["state_dict"] for path in (one, two))
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(parts[name], value), name


@pytest.mark.slow
def test_evaluation_saves_estimated_kernels(tmp_path: Path, demo_cache: Path, composer: Composer) -> None:
    build_standins(tmp_path / "data", ["isaid"], build_demo(demo_cache), count=2)
    shared = ("dataset=isaid", f"data.root={tmp_path / 'data'}", f"output_root={tmp_path}")
    train(composer("train", *TINY, *shared))
    # Nothing says how small this MoESR is: its checkpoint does.
    settings = ("technique=moesr", *shared, "metrics=niqe", "logger=none")
    result = evaluate(composer("eval", *settings))
    folder = tmp_path / "hr/moesr/isaid"
    names = [path.name.removesuffix(".kernel.npy") for path in sorted(folder.glob("*.kernel.npy"))]
    assert len(names) == 2
    assert sorted(path.name for path in folder.glob("*.png")) == sorted(
        f"{name}{end}" for name in names for end in (".png", ".kernel.png")
    )
    kernel = np.load(folder / f"{names[0]}.kernel.npy", allow_pickle=False)
    assert kernel.shape == (81, 81)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["kernels"] == [f"{name}.kernel.npy" for name in provenance["images"]]
    # pictures of kernels are no images: neither for what is scored again nor for images made by anyone
    again = evaluate(composer("eval", *settings, "metrics.only=true"))
    assert again.values == result.values
    others = evaluate(
        composer("eval", "technique=precomputed", f"technique.root={tmp_path / 'hr/moesr'}", "technique.name=copy",
                 *settings[1:])
    )  # fmt: skip
    assert others.values["niqe"] == pytest.approx(result.values["niqe"])
