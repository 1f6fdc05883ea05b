"""Training of APA: what an iteration does, resume, kill, micro-batches, several processes, compilation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from apa_settings import settings
from omegaconf import DictConfig
from torch import Tensor

import training_runs
from octosr.errors import ConfigError
from octosr.runs.train import train
from octosr.techniques.apa.module import APA
from octosr.techniques.apa.resample import _kept
from training_runs import killed, same, trained

Tiny = Callable[..., DictConfig]


def last(out: Path) -> dict[str, Any]:
    return training_runs.last(out, "apa")


def test_an_iteration_is_counted_and_p_moves(tiny: Tiny, tmp_path: Path) -> None:
    result = train(tiny("train"))
    assert result.values == {"kimg": 0.032}
    checkpoint = last(tmp_path / "out")
    state = checkpoint["state_dict"]
    assert (int(state["images_shown"]), int(state["iterations"])) == (32, 8)
    steps = [next(iter(optimizer["state"].values()))["step"] for optimizer in checkpoint["optimizer_states"]]
    assert [int(step) for step in steps] == [8 + 4, 8 + 2]  # with a step each of path lengths and of R1
    assert float(state["pseudo.p"]) != 0.5
    assert float(state["pseudo.p"]) == pytest.approx(0.5 + 0.08 * round((float(state["pseudo.p"]) - 0.5) / 0.08))
    assert float(state["path_average"]) > 0
    assert state["generator.mapping.w_average"].any()
    assert not any("_orig_mod" in key for key in state)
    moved = [key for key in state if key.startswith("generator.") and "noise" not in key]
    assert all(not torch.equal(state[key], state[key.replace("generator.", "generator_ema.", 1)])
               for key in moved if key.endswith("weight"))  # fmt: skip


@pytest.mark.parametrize("augment", ["none", "bgc"])
def test_a_resumed_training_equals_one_that_was_never_stopped(tiny: Tiny, tmp_path: Path, augment: str) -> None:
    train(tiny("train", "technique.kimg=0.02", f"technique.augment={augment}"))
    train(tiny("train", f"technique.augment={augment}"))
    train(tiny("train", f"technique.augment={augment}", f"output_root={tmp_path / 'straight'}"))
    same(last(tmp_path / "straight"), last(tmp_path / "out"))


def test_augmentation_changes_what_is_learnt(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny("train", "technique.kimg=0.004"))
    train(tiny("train", "technique.kimg=0.004", "technique.augment=bgc", f"output_root={tmp_path / 'bgc'}"))
    one, two = (last(tmp_path / name)["state_dict"]["discriminator.out.weight"] for name in ("out", "bgc"))
    assert not torch.equal(one, two)


def step_once(batch: dict[str, Tensor], **changes: Any) -> APA:
    """One iteration in float64, without a Trainer's loop around it."""
    import pytorch_lightning as pl

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"resolution": 16, "width": 1 / 512, "latent": 8, "group": 2, "kimg": 1.0, "apa_start": 0.5}
    technique = APA(**(sizes | changes)).double()
    trainer = pl.Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_train_batches=1, max_epochs=1, precision="64-true",
    )  # fmt: skip
    module = pl.LightningDataModule()
    module.batch_size = len(batch["hr"])  # type: ignore[attr-defined]
    module.train_dataloader = lambda: torch.utils.data.DataLoader([batch], batch_size=None)  # type: ignore[method-assign]
    trainer.fit(technique, datamodule=module)
    return technique


@pytest.fixture
def batch() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"hr": torch.rand(4, 3, 16, 16, dtype=torch.float64), "sample_id": torch.arange(40, 44)}


def test_micro_batches_do_what_the_whole_batch_does(batch: dict[str, Tensor]) -> None:
    """With groups of one image, which micro-batches leave alone. Path lengths are measured on the first half of each
    micro-batch, so the images that these would take are put first in the whole batch."""
    whole = step_once({key: value[[0, 2, 1, 3]] for key, value in batch.items()}, group=1)
    parts = step_once(batch, group=1, batch_gpu=2)
    assert float(whole.pseudo.sums[1]) == 8  # four scores each in Dmain and in Dreg
    for (name, one), two in zip(whole.state_dict().items(), parts.state_dict().values(), strict=True):
        assert torch.allclose(one.double(), two.double(), atol=1e-9), name


def test_images_ids_decide_what_is_drawn(batch: dict[str, Tensor]) -> None:
    one, again = step_once(batch), step_once(batch)
    other = step_once(batch | {"sample_id": torch.arange(4)})
    state, same_state, other_state = (module.state_dict() for module in (one, again, other))
    assert all(torch.equal(value, same_state[key]) for key, value in state.items())
    assert not torch.equal(state["discriminator.out.weight"], other_state["discriminator.out.weight"])


def test_without_noise_its_strengths_are_not_learnt(batch: dict[str, Tensor]) -> None:
    for noise in (True, False):
        synthesis = step_once(batch, noise=noise).generator.synthesis
        strengths = [p for name, p in synthesis.named_parameters() if name.endswith("noise_strength")]
        assert len(strengths) == 5
        assert all(bool(strength) == noise for strength in strengths)


def test_compiled_phases_do_the_same(batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = step_once(batch)
    compiled: list[str] = []
    real = torch.compile

    def compile_(function: Any, **settings: Any) -> Any:
        compiled.append(function.__qualname__)
        return real(function, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", compile_)
    fit = APA.on_train_start

    def start(self: APA) -> None:
        self.compile_networks()
        fit(self)

    monkeypatch.setattr(APA, "on_train_start", start)
    found = step_once(batch)
    assert compiled == ["Synthesis.forward", "Discriminator.forward"]
    for (name, one), two in zip(plain.state_dict().items(), found.state_dict().values(), strict=True):
        assert torch.allclose(one.double(), two.double(), atol=1e-9), name


def test_a_seed_is_an_image_whatever_is_beside_it() -> None:
    torch.manual_seed(0)
    technique = APA(resolution=16, width=1 / 512, latent=8, psi=0.7)
    images = technique.generate(torch.arange(5))
    assert images.shape == (5, 3, 16, 16)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert torch.allclose(technique.generate(torch.tensor([3]))[0], images[3], atol=1e-6)
    assert torch.equal(technique(torch.arange(5)), images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(technique.generate(torch.arange(5)), images)


def test_what_is_kept_in_inference_serves_training_too(batch: dict[str, Tensor]) -> None:
    _kept.cache_clear()
    with torch.inference_mode():
        APA(resolution=16, width=1 / 512, latent=8).double().generate(torch.arange(2))
    step_once(batch)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("technique.resolution=48", "power of two"),
        ("technique.cfg=paper", "technique.cfg must be one of auto"),
        ("technique.augment=ada", "none, bgc, bgc_upright"),
        ("technique.learning_rate=0", "above 0"),
        ("technique.mixing=2", "mixing is a probability"),
        ("technique.group=3", "multiple of 3"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tiny: Tiny, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train(tiny("train", override))


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_not_been(tiny: Tiny, photographs: Path, tmp_path: Path) -> None:
    torn, straight = tmp_path / "killed", tmp_path / "straight"
    shown = killed([*settings(photographs, torn), "technique.kimg=100"], torn, "apa")
    for out in (torn, straight):
        train(tiny("train", f"output_root={out}", f"technique.kimg={(shown + 16) / 1000}"))
    assert int(last(torn)["state_dict"]["images_shown"]) == shown + 16
    same(last(straight), last(torn))


@pytest.mark.slow
def test_two_processes_do_what_one_does_in_two_micro_batches(tiny: Tiny, photographs: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    train(tiny("train", f"output_root={one}", "technique.batch_gpu=2"))
    trained([*settings(photographs, two), "hardware=ddp_cpu", "data.batch_size=2"])
    assert int(last(two)["state_dict"]["images_shown"]) == 32
    assert float(last(two)["state_dict"]["pseudo.p"]) != 0.5
    assert torch.equal(last(one)["state_dict"]["pseudo.p"], last(two)["state_dict"]["pseudo.p"])
    ours, theirs = last(one)["state_dict"], last(two)["state_dict"]
    for key, value in ours.items():
        if key.endswith("w_average"):  # not part of training; each process averages its own images first
            torch.testing.assert_close(value, theirs[key], rtol=0, atol=1e-6)
        else:
            assert torch.equal(value, theirs[key]), key
