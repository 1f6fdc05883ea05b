from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks.checkpoint import BestCheckpoint, LastCheckpoint
from octosr.callbacks.nan_guard import NanGuard, _loss
from octosr.errors import TrainingError


def run(folder: Path, module: Toy, every: int = 2, check_every: int = 50, ema: bool = False, **arguments: Any) -> None:
    average = [EMAWeightAveraging(decay=0.5, use_buffers=False)] if ema else []
    callbacks = [*average, NanGuard(check_every), BestCheckpoint(folder), LastCheckpoint(folder, every_n_steps=every)]
    make_trainer(folder, callbacks, **arguments).fit(module, datamodule=ToyData())


def assert_good(path: Path, step: int) -> None:
    content = torch.load(path, weights_only=True)
    assert content["global_step"] == step
    assert all(torch.isfinite(t).all() for t in content["state_dict"].values())


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("ema", [False, True])
def test_the_last_good_checkpoint_is_kept_and_named(tmp_path: Path, value: float, ema: bool) -> None:
    module = Toy(loss_at={7: value})
    with pytest.raises(TrainingError) as error:
        run(tmp_path, module, ema=ema)
    message = str(error.value)
    assert f"The loss became {value} at step 7. The last good state is kept in {tmp_path}/last.ckpt." in message
    assert "learning rate" in message
    assert "trainer.gradient_clip_val" in message
    assert_good(tmp_path / "last.ckpt", 6)
    assert_good(tmp_path / "best.ckpt", 4)
    assert len(module.losses) == 8  # noticed before the write after step 8


def test_noticed_without_a_write_every_n_batches(tmp_path: Path) -> None:
    module = Toy(loss_at={2: math.nan})
    with pytest.raises(TrainingError, match=r"nan at step 2\. No checkpoint had been written yet"):
        run(tmp_path, module, every=1000, check_every=5, limit_val_batches=0)
    assert len(module.losses) == 5


def test_noticed_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nan at step 3"):
        run(
            tmp_path,
            Toy(loss_at={3: math.nan}),
            every=1000,
            max_steps=3,
            limit_val_batches=0,
            enable_checkpointing=True,
        )
    assert not (tmp_path / "last.ckpt").exists()


def test_weights_that_overflow_under_a_finite_loss(tmp_path: Path) -> None:
    """A gradient can be NaN though the loss is not; the first write after it must not happen."""

    class Overflow(Toy):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            if self.trainer.global_step == 2:
                self.net[0].weight.grad[0] = math.nan  # type: ignore[index]

    with pytest.raises(TrainingError, match="Weights or optimiser state are not finite any more, noticed at step 3"):
        run(tmp_path, Overflow(), every=1, limit_val_batches=0)
    assert_good(tmp_path / "last.ckpt", 2)


def test_a_run_without_trouble_is_left_alone(tmp_path: Path) -> None:
    run(tmp_path, Toy(), check_every=1)
    assert_good(tmp_path / "last.ckpt", 12)


def test_what_counts_as_the_loss() -> None:
    one, two = torch.tensor(1.0), torch.tensor(math.nan)
    assert _loss(None) is None
    assert _loss({"image": torch.zeros(2, 2)}) is None
    assert _loss(one) == 1
    assert _loss({"loss": one, "count": torch.tensor(3)}) == 1
    loss = _loss({"g": one, "d": two})
    assert loss is not None
    assert loss.isnan()
