"""The calibrated estimate: against plain loops, that it learns a bias, where it is used, and older checkpoints."""

from __future__ import annotations

import logging

import pytest
import torch

from octosr.degradation.rounding import quantise
from octosr.techniques.blindsr import calibration as calibration_module
from octosr.techniques.blindsr.calibration import calibrated, calibration_loss, estimated_covariances
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.network import Calibration
from octosr.techniques.blindsr.phases import add_optimizer_group
from octosr.techniques.blindsr.search import looked_at, super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.starts import calibration_grid

NAMES = ("calibration.map.weight", "calibration.map.bias", "calibration_steps")


def disturb(calibration: Calibration) -> None:
    """Other numbers than those that training begins with."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in calibration.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


def plain_covariance(stage, errors):
    """Of one image: the mean covariance of the grid, from the errors of its kernels, written out."""
    count = len(errors)
    mean = sum(errors) / count
    spread = (sum((e - mean) ** 2 for e in errors) / count) ** 0.5
    inputs = [(e - mean) / spread for e in errors]
    weight, bias = (p.tolist() for p in (stage.calibration.map.weight, stage.calibration.map.bias))
    logits = [sum(w * x for w, x in zip(row, inputs, strict=True)) + b for row, b in zip(weight, bias, strict=True)]
    shares = torch.tensor(logits, dtype=torch.float64).sub(max(logits)).exp()
    covariances = stage.space.covariances(calibration_grid(stage.space))
    return sum(share * one for share, one in zip(shares / shares.sum(), covariances, strict=True))


def test_loss_is_that_of_a_plain_loop(small_stage, smooth_images, predicted_error):
    """Five crops: four have the kernel of the first, and one is left over."""
    stage, hr = small_stage().double(), smooth_images(5, 40, 44).double()
    disturb(stage.calibration)
    ids = torch.tensor([7, 8, 9, 10, 11])
    found = calibration_loss(stage, hr, ids, seed=3)
    truth = stage.space.draw(3, ids[:1], "calibration")
    lr = quantise(stage.space.degrade(hr[:4], stage.space.kernels(truth).expand(4, -1, -1)))
    enlarged = stage.enlarge(lr)
    with torch.no_grad():
        errors = [
            sum(predicted_error(stage, lr[n], enlarged[n], kernel).mean().item() for n in range(4)) / 4
            for kernel in calibration_grid(stage.space)
        ]
    apart = plain_covariance(stage, errors) - stage.space.covariances(truth)[0]
    assert found.item() == pytest.approx(apart.square().sum().sqrt().item() / 4, rel=1e-5)
    found.backward()
    assert stage.calibration.map.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in stage.generator.parameters())


def test_crops_are_grouped_and_what_is_left_over_is_left_out(small_stage, smooth_images):
    stage, hr = small_stage(), smooth_images(8, 40, 40)
    both = calibration_loss(stage, hr, torch.arange(8), seed=0)
    halves = [calibration_loss(stage, hr[part], torch.arange(8)[part], seed=0) for part in (slice(4), slice(4, 8))]
    assert both.item() == pytest.approx((halves[0] + halves[1]).item() / 2, rel=1e-5)
    fine = calibration_loss(stage, hr, torch.arange(8), seed=0, double=True)
    assert fine.dtype == both.dtype == torch.float32
    assert fine.item() == pytest.approx(both.item(), rel=1e-3)
    assert stage.calibration.map.weight.dtype == torch.float32, "the stage itself stays as it is"
    two = calibration_loss(stage, hr[:2], torch.arange(2), seed=0)  # fewer than a group: all of them
    assert torch.isfinite(two)


def test_groups_are_those_of_all_processes_together(small_stage, smooth_images):
    """Four processes with two crops each, the last ones first: each has the loss that one process has."""
    stage, hr, ids = small_stage().double(), smooth_images(8, 40, 40).double(), torch.arange(8)
    expected = calibration_loss(stage, hr, ids, seed=0)
    shares = [slice(first, first + 2) for first in (6, 4, 2, 0)]
    errors = []
    for share in shares:  # what each of them contributes: its ids, then its errors

        def contribute(values):
            if values.dtype == torch.int64:
                return torch.cat([ids[other] for other in shares])
            errors.append(values)
            return values.new_zeros(8, values.shape[1])

        calibration_loss(stage, hr[share], ids[share], 0, contribute)
    for share in shares:

        def gathered(values):
            return torch.cat([ids[other] for other in shares] if values.dtype == torch.int64 else errors)

        found = calibration_loss(stage, hr[share], ids[share], 0, gathered)
        assert found.item() == pytest.approx(expected.item(), rel=1e-9)


def test_it_learns_a_bias_that_the_least_error_has(small_stage, smooth_images, monkeypatch):
    """Errors that are least for a kernel much narrower than the true one, whatever that is."""
    stage = small_stage()
    grid = stage.space.covariances(calibration_grid(stage.space))

    def biased_errors(truth):
        wanted = stage.space.covariances(truth)
        apart = (grid - 0.4 * wanted[:, None]).square().sum((2, 3)).sqrt()
        return (apart / (1 + apart)).float()

    monkeypatch.setattr(calibration_module, "grid_errors", lambda stage, pieces: biased_errors(pieces))
    monkeypatch.setattr(calibration_module, "_degraded", lambda stage, hr, parameters: parameters)
    optimizer = torch.optim.Adam(stage.calibration.parameters(), lr=0.02)
    for step in range(150):
        optimizer.zero_grad()
        calibration_loss(stage, smooth_images(1, 8, 8), torch.arange(64 * step, 64 * step + 64), 0).backward()
        optimizer.step()
    truth = stage.space.draw(1, torch.arange(200), "y")
    wanted, errors = stage.space.covariances(truth), biased_errors(truth)

    def apart(found):
        return (found - wanted).square().sum((1, 2)).sqrt().mean().item()

    with torch.no_grad():
        estimate = apart(estimated_covariances(stage, errors))
    assert estimate < 0.4 * apart(wanted.mean(0))
    assert estimate < 0.5 * apart(grid[errors.argmin(1)])


@pytest.mark.parametrize("setting", ["auto", "none"])
def test_the_search_takes_the_calibrated_kernel_where_there_is_one(small_stage, smooth_images, setting):
    stage, lr = small_stage(2), smooth_images(3, 24, 28)
    disturb(stage.calibration)
    settings = Search.of({"levels": 2, "angles": 2, "steps": 2, "calibration": setting})
    without = super_resolve_stage(stage, lr, settings).parameters
    stage.calibration_steps.fill_(1)
    found = super_resolve_stage(stage, lr, settings)
    expected = calibrated(stage, looked_at(lr, stage.enlarge(lr), settings))
    if setting == "none":
        assert torch.equal(found.parameters, without)
        assert (without - expected).abs().max() > 0.1
        return
    assert torch.equal(found.parameters, expected)
    alone = torch.cat([super_resolve_stage(stage, lr[n : n + 1], settings).parameters for n in range(3)])
    assert torch.allclose(alone, found.parameters, atol=1e-5)
    flat = super_resolve_stage(stage, torch.full((1, 3, 20, 20), 0.5), settings)
    assert torch.isfinite(flat.sr).all()
    assert (flat.parameters[:, :2] > 0).all()


def test_quirks_have_no_calibration(small_stage, smooth_images):
    stage, lr = small_stage(2, published=True), smooth_images(1, 20, 20)
    settings = Search.of({"steps": 1}, official_quirks=True)
    before = super_resolve_stage(stage, lr, settings).parameters
    stage.calibration_steps.fill_(1)
    assert torch.equal(super_resolve_stage(stage, lr, settings).parameters, before)


def make(stages: tuple[int, ...] = (2,)) -> BlindSR:
    """A tiny technique."""
    torch.manual_seed(0)
    sizes = {"code": 4, "features": 8, "growth": 4, "layers": 2, "blocks": 1, "lr_patch": 12}
    steps = {"generator_steps": 2, "discriminator_steps": 2, "calibration_steps": 2}
    return BlindSR(name="blindsr", stages=stages, search={"steps": 2}, **sizes, **steps)


def test_only_the_first_pass_is_calibrated(smooth_images):
    technique = make((2, 2))
    stage, lr = technique.stage(2), smooth_images(1, 16, 16)
    for counter in (stage.generator_steps, stage.discriminator_steps, stage.calibration_steps):
        counter.fill_(1)
    disturb(stage.calibration)
    first, second = technique.estimate(lr)
    settings = technique.search
    assert torch.equal(first.parameters, calibrated(stage, looked_at(lr, stage.enlarge(lr), settings)))
    handed_on = first.sr.clamp(0, 1)
    expected = super_resolve_stage(stage, handed_on, Search.of({"steps": 2, "calibration": "none"}))
    assert torch.equal(second.parameters, expected.parameters)


def test_a_checkpoint_from_before_is_gone_on_with(batches, loop_over, tmp_path, caplog):
    old = make()
    loop = loop_over(old, batches).run(0, 4)
    state = {k: v for k, v in old.state_dict().items() if not k.endswith(NAMES)}
    optimizer = loop.optimizers[0].state_dict()
    optimizer["param_groups"] = optimizer["param_groups"][:2]
    checkpoint = {"state_dict": state, "optimizer_states": [optimizer], "global_step": 4}
    torch.save(checkpoint, tmp_path / "last.ckpt")

    loaded = make()
    with caplog.at_level(logging.WARNING):
        loaded.load_weights([tmp_path / "last.ckpt"])
    assert "x2 are not calibrated" in caplog.text
    assert "technique.phase=calibration" in caplog.text
    assert int(loaded.stage(2).calibration_steps) == 0
    assert torch.equal(loaded.stage(2).generator.last.weight, old.stage(2).generator.last.weight)

    resumed = make()
    resumed.on_load_checkpoint(checkpoint)
    resumed.load_state_dict(checkpoint["state_dict"])
    again = loop_over(resumed, batches)
    again.optimizers[0].load_state_dict(checkpoint["optimizer_states"][0])
    again.run(4, 20)
    assert again.phases == ["calibration"] * 2
    loop.run(4, 20)
    for name, value in old.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_checkpoint_of_today_is_left_alone(batches, loop_over, caplog):
    technique = make()
    loop = loop_over(technique, batches).run(0, 20)
    checkpoint = {"state_dict": technique.state_dict(), "optimizer_states": [loop.optimizers[0].state_dict()]}
    groups = [list(group["params"]) for group in checkpoint["optimizer_states"][0]["param_groups"]]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        technique.on_load_checkpoint(checkpoint)
    assert not caplog.text
    add_optimizer_group(checkpoint, [])
    assert [group["params"] for group in checkpoint["optimizer_states"][0]["param_groups"]] == groups
