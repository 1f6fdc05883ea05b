"""Training of FastGAN: what an iteration does, resume, kill, micro-batches, several processes, compilation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from fastgan_settings import settings
from omegaconf import DictConfig
from torch import Tensor

import training_runs
from octosr.runs.train import train
from octosr.techniques.fastgan.layers import SpectralConv
from octosr.techniques.fastgan.module import FastGAN
from training_runs import killed, same, trained

Tiny = Callable[..., DictConfig]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def last(out: Path) -> dict[str, Any]:
    return training_runs.last(out, "fastgan")


def test_iterations_are_counted_and_everything_is_learnt(tiny: Tiny, tmp_path: Path) -> None:
    assert train(tiny("train")).values == {"kimg": 0.032}
    checkpoint = last(tmp_path / "out")
    state = checkpoint["state_dict"]
    assert int(state["images_shown"]) == 32
    steps = [int(next(iter(optimizer["state"].values()))["step"]) for optimizer in checkpoint["optimizer_states"]]
    assert steps == [8, 8]
    assert not any("_orig_mod" in key for key in state)
    assert {key.split(".")[0] for key in state} == {"images_shown", "generator", "discriminator", "generator_ema"}
    moved = [key for key in state if key.startswith("generator.") and key.endswith(("weight", "strength"))]
    assert all(not torch.equal(state[k], state[k.replace("generator.", "generator_ema.", 1)]) for k in moved)


def test_a_resumed_training_equals_one_that_was_never_stopped(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny("train", "technique.kimg=0.016"))
    train(tiny("train"))
    train(tiny("train", f"output_root={tmp_path / 'straight'}"))
    same(last(tmp_path / "straight"), last(tmp_path / "out"))


def step_once(batch: dict[str, Tensor], prepare: Callable[[FastGAN], None] | None = None, **changes: Any) -> FastGAN:
    """One iteration in float64, without the project's data and callbacks."""
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"resolution": 32, "width": 4, "latent": 8, "kimg": 1.0, "reconstruction": "l1"}
    technique = FastGAN(**(sizes | changes)).double()
    if prepare is not None:
        prepare(technique)
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
    return {"hr": torch.rand(4, 3, 32, 32, dtype=torch.float64), "sample_id": torch.arange(40, 44)}


def differences(one: FastGAN, two: FastGAN) -> dict[str, float]:
    """Largest difference of each tensor but those of statistics, which training does not use."""
    pairs = zip(one.state_dict().items(), two.state_dict().values(), strict=True)
    return {k: float((a.double() - b.double()).abs().max()) for (k, a), b in pairs if not k.endswith(STATISTICS)}


def test_micro_batches_of_equal_images_do_what_the_whole_batch_does(batch: dict[str, Tensor]) -> None:
    """Batch normalisation sees the micro-batch: with the same images and numbers twice, its statistics are the same."""
    twice = {key: value[[0, 1, 0, 1]] for key, value in batch.items()}
    found = differences(step_once(twice), step_once(twice, batch_gpu=2))
    assert max(found.values()) < 1e-9, max(found, key=lambda key: found[key])


def test_the_images_ids_decide_what_is_drawn(batch: dict[str, Tensor]) -> None:
    one, again, other = step_once(batch), step_once(batch), step_once(batch | {"sample_id": torch.arange(4)})
    assert max(differences(one, again).values()) == 0
    assert differences(one, other)["discriminator.score_out.weight"] > 0


def test_the_generators_step_leaves_the_discriminator_alone(batch: dict[str, Tensor]) -> None:
    """Nothing is computed for its parameters then, and every layer of the generator has a gradient."""
    kept: dict[str, Any] = {}

    def prepare(technique: FastGAN) -> None:
        step, fake = technique.step, technique._fake

        def spy(optimizer: Any, parameters: Any, **more: Any) -> None:
            parameters = list(parameters)
            kept.setdefault("gradients", []).append([p.grad.clone() for p in parameters])
            kept.setdefault("frozen", []).append([p.grad is None for p in technique.discriminator.parameters()])
            step(optimizer, parameters, **more)

        technique.step = spy  # type: ignore[method-assign]
        technique._fake = lambda part: kept.setdefault("pair", fake(part))  # type: ignore[method-assign]

    step_once(batch, prepare)
    assert all(kept["frozen"][1])
    assert kept["pair"][0].shape == (4, 3, 32, 32)
    assert all(bool(gradient.isfinite().all()) for phase in kept["gradients"] for gradient in phase)
    assert all(bool(gradient.any()) for gradient in kept["gradients"][1] if gradient.numel() > 1)


def test_the_reconstruction_is_added_up_and_not_averaged(batch: dict[str, Tensor]) -> None:
    """With its gradient alone (no hinge), that of a batch twice over is twice that of the batch."""

    def gradients(images: dict[str, Tensor]) -> list[Tensor]:
        kept: list[list[Tensor]] = []

        def prepare(technique: FastGAN) -> None:
            step = technique.step

            def spy(optimizer: Any, parameters: Any, **more: Any) -> None:
                parameters = list(parameters)
                kept.append([p.grad.clone() for p in technique.discriminator.decoder_small.parameters()
                             if p.grad is not None])  # fmt: skip
                step(optimizer, parameters, **more)

            technique.step = spy  # type: ignore[method-assign]

        step_once(images, prepare)
        return kept[0]

    once = gradients({key: value[:2] for key, value in batch.items()})
    twice = gradients({key: value[[0, 1, 0, 1]] for key, value in batch.items()})
    for one, two in zip(once, twice, strict=True):
        assert torch.allclose(two, 2 * one, atol=1e-10)


def test_compiled_networks_do_the_same(batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **settings: real(f, backend="aot_eager"))
    plain, compiled = step_once(batch), step_once(batch, FastGAN.compile_networks)
    assert max(differences(plain, compiled).values()) < 1e-9
    assert not any("_orig_mod" in key for key in compiled.state_dict())


def test_spectra_are_followed_once_a_pass_and_the_decoders_where_they_run(
    batch: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The discriminator passes three times an iteration, its decoders once: for the real images."""
    followed: list[SpectralConv] = []
    inner = SpectralConv.follow
    monkeypatch.setattr(SpectralConv, "follow", lambda layer: (followed.append(layer), inner(layer))[1])
    technique = step_once(batch)
    decoders = {layer for part in technique.discriminator.decoders for layer in part.modules()}
    for layer in technique.discriminator.modules():
        if isinstance(layer, SpectralConv):
            assert followed.count(layer) == (1 if layer in decoders else 3)


@pytest.mark.slow
def test_a_discriminator_remembers_an_image() -> None:
    """The reconstruction of one image gets better: what the decoders and their gradients are for."""
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 32)
    image = torch.stack((ramp.expand(32, 32), ramp[:, None].expand(32, 32), torch.zeros(32, 32))).double()
    batch = {"hr": image.expand(4, -1, -1, -1), "sample_id": torch.arange(4)}
    losses: list[float] = []

    def prepare(technique: FastGAN) -> None:
        inner = FastGAN.training_step

        def many(batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
            for _ in range(24):
                found = inner(technique, batch)
                losses.append(float(found["reconstruction"]))
            return found

        technique.training_step = many  # type: ignore[method-assign]

    step_once(batch, prepare, width=8, learning_rate=2e-3)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_not_been(tiny: Tiny, photographs: Path, tmp_path: Path) -> None:
    torn, straight = tmp_path / "killed", tmp_path / "straight"
    shown = killed([*settings(photographs, torn), "technique.kimg=100"], torn, "fastgan")
    for out in (torn, straight):
        train(tiny("train", f"output_root={out}", f"technique.kimg={(shown + 16) / 1000}"))
    assert int(last(torn)["state_dict"]["images_shown"]) == shown + 16
    same(last(straight), last(torn))


@pytest.mark.slow
def test_two_processes_do_what_one_does_in_two_micro_batches(tiny: Tiny, photographs: Path, tmp_path: Path) -> None:
    """To the bit, in 32-bit floats: see octosr.techniques.gradients."""
    one, two = tmp_path / "one", tmp_path / "two"
    train(tiny("train", f"output_root={one}", "technique.batch_gpu=2", "technique.kimg=0.016"))
    trained([*settings(photographs, two), "hardware=ddp_cpu", "data.batch_size=2", "technique.kimg=0.016"])
    ours, theirs = last(one)["state_dict"], last(two)["state_dict"]
    assert int(theirs["images_shown"]) == 16
    for key, value in ours.items():
        if not key.endswith(STATISTICS):
            assert torch.equal(value, theirs[key]), key


def test_nearest_is_how_the_small_real_image_is_made(batch: dict[str, Tensor]) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def prepare(technique: FastGAN) -> None:
        technique.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[:2]))

    step_once(batch, prepare)
    assert len(seen) == 3
    big, small = seen[0]
    assert torch.equal(small, F.interpolate(big, size=16, mode="nearest"))
    assert torch.equal(seen[1][0], seen[2][0])  # the generated images serve both steps
