from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks.checkpoint import BestCheckpoint, LastCheckpoint, RunCard
from octosr.callbacks.nan_guard import NanGuard
from octosr.callbacks.time_limit import TimeLimit
from octosr.techniques.weights import read_weight_file

CARD = {"technique": {"name": "toy", "stages": [2, 4]}, "dataset": "isaid", "kind": "stand-in", "seed": 0}


def callbacks(folder: Path, ema: bool = False, every: int = 5) -> list[pl.Callback]:
    average = [EMAWeightAveraging(decay=0.9, use_buffers=False)] if ema else []
    return [
        *average,
        TimeLimit(),
        NanGuard(check_every=3),
        RunCard(CARD),
        BestCheckpoint(folder),
        LastCheckpoint(folder, every_n_steps=every),
    ]


def fit(
    folder: Path, steps: int, resume: bool = False, ema: bool = False, every: int = 5
) -> tuple[Toy, ToyData, pl.Trainer]:
    module, data = Toy(), ToyData()
    trainer = make_trainer(folder, callbacks(folder, ema, every), max_steps=steps)
    trainer.fit(module, datamodule=data, ckpt_path=folder / "last.ckpt" if resume else None)
    return module, data, trainer


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("ema", [False, True])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, ema: bool) -> None:
    """Stops that fall within an epoch, on its end (5, 10), on a validation (4, 8) and beside the regular writes."""
    _, data, whole = fit(tmp_path / "whole", 12, ema=ema)
    expected = torch.load(tmp_path / "whole/last.ckpt", weights_only=True)
    assert whole.global_step == 12
    for stop in (1, 4, 5, 7, 8, 10):
        folder = tmp_path / f"stop{stop}"
        _, first_data, first = fit(folder, stop, ema=ema)
        assert first.global_step == stop
        assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == stop
        _, second_data, second = fit(folder, 12, resume=True, ema=ema)
        assert second.global_step == 12
        assert first_data.log_of_ids + second_data.log_of_ids == data.log_of_ids == list(range(12)), stop
        found = torch.load(folder / "last.ckpt", weights_only=True)
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "current_model_state", "averaging_state"):
            assert same(found.get(key), expected.get(key)), (stop, key)


def test_resume_from_the_middle_repeats_nothing(tmp_path: Path) -> None:
    """A run killed between two writes goes on from the write, with the same batches."""
    whole, _, _ = fit(tmp_path / "whole", 12)
    folder = tmp_path / "killed"

    def kill(step: int) -> None:
        if step == 8:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        make_trainer(folder, callbacks(folder)).fit(Toy(on_step=kill), datamodule=ToyData())
    assert torch.load(folder / "last.ckpt", weights_only=True)["global_step"] == 5
    module, data, _ = fit(folder, 12, resume=True)
    assert data.log_of_ids == list(range(5, 12))
    assert same(module.state_dict(), whole.state_dict())


def test_checkpoint_is_plain_and_carries_the_card(tmp_path: Path) -> None:
    fit(tmp_path, 5)
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["octosr"] == CARD
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    with pytest.raises(TypeError, match=r"card\['folder'\] is a pathlib"):
        RunCard({"folder": Path("x")})


def test_ema_evaluation_takes_the_averaged_weights(tmp_path: Path) -> None:
    """`state_dict` is the average, computed here by hand; training goes on from the other one."""
    module, _, _ = fit(tmp_path, 4, ema=True)
    plain, _, _ = fit(tmp_path / "plain", 4)
    content = read_weight_file(tmp_path / "last.ckpt")
    assert same(dict(content["current_model_state"]), dict(plain.state_dict()))
    weights = []
    for step in range(1, 5):
        weights.append(fit(tmp_path / f"to{step}", step)[0].net[0].weight.detach())
    average = weights[0].clone()  # the first update copies
    for weight in weights[1:]:
        average = 0.9 * average + 0.1 * weight
    torch.testing.assert_close(content["state_dict"]["net.0.weight"], average, rtol=0, atol=1e-6)
    assert torch.equal(content["state_dict"]["constant"], plain.constant)
    assert same(dict(module.state_dict()), dict(content["state_dict"]))  # in memory too, when training is over


def test_best_keeps_the_best_and_survives_a_resume(tmp_path: Path) -> None:
    scores = {4: 20.0, 8: 25.0, 12: 22.0, 16: 24.0, 20: float("nan"), 24: 26.0}
    for steps in (12, 20, 24):
        module = Toy(psnr=scores.__getitem__)
        resume = tmp_path / "last.ckpt" if steps > 12 else None
        make_trainer(tmp_path, callbacks(tmp_path), max_steps=steps).fit(module, datamodule=ToyData(), ckpt_path=resume)
        best = torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"]
        assert best == (8 if steps < 24 else 24)


def test_best_goes_with_the_folder_when_it_is_moved(tmp_path: Path) -> None:
    fit(tmp_path / "a", 4)
    (tmp_path / "a").rename(tmp_path / "b")
    module = Toy(psnr=lambda step: -100.0)
    trainer = make_trainer(tmp_path, callbacks(tmp_path / "b"), max_steps=8)
    trainer.fit(module, datamodule=ToyData(), ckpt_path=tmp_path / "b/last.ckpt")
    assert torch.load(tmp_path / "b/best.ckpt", weights_only=True)["global_step"] == 4
    assert not (tmp_path / "a").exists()


def test_every_n_steps_with_manual_optimisation_of_two_optimisers(tmp_path: Path) -> None:
    """Lightning counts a step for each optimiser (its issue 17958); a write must not be missed for that."""

    class Gan(Toy):
        automatic_optimization = False

        def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> dict[str, torch.Tensor]:  # type: ignore[override]
            losses = {}
            for name, optimizer in zip(("g", "d"), self.optimizers(), strict=True):  # type: ignore[arg-type]
                optimizer.zero_grad()
                losses[name] = (self.net(batch["hr"]) - batch["hr"]).abs().mean()
                self.manual_backward(losses[name])
                optimizer.step()
            return {name: loss.detach() for name, loss in losses.items()}

        def configure_optimizers(self) -> Any:
            return [torch.optim.SGD(self.net[i].parameters(), lr=0.1) for i in (0, 2)]

    steps: list[int] = []

    class Spy(LastCheckpoint):
        def save(self, trainer: pl.Trainer) -> None:
            super().save(trainer)
            steps.append(trainer.global_step)

    spy = Spy(tmp_path, every_n_steps=3)
    make_trainer(tmp_path, [NanGuard(1), spy], max_steps=16, limit_val_batches=0).fit(Gan(), datamodule=ToyData(100))
    assert steps == [4, 6, 10, 12, 16]
