"""The technique: phases, resuming, refusals, super-resolution of a batch, the kernel it reports."""

from __future__ import annotations

import pytest
import torch

from octosr.degradation.aligned import strided_blur
from octosr.errors import ConfigError
from octosr.techniques.moesr.grid import MIDDLE
from octosr.techniques.moesr.phases import require_all, require_earlier, steps_done


def trained(technique):
    """As if every phase had been trained."""
    for stage in technique.all_stages():
        stage.expert_steps.fill_(4)
        stage.ise_steps.fill_(2)
        stage.ken_steps.fill_(4)
    return technique


def test_all_phases_follow_each_other_and_stop(make_moesr, batches, loop_over):
    technique = make_moesr()
    loop = loop_over(technique, batches).run(0, 20)
    assert loop.phases == ["experts"] * 4 + ["ise"] * 2 + ["ken"] * 4
    assert loop.should_stop
    assert technique.published_steps == 10
    stage = technique.stage(2)
    assert stage.expert_steps.tolist() == [4] * 25
    assert (int(stage.ise_steps), int(stage.ken_steps)) == (2, 4)
    assert len(technique.pairs[2]) == 4  # two batches of two images: every second step
    require_all(technique.all_stages())


def test_each_phase_changes_its_own_networks_alone(make_moesr, batches, loop_over):
    technique = make_moesr()
    stage = technique.stage(2)
    parts = {"experts": stage.bank, "ise": stage.evaluator, "ken": stage.estimator}
    loop = loop_over(technique, batches)
    first = 0
    for name, steps in (("experts", 4), ("ise", 2), ("ken", 4)):
        before = {key: [p.clone() for p in part.parameters()] for key, part in parts.items()}
        loop.run(first, steps)
        first += steps
        for key, part in parts.items():
            same = all(torch.equal(a, b) for a, b in zip(before[key], part.parameters(), strict=True))
            assert same == (key != name), (key, name)


def test_warm_start_trains_the_middle_expert_and_hands_it_on(make_moesr, batches, loop_over):
    technique = make_moesr()
    bank = technique.stage(2).bank
    before = bank.weights[0].detach().clone()
    loop = loop_over(technique, batches).run(0, 1)
    moved = (bank.weights[0] != before).flatten(1).any(1)
    assert moved.nonzero().flatten().tolist() == [MIDDLE]
    loop.run(1, 1)
    weight = bank.weights[0].detach()
    assert torch.equal(weight, weight[MIDDLE].expand_as(weight))
    moments = loop.optimizers[0].state[bank.weights[0]]["exp_avg_sq"]
    assert torch.equal(moments, moments[MIDDLE].expand_as(moments))
    loop.run(2, 1)
    assert len(torch.unique(bank.weights[0].detach().flatten(1), dim=0)) == 25
    assert technique.stage(2).expert_steps.tolist() == [3] * 25


def test_phases_one_by_one_equal_all_at_once(make_moesr, batches, loop_over):
    whole = make_moesr()
    loop_over(whole, batches).run(0, 10)
    state, optimizer, extra, first = None, None, {}, 0
    for phase, steps in (("experts", 4), ("ise", 2), ("ken", 4)):
        part = make_moesr(phase=phase)
        loop = loop_over(part, batches)
        if state is not None:
            part.load_state_dict(state)
            part.on_load_checkpoint(extra)
            loop.optimizers[0].load_state_dict(optimizer)
        loop.run(first, 20)
        assert loop.phases == [phase] * steps
        first += steps
        state, optimizer = part.state_dict(), loop.optimizers[0].state_dict()
        part.on_save_checkpoint(extra)
    for name, value in whole.state_dict().items():
        assert torch.equal(state[name], value), name


def test_resuming_in_the_middle_of_ken_goes_on_with_its_pairs(make_moesr, batches, loop_over):
    whole = make_moesr()
    loop_over(whole, batches).run(0, 10)
    one = make_moesr()
    loop = loop_over(one, batches).run(0, 7)
    checkpoint: dict = {}
    one.on_save_checkpoint(checkpoint)
    two = make_moesr()
    two.load_state_dict(one.state_dict())
    two.on_load_checkpoint(checkpoint)
    again = loop_over(two, batches)
    again.optimizers[0].load_state_dict(loop.optimizers[0].state_dict())
    again.run(7, 10)
    for name, value in whole.state_dict().items():
        assert torch.equal(two.state_dict()[name], value), name


def test_one_expert_alone(make_moesr, batches, loop_over):
    technique = make_moesr(phase="experts", expert=7)
    loop = loop_over(technique, batches).run(0, 20)
    assert loop.phases == ["experts"] * 4
    assert technique.stage(2).expert_steps.nonzero().flatten().tolist() == [7]


def test_a_phase_asks_for_the_one_before(make_moesr, batches, loop_over):
    with pytest.raises(ConfigError, match=r"phase=ise needs what technique\.phase=experts trains, but 25 of the 25"):
        loop_over(make_moesr(phase="ise"), batches).run(0, 1)
    technique = make_moesr(phase="ken")
    technique.stage(2).expert_steps.fill_(4)
    with pytest.raises(ConfigError, match="ISE of x2 are untrained"):
        loop_over(technique, batches).run(0, 1)
    technique.stage(2).expert_steps[3] = 0
    with pytest.raises(ConfigError, match="1 of the 25 experts"):
        require_earlier(technique.all_stages(), "ken")
    with pytest.raises(ConfigError, match="phase=experts"):
        make_moesr().super_resolve(torch.rand(1, 3, 30, 30))
    technique = trained(make_moesr())
    technique.stage(2).ken_steps.zero_()
    with pytest.raises(ConfigError, match="KEN of x2 is untrained"):
        technique.super_resolve(torch.rand(1, 3, 30, 30))


def test_phase_that_is_next(make_moesr):
    technique = make_moesr(stages=(2, 4))
    stages = technique.all_stages()
    assert technique.next_phase() == "experts"
    stages[0].expert_steps.fill_(4)
    assert technique.next_phase() == "experts"
    stages[1].expert_steps.fill_(4)
    assert technique.next_phase() == "ise"
    assert steps_done(stages[1], "experts") == 4
    assert trained(technique).next_phase() is None


@pytest.mark.parametrize("stages", [(2,), pytest.param((2, 4), marks=pytest.mark.slow)])
def test_a_batch_is_super_resolved_as_one_by_one(make_moesr, smooth_images, stages):
    technique = trained(make_moesr(stages=stages, gate_crop=26, gate_crops=1, finetune={"steps": 4, "max_rate": 1e-3}))
    technique.eval()
    lr = smooth_images(2, 30, 28)
    with torch.inference_mode():
        together = technique.super_resolve(lr)
        alone = torch.cat([technique.super_resolve(lr[n : n + 1]) for n in range(2)])
    scale = technique.scale
    assert together.shape == (2, 3, 30 * scale, 28 * scale)
    assert (together - alone).abs().max() < 1e-4


def test_images_that_are_too_small_are_padded_and_cut_back(make_moesr, smooth_images):
    technique = trained(make_moesr())
    assert technique.super_resolve(smooth_images(1, 9, 40)).shape == (1, 3, 18, 80)


def test_reported_kernel_is_that_of_both_stages(make_moesr, smooth_images):
    technique = trained(make_moesr(stages=(2, 4), finetune={"steps": 0}, gate_crop=26, gate_crops=1))
    batch = {"name": ["a"], "lr": smooth_images(1, 26, 26)}
    with torch.inference_mode():
        found = technique.predict_step(batch)
        estimates = technique.estimate(batch["lr"])
    assert found["kernel"].shape == (1, 81, 81)
    assert found["kernel"].sum().item() == pytest.approx(1, abs=1e-5)
    hr = smooth_images(1, 160, 168, seed=4)
    twice = strided_blur(strided_blur(hr, estimates[1].kernel, 4), estimates[0].kernel, 2)
    assert torch.allclose(strided_blur(hr, found["kernel"], 8), twice, atol=1e-5)
    assert found["name"] == ["a"]


def test_mixed_precision_and_channels_last_change_nothing_that_counts(make_moesr, smooth_images, batches, loop_over):
    technique = trained(make_moesr(finetune={"steps": 2, "max_rate": 1e-3}))
    lr = smooth_images(1, 30, 28)
    before = technique.super_resolve(lr)
    assert technique.to(memory_format=torch.channels_last) is technique
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(technique.super_resolve(lr), before)
    fresh = make_moesr()
    loop = loop_over(fresh, batches)
    with torch.autocast("cpu", torch.bfloat16):
        loop.run(0, 20)
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in fresh.parameters())


def test_validation_measures_the_nearest_expert_and_bicubic(make_moesr, smooth_images):
    technique = make_moesr()
    found = technique.validation_step({"hr": smooth_images(2, 64, 64), "sample_id": torch.tensor([5, 6])}, 0)
    assert {key: tuple(value.shape) for key, value in found.items()} == {
        "lr": (2, 3, 16, 16),
        "sr": (2, 3, 32, 32),
        "bicubic": (2, 3, 32, 32),
        "hr": (2, 3, 32, 32),
    }
    # untrained experts are bicubic interpolation, nearly
    assert technique.val_psnr.compute().item() == pytest.approx(technique.val_psnr_bicubic.compute().item(), abs=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": (3,)}, r"stages \(each\) must be one of \[2, 4, 8\]"),
        ({"stages": (2, 2)}, "different scales"),
        ({"phase": "kne"}, "Did you mean 'ken'"),
        ({"expert": 25, "phase": "experts"}, "0 to 24"),
        ({"expert": 3}, "phase=experts"),
        ({"warm_steps": 9}, "expert_steps must be at least 9"),
        ({"kernel_sizes": {4: 33}}, "no entry for x2"),
        ({"kernel_sizes": {2: 15}}, "kernel of 15 pixels shifts the x2"),
        ({"stages": (8,), "kernel_sizes": {8: 17}}, r"kernel_sizes\.8=17 is too small"),
        ({"gate_crop": 20}, "gate_crop must be at least 25"),
        ({"kernel_code": "angel"}, "Did you mean 'angle'"),
        ({"ise_rate": 0.0}, "above 0"),
        ({"finetune": {"step": 3}}, "Did you mean 'steps'"),
    ],
)
def test_wrong_settings_are_refused(make_moesr, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_moesr(**changes)


def test_training_crops_that_are_too_small_are_refused_with_the_remedy(make_moesr, batches, loop_over):
    technique = make_moesr(stages=(8,), kernel_sizes={8: 81})
    with pytest.raises(ConfigError, match=r"64 pixels leave 0 LR pixels at x8.*kernel_sizes\.8"):
        loop_over(technique, batches).run(0, 1)


def test_hr_crops_asked_for_are_what_the_stages_need(make_moesr):
    assert make_moesr(stages=(2, 4)).hr_patch == 96  # x4: 16 LR pixels are 64, the kernel's rim 32
    assert make_moesr(stages=(2,), lr_patch=48).hr_patch == 108
    assert make_moesr(hr_patch=72).hr_patch == 72


def test_quirks_reproduce_numbers_so_convolutions_are_the_plain_ones(make_moesr):
    assert make_moesr().stage(2).bank.winograd
    assert not make_moesr(official_quirks=True).stage(2).bank.winograd
