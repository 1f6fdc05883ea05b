"""The technique: phases, resuming, refusals, super-resolution of a batch, the kernel it reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from octosr.degradation.aligned import strided_blur
from octosr.errors import ConfigError
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.phases import ORDER, require_all, steps_done


@pytest.fixture
def make_blindsr() -> Callable[..., BlindSR]:
    """``make_blindsr(...)``: a tiny technique."""

    def make(**changes: Any) -> BlindSR:
        torch.manual_seed(0)
        settings: dict[str, Any] = {
            "name": "blindsr",
            "stages": (2,),
            "code": 4,
            "features": 8,
            "growth": 4,
            "layers": 2,
            "blocks": 1,
            "generator_steps": 4,
            "discriminator_steps": 3,
            "calibration_steps": 2,
            "lr_patch": 12,
            "search": {"levels": 2, "angles": 2, "steps": 2},
        }
        return BlindSR(**(settings | changes))

    return make


def trained(technique):
    """As if all phases had been trained."""
    for stage in technique.all_stages():
        stage.generator_steps.fill_(4)
        stage.discriminator_steps.fill_(3)
        stage.calibration_steps.fill_(2)
    return technique


def test_the_phases_follow_each_other_and_stop(make_blindsr, batches, loop_over):
    technique = make_blindsr()
    loop = loop_over(technique, batches).run(0, 20)
    assert loop.phases == ["generator"] * 4 + ["discriminator"] * 3 + ["calibration"] * 2
    assert loop.should_stop
    assert technique.published_steps == 9
    stage = technique.stage(2)
    assert (int(stage.generator_steps), int(stage.discriminator_steps), int(stage.calibration_steps)) == (4, 3, 2)
    require_all(technique.all_stages())
    assert make_blindsr(phase="generator").published_steps == 4


def test_each_phase_changes_its_own_network_alone(make_blindsr, batches, loop_over):
    technique = make_blindsr()
    stage = technique.stage(2)
    loop = loop_over(technique, batches)
    for name, first, steps in (("generator", 0, 4), ("discriminator", 4, 3), ("calibration", 7, 2)):
        before = {n: [p.clone() for p in getattr(stage, n).parameters()] for n in ORDER}
        loop.run(first, steps)
        for key, old in before.items():
            changed = [not torch.equal(a, b) for a, b in zip(old, getattr(stage, key).parameters(), strict=True)]
            assert all(changed) if key == name else not any(changed), (key, name)


def test_learning_rates_fall_and_begin_anew(make_blindsr, batches, loop_over):
    technique = make_blindsr(generator_rate=1e-2, discriminator_rate=1e-3)
    loop = loop_over(technique, batches)
    seen = []
    for step in range(7):
        loop.run(step, 1)
        seen.append([group["lr"] for group in loop.optimizers[0].param_groups])
    assert [rates[1] for rates in seen[:4]] == [0] * 4
    assert [rates[0] for rates in seen[4:]] == [0] * 3
    generator = [rates[0] for rates in seen[:4]]
    assert generator[0] == 1e-2
    assert generator[2] == pytest.approx(1e-2 * 0.505)
    assert generator == sorted(generator, reverse=True)
    assert seen[4][1] == 1e-3


def test_phases_one_by_one_equal_both_at_once(make_blindsr, batches, loop_over):
    whole = make_blindsr(calibration_steps=0)
    loop_over(whole, batches).run(0, 20)
    one = make_blindsr(phase="generator")
    loop = loop_over(one, batches).run(0, 20)
    assert loop.phases == ["generator"] * 4
    two = make_blindsr(phase="discriminator")
    two.load_state_dict(one.state_dict())
    again = loop_over(two, batches)
    again.optimizers[0].load_state_dict(loop.optimizers[0].state_dict())
    again.run(4, 20)
    assert again.phases == ["discriminator"] * 3
    for name, value in whole.state_dict().items():
        assert torch.equal(two.state_dict()[name], value), name


def test_discriminator_asks_for_the_generator(make_blindsr, batches, loop_over):
    with pytest.raises(ConfigError, match=r"needs what technique\.phase=generator trains, but the generator of x2"):
        loop_over(make_blindsr(phase="discriminator"), batches).run(0, 1)
    with pytest.raises(ConfigError, match=r"needs what technique\.phase=generator trains.*technique\.phase=all"):
        loop_over(make_blindsr(phase="calibration"), batches).run(0, 1)
    technique = make_blindsr()
    with pytest.raises(ConfigError, match=r"generator of x2 is untrained: run train\.py with technique\.phase=gen"):
        technique.super_resolve(torch.rand(1, 3, 30, 30))
    technique.stage(2).generator_steps.fill_(1)
    with pytest.raises(ConfigError, match="discriminator of x2 is untrained"):
        technique.super_resolve(torch.rand(1, 3, 30, 30))


def test_phase_that_is_next(make_blindsr):
    technique = make_blindsr(stages=(2, 4))
    stages = technique.all_stages()
    assert technique.next_phase() == "generator"
    stages[0].generator_steps.fill_(4)
    assert technique.next_phase() == "generator"
    stages[1].generator_steps.fill_(4)
    assert technique.next_phase() == "discriminator"
    assert steps_done(stages[1], "generator") == 4
    assert trained(technique).next_phase() is None


def test_a_scale_that_comes_again_is_the_same_network(make_blindsr):
    technique = make_blindsr(stages=(2, 2, 2))
    assert technique.scale == 8
    assert list(technique.stage_networks) == ["x2"]
    assert len(technique.networks()) == 2
    assert list(make_blindsr(stages=(2, 4)).stage_networks) == ["x2", "x4"]
    same = sum(p.numel() for p in make_blindsr().parameters())
    assert sum(p.numel() for p in technique.parameters()) == same


@pytest.mark.parametrize("stages", [(2,), pytest.param((2, 2, 2), marks=pytest.mark.slow)])
def test_a_batch_is_super_resolved_as_one_by_one(make_blindsr, smooth_images, stages):
    technique = trained(make_blindsr(stages=stages)).eval()
    lr = smooth_images(2, 20, 18)
    with torch.inference_mode():
        together = technique.super_resolve(lr)
        alone = torch.cat([technique.super_resolve(lr[n : n + 1]) for n in range(2)])
    scale = technique.scale
    assert together.shape == (2, 3, 20 * scale, 18 * scale)
    assert (together - alone).abs().max() < 1e-4


def test_reported_kernel_is_that_of_all_passes(make_blindsr, smooth_images):
    technique = trained(make_blindsr(stages=(2, 4), search={"levels": 2, "angles": 1, "steps": 0}))
    batch = {"name": ["a"], "lr": smooth_images(1, 16, 16)}
    with torch.inference_mode():
        found = technique.predict_step(batch)
        estimates = technique.estimate(batch["lr"])
    assert found["name"] == ["a"]
    assert found["sr"].shape == (1, 3, 128, 128)
    assert found["kernel"].shape == (1, 145, 145)
    assert found["kernel"].sum().item() == pytest.approx(1, abs=1e-5)
    hr = smooth_images(1, 192, 200, seed=4)
    twice = strided_blur(strided_blur(hr, estimates[1].kernel, 4), estimates[0].kernel, 2)
    assert torch.allclose(strided_blur(hr, found["kernel"], 8), twice, atol=1e-5)


def test_quirks_are_those_of_the_public_code(make_blindsr, smooth_images):
    technique = trained(make_blindsr(stages=(2, 2), official_quirks=True))
    assert technique.stage(2).space == KernelSpace.published()
    assert technique.search.official_quirks
    images = smooth_images(1, 20, 20) * 1.1
    assert torch.equal(technique._between(images) * 255, (technique._between(images) * 255).round())
    assert torch.equal(make_blindsr()._between(images), images.clamp(0, 1))


def test_mixed_precision_trains_single_precision_weights(make_blindsr, batches, loop_over):
    technique = make_blindsr(mosaic=0.5, near_share=0.5)
    loop = loop_over(technique, batches)
    with torch.autocast("cpu", torch.bfloat16):
        loop.run(0, 20)
    assert loop.should_stop
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in technique.parameters())


def test_validation_measures_the_true_kernel_bicubic_and_the_discriminator(make_blindsr, smooth_images):
    technique = make_blindsr(stages=(2, 4))
    with torch.no_grad():
        for stage in technique.all_stages():  # nothing is added to bicubic interpolation
            stage.generator.last.weight.zero_()
            stage.generator.last.bias.zero_()
    found = technique.validation_step({"hr": smooth_images(2, 96, 96), "sample_id": torch.tensor([5, 6])}, 0)
    assert {key: tuple(value.shape) for key, value in found.items()} == {
        "lr": (2, 3, 12, 12),
        "sr": (2, 3, 48, 48),
        "bicubic": (2, 3, 48, 48),
        "hr": (2, 3, 48, 48),
    }
    assert technique.val_psnr.compute().item() == technique.val_psnr_bicubic.compute().item()
    logged = {}
    technique.log = lambda key, value, **rest: logged.update({key: float(value)})
    technique.on_validation_epoch_end()
    assert logged.keys() == {"val/psnr", "val/psnr_bicubic", "val/loss_discriminator"}
    assert logged["val/loss_discriminator"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": (3,)}, r"stages \(each\) must be one of \[2, 4, 8\]"),
        ({"stages": ()}, "stages is empty"),
        ({"phase": "generater"}, "Did you mean 'generator'"),
        ({"kernel_sizes": {4: 33}}, "no entry for x2"),
        ({"kernel_sizes": {2: 15}}, "kernel of 15 pixels shifts the x2"),
        ({"sigmas": (2.0, 0.2)}, "0 < smallest < largest"),
        ({"mosaic": 1.5}, "mosaic is a share"),
        ({"near": 0.0}, "above 0"),
        ({"generator_rate": 0.0}, "above 0"),
        ({"calibration_steps": -1}, "calibration_steps must be at least 0"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"lr_patch": 7}, "lr_patch must be at least 8"),
        ({"search": {"calibration": "off"}}, r"search\.calibration must be one of \['auto', 'none'\]"),
        ({"search": {"step": 3}}, "Did you mean 'steps'"),
    ],
)
def test_wrong_settings_are_refused(make_blindsr, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_blindsr(**changes)


def test_training_crops_that_are_too_small_are_refused_with_the_remedy(make_blindsr, batches, loop_over):
    with pytest.raises(ConfigError, match=r"64 pixels leave 0 LR pixels at x8.*kernel_sizes\.8"):
        loop_over(make_blindsr(stages=(8,)), batches).run(0, 1)


def test_hr_crops_asked_for_are_what_the_stages_need(make_blindsr):
    assert make_blindsr(stages=(2, 4)).hr_patch == 96  # x4: 12 LR pixels are 48, the kernel's rim 48
    assert make_blindsr(stages=(2,), lr_patch=64).hr_patch == 152
    assert make_blindsr(hr_patch=72).hr_patch == 72
