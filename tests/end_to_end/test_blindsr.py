"""BlindSR through the commands: its phases, published weights, several processes, and kernels beside images."""

from __future__ import annotations

import json
import subprocess
import sys
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
from octosr.techniques.blindsr.network import Discriminator, Generator, Sizes
from octosr.techniques.blindsr.official import to_official

Composer = Callable[..., DictConfig]
ROOT = Path(__file__).resolve().parents[2]
TINY = ("technique=blindsr", "experiment=tiny", "logger=none", "trainer.enable_model_summary=false")


@pytest.mark.slow
def test_phases_by_themselves_make_the_checkpoint_that_all_at_once_make(
    tmp_path: Path, demo_cache: Path, composer: Composer
) -> None:
    build_standins(tmp_path / "data", ["isaid"], build_demo(demo_cache), count=3)

    def run(out: str, *overrides: str) -> Path:
        shared = ("dataset=isaid", f"data.root={tmp_path / 'data'}", f"output_root={tmp_path / out}")
        train(composer("train", *TINY, *shared, *overrides))
        return tmp_path / out / "checkpoints/blindsr/isaid/last.ckpt"

    with pytest.raises(ConfigError, match=r"technique\.phase=generator first"):
        run("parts", "technique.phase=discriminator")
    one = run("whole")
    run("parts", "technique.phase=generator", "trainer.max_steps=3")  # cut short in the middle of a phase
    for phase, steps in (("generator", 4), ("discriminator", 8), ("calibration", 10)):
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
    # Nothing says how small this BlindSR is: its checkpoint does.
    result = evaluate(composer("eval", "technique=blindsr", *shared, "metrics=niqe", "logger=none"))
    assert np.isfinite(result.values["niqe"])
    folder = tmp_path / "hr/blindsr/isaid"
    names = [path.name.removesuffix(".kernel.npy") for path in sorted(folder.glob("*.kernel.npy"))]
    assert len(names) == 2
    assert sorted(path.name for path in folder.glob("*.png")) == sorted(
        f"{name}{end}" for name in names for end in (".png", ".kernel.png")
    )
    kernel = np.load(folder / f"{names[0]}.kernel.npy", allow_pickle=False)
    assert kernel.shape == (85, 85)  # 13 + 2 * 12 + 4 * 12
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["kernels"] == [f"{name}.kernel.npy" for name in provenance["images"]]


@pytest.mark.slow
def test_published_weights_are_gone_on_with_and_keep_their_kernels(
    tmp_path: Path, demo_cache: Path, composer: Composer
) -> None:
    build_standins(tmp_path / "data", ["isaid"], build_demo(demo_cache), count=2)
    sizes = {"code": 4, "features": 8, "growth": 4, "layers": 2, "blocks": 1}
    torch.manual_seed(0)
    torch.save(to_official(Generator(2, 15, Sizes(**sizes))), tmp_path / "generator.pth")
    torch.save(to_official(Discriminator(2, Sizes(**sizes))), tmp_path / "discriminator.pth")
    shared = ("dataset=isaid", f"data.root={tmp_path / 'data'}", f"output_root={tmp_path}")
    weights = f"weights=[{tmp_path / 'generator.pth'},{tmp_path / 'discriminator.pth'}]"
    train(composer("train", *TINY, *shared, weights, "trainer.max_steps=2"))
    train(composer("train", *TINY, *shared, "trainer.max_steps=4"))
    state = torch.load(tmp_path / "checkpoints/blindsr/isaid/last.ckpt", weights_only=True)["state_dict"]
    assert state["stage_networks.x2.space_numbers"].tolist() == [15, 0.001, 4, 0]
    quick = ("technique.search.levels=2", "technique.search.angles=2", "technique.search.steps=2")
    evaluate(composer("eval", "technique=blindsr", *shared, *quick, "metrics=niqe", "logger=none"))
    kernel = np.load(next((tmp_path / "hr/blindsr/isaid").glob("*.kernel.npy")), allow_pickle=False)
    assert kernel.shape == (99, 99)  # 15 + 2 * 14 + 4 * 14


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, demo_cache: Path, composer: Composer) -> None:
    build_standins(tmp_path / "data", ["isaid"], build_demo(demo_cache), count=4)

    def settings(name: str, hardware: str, batch: int) -> tuple[str, ...]:
        where = ("dataset=isaid", f"data.root={tmp_path / 'data'}", f"output_root={tmp_path / name}")
        # The calibration groups the crops of a process: fours here, twos there.
        how = (f"hardware={hardware}", f"data.batch_size={batch}", "trainer.limit_val_batches=0", "trainer.max_steps=8")
        return (*TINY, *where, *how)

    train(composer("train", *settings("one", "cpu", 4)))
    command = [sys.executable, "train.py", *settings("two", "ddp_cpu", 2)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (
        torch.load(tmp_path / name / "checkpoints/blindsr/isaid/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    assert int(one["stage_networks.x2.discriminator_steps"]) == 4
    for key, value in one.items():
        assert torch.allclose(two[key], value, atol=1e-5), key
