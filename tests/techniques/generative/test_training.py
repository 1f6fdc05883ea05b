"""Training of the generative family: lengths in images shown, resume, kill, several processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor
from toy_gan import HERE, ToyGan, settings

from octosr.errors import ConfigError, TrainingError
from octosr.runs.train import train

Toy = Callable[..., DictConfig]


def last(out: Path) -> dict:
    return torch.load(out / "checkpoints" / "toy_gan" / "folder" / "last.ckpt", weights_only=True)


def same(one: dict[str, Tensor], two: dict[str, Tensor], tolerance: float = 0.0) -> None:
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.allclose(two[key].double(), value.double(), rtol=0, atol=tolerance), key


def test_it_stops_after_so_many_images_and_not_steps(toy: Toy, tmp_path: Path) -> None:
    result = train(toy("train"))
    assert result.values == {"kimg": 0.048}
    checkpoint = last(tmp_path / "out")
    state = checkpoint["state_dict"]
    assert int(state["images_shown"]) == 48
    assert int(state["steps_seen"]) == 12  # 48 images in batches of 4
    assert checkpoint["global_step"] == 24  # what Lightning counts: both optimisers
    assert len(checkpoint["optimizer_states"]) == 2
    assert not any("_orig_mod" in key for key in state)


def test_a_resumed_training_equals_one_that_was_never_stopped(toy: Toy, tmp_path: Path) -> None:
    train(toy("train", "technique.kimg=0.02"))
    assert int(last(tmp_path / "out")["state_dict"]["images_shown"]) == 20
    train(toy("train"))
    train(toy("train", f"output_root={tmp_path / 'straight'}"))
    resumed, straight = last(tmp_path / "out"), last(tmp_path / "straight")
    same(straight["state_dict"], resumed["state_dict"])
    for one, two in zip(straight["optimizer_states"], resumed["optimizer_states"], strict=True):
        for key, state in one["state"].items():
            same(state, two["state"][key])
    done = train(toy("train"))  # there is nothing left to do
    assert done.values == {"kimg": 0.048}
    same(straight["state_dict"], last(tmp_path / "out")["state_dict"])


def test_accumulated_gradients_are_those_of_the_whole_batch(toy: Toy, tmp_path: Path) -> None:
    train(toy("train", f"output_root={tmp_path / 'whole'}"))
    train(toy("train", "technique.batch_gpu=3"))
    same(last(tmp_path / "whole")["state_dict"], last(tmp_path / "out")["state_dict"], 1e-5)


def test_checkpoints_come_every_so_many_kimg(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from octosr.callbacks.checkpoint import LastCheckpoint

    saved = []
    real = LastCheckpoint.save
    monkeypatch.setattr(
        LastCheckpoint, "save", lambda self, trainer: (saved.append(trainer.lightning_module.kimg), real(self, trainer))
    )
    train(toy("train", "data.batch_size=5", "technique.kimg=0.05", "callbacks.last.every_kimg=0.02"))
    assert saved == [0.02, 0.04, 0.05]


def test_a_signal_and_a_time_limit_stop_it_in_good_order(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = ToyGan.training_step

    def interrupted(self: ToyGan, batch: dict[str, Tensor], batch_idx: int = 0) -> dict[str, Tensor]:
        losses = step(self, batch, batch_idx)
        if self.kimg == 0.02:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(ToyGan, "training_step", interrupted)
        with pytest.raises(SystemExit) as caught:
            train(toy("train"))
    assert caught.value.code == 128 + signal.SIGTERM
    assert "SIGTERM received: stopping after 0.02 kimg" in caplog.text
    assert int(last(tmp_path / "out")["state_dict"]["images_shown"]) == 20
    train(toy("train"))
    train(toy("train", f"output_root={tmp_path / 'straight'}"))
    same(last(tmp_path / "straight")["state_dict"], last(tmp_path / "out")["state_dict"])
    limited = ("technique.kimg=null", "time_limit.total=0.2s", "time_limit.margin=0s")
    found = train(toy("train", *limited, f"output_root={tmp_path / 'limited'}"))
    assert found.values["kimg"] >= 0.004
    assert f"stopping after {found.values['kimg']:g} kimg, and its state is saved" in caplog.text


def test_a_loss_that_is_not_finite_stops_it_and_keeps_the_last_good_state(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = ToyGan.training_step

    def broken(self: ToyGan, batch: dict[str, Tensor], batch_idx: int = 0) -> dict[str, Tensor]:
        losses = step(self, batch, batch_idx)
        return losses | {"loss_g": losses["loss_g"] * (float("nan") if self.kimg > 0.02 else 1)}

    monkeypatch.setattr(ToyGan, "training_step", broken)
    with pytest.raises(TrainingError, match=r"last good state is kept in .*last\.ckpt"):
        train(toy("train"))
    assert int(last(tmp_path / "out")["state_dict"]["images_shown"]) == 16


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_steps=8", r"technique\.kimg=N \(and trainer\.max_steps=-1\)"),
        ("trainer.max_epochs=2", r"technique\.kimg=N \(and trainer\.max_epochs=-1\)"),
        ("trainer.accumulate_grad_batches=2", r"technique\.batch_gpu=N"),
        ("trainer.gradient_clip_val=1", "gradient_clip_val does not work for toy_gan"),
        ("callbacks=ema", "leave callbacks=ema out"),
        ("technique.kimg=0", "above 0"),
        ("technique.kimg=null", r"technique\.kimg=N or time_limit\.total"),
        ("technique.enlarge=nearest", "lanczos, bicubic, bilinear"),
        ("technique.batch_gpu=0", "must be 1 or more"),
    ],
)
def test_settings_that_would_mean_something_else_are_refused(toy: Toy, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(toy("train", override))


def test_other_data_settings_do_not_go_on_from_a_checkpoint(toy: Toy) -> None:
    train(toy("train", "technique.kimg=0.004"))
    with pytest.raises(ConfigError, match=r"technique\.enlarge: 'lanczos' there, 'bicubic' here"):
        train(toy("train", "technique.enlarge=bicubic"))


def run(photographs: Path, out: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "train.py", *settings(photographs, out), *overrides],
        cwd=HERE.parents[2], env=os.environ | {"PYTHONPATH": search} | environment,
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_run_goes_on_and_two_processes_equal_one(toy: Toy, photographs: Path, tmp_path: Path) -> None:
    straight, killed, two = (tmp_path / name for name in ("straight", "killed", "two"))
    train(toy("train", f"output_root={straight}"))
    died = run(photographs, killed, TOY_GAN_CRASH_AT="0.028")
    assert died.returncode == -signal.SIGKILL
    assert int(last(killed)["state_dict"]["images_shown"]) == 16
    train(toy("train", f"output_root={killed}"))
    same(last(straight)["state_dict"], last(killed)["state_dict"])

    done = run(photographs, two, "hardware=ddp_cpu", "data.batch_size=2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(last(two)["state_dict"]["images_shown"]) == 48
    same(last(straight)["state_dict"], last(two)["state_dict"], 1e-5)
    assert re.search("error|warning: .*grad", done.stderr, re.IGNORECASE) is None, done.stderr
