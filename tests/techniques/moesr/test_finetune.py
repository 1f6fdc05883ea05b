"""Fine-tuning: against a plain loop over one image with one module, batches, early stop, sizes, settings."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from octosr.degradation.aligned import aligned_kernels
from octosr.errors import ConfigError
from octosr.techniques.moesr.finetune import PRESETS, FineTuning, fine_tune, tune_stack
from octosr.techniques.moesr.network import Expert
from octosr.techniques.moesr.plan import Plan, crop_sizes, one_cycle

pytestmark = pytest.mark.usefixtures("two_threads")  # the images are shared out over cores
PARAMETERS = {
    2: torch.tensor([[3.0, 1.0, 0.5], [4.0, 4.0, 0.0], [2.0, 0.9, 2.9]]),
    4: torch.tensor([[15.0, 5.0, 0.5], [20.0, 20.0, 0.0], [10.0, 4.5, 2.9]]),
    8: torch.tensor([[60.0, 30.0, 0.5], [80.0, 80.0, 0.0], [40.0, 20.0, 2.9]]),
}
SIDES = {2: (40, 36), 4: (60, 64), 8: (96, 96)}


def plain_tuning(stage, modules, lr, parameters, settings):
    """One image, one optimiser, one step at a time, everything recomputed: what the description says."""
    scale, k = stage.scale, stage.kernel_size
    rests = {2: [(1, k, 2)], 4: [(1, k, 4), (5, 13, 2)], 8: [(1, k, 8), (21 / 5, 33, 4), (21, 13, 2)]}
    kernels = [
        aligned_kernels(torch.cat((parameters[:, :2] / f, parameters[:, 2:]), 1).double(), size, left).to(lr.dtype)[0]
        for f, size, left in rests[scale]
    ]

    def reduce(images, level):
        return F.conv2d(images.transpose(0, 1), kernels[level][None, None], stride=scale >> level).transpose(0, 1)

    def shave(a, b):
        rows, columns = (a.shape[-2] - b.shape[-2]) // 2, (a.shape[-1] - b.shape[-1]) // 2
        return a[..., rows : a.shape[-2] - rows, columns : a.shape[-1] - columns]

    sizes = crop_sizes(lr.shape[-2:], stage, settings.crop, settings.real, settings.official_quirks)
    plan = Plan(stage, lr, parameters, sizes, settings)
    large, small = plan.crops(range(settings.steps))
    weights = [p for m in modules for p in m.parameters()]
    optimizer = torch.optim.Adam(weights, lr=settings.max_rate, betas=(settings.beta1, 0.999))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.max_rate, total_steps=settings.steps, div_factor=settings.div_factor,
        cycle_momentum=settings.official_quirks,
    )  # fmt: skip
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=lr.dtype)
    for step in range(settings.steps):
        x, y = small[:, step], large[:, step]
        fake_hr = x
        for module in modules:
            fake_hr = module(fake_hr)
        back = reduce(fake_hr, 0)
        loss = settings.cycle * F.l1_loss(back, shave(x, back))
        if sizes.backward:
            level_input = reduce(y, 0).clamp(0, 1).mul(255).round().div(255)
            wanted = [reduce(y, n) for n in range(1, len(modules))] + [y]
            for module, target in zip(modules, wanted, strict=True):
                level_input = module(level_input)
                loss = loss + settings.cycle * F.l1_loss(level_input, shave(target, level_input))
        enlarged = F.interpolate(x, scale_factor=scale, mode="bicubic")
        gx, gy = (
            F.conv2d(enlarged.transpose(0, 1), s[None, None], padding=1).transpose(0, 1) for s in (sobel, sobel.T)
        )
        mask = 1 - (gx**2 + gy**2).sqrt().clamp(0, 1)
        loss = loss + settings.interpolation * F.l1_loss(mask * fake_hr, mask * enlarged)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step < settings.steps - 1:
            schedule.step()
    with torch.no_grad():
        for module in modules:
            lr = module(lr)
    return lr


@pytest.mark.parametrize(
    ("scale", "quirks"),
    [(2, False), (2, True), (4, False), (4, True), pytest.param(8, False, marks=pytest.mark.slow)],
)
def test_a_batch_is_what_a_plain_loop_makes_of_each_image(make_stage, scale, quirks, smooth_images):
    stage = make_stage(scale).double()
    lr, parameters = smooth_images(2, *SIDES[scale]).double(), PARAMETERS[scale][1:].double()
    settings = FineTuning(steps=3, crop=256, max_rate=1e-3, block=2, official_quirks=quirks)
    found = fine_tune(stage, lr, parameters, settings)
    assert found.shape == (2, 3, SIDES[scale][0] * scale, SIDES[scale][1] * scale)
    untuned = fine_tune(stage, lr, parameters, FineTuning(steps=0, official_quirks=quirks))
    assert (found - untuned).abs().max() > 1e-3
    experts, symmetries = stage.grid.choose(parameters, quirks)
    stack = stage.bank.turned_stack(experts, symmetries, quirks)
    for n in range(2):
        modules = []
        for level in range(stage.bank.levels):
            module = Expert(stage.bank.features, stage.bank.layers).double()
            for conv, weight, bias in zip(module.convs, stack.weights[level], stack.biases[level], strict=True):
                conv.weight.data, conv.bias.data = weight[n].clone(), bias[n].clone()
            modules.append(module)
        expected = plain_tuning(stage, modules, lr[n : n + 1], parameters[n : n + 1], settings)
        assert torch.allclose(found[n : n + 1], expected, atol=1e-9)


@pytest.mark.parametrize("tolerance", [None, 0.02])
def test_together_is_what_each_is_alone_in_single_precision(make_stage, tolerance, smooth_images):
    stage, lr, parameters = make_stage(2), smooth_images(3, 40, 40), PARAMETERS[2]
    settings = FineTuning(steps=16, crop=32, max_rate=3e-3, block=4, tolerance=tolerance, real=True)
    together = fine_tune(stage, lr, parameters, settings)
    alone = torch.cat([fine_tune(stage, lr[n : n + 1], parameters[n : n + 1], settings) for n in range(3)])
    assert (together - alone).abs().max() < 1e-4
    assert (together - fine_tune(stage, lr, parameters, FineTuning(steps=0))).abs().max() > 1e-2


def test_fast_convolutions_fine_tune_alike(make_stage, smooth_images):
    direct, fast = (make_stage(2, features=48, winograd=w).double() for w in (False, True))
    assert not direct.bank.winograd
    lr, parameters = smooth_images(2, 29, 30).double(), PARAMETERS[2][:2].double()
    settings = FineTuning(steps=3, crop=32, max_rate=1e-3, block=2)
    found, expected = (fine_tune(stage, lr, parameters, settings) for stage in (fast, direct))
    assert (found - fine_tune(fast, lr, parameters, FineTuning(steps=0))).abs().max() > 1e-3
    assert torch.allclose(found, expected, atol=1e-8)


def test_fine_tuning_lowers_the_losses_and_leaves_the_bank_alone(make_stage, smooth_images):
    stage, lr, parameters = make_stage(2), smooth_images(2, 48, 48), PARAMETERS[2][:2]
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    settings = FineTuning(steps=60, crop=32, max_rate=3e-3)
    sizes = crop_sizes((48, 48), stage, 32, False, False)
    plan = Plan(stage, lr, parameters, sizes, settings)
    stack = stage.bank.turned_stack(*stage.grid.choose(parameters))
    tuned = tune_stack(stage, stack, lr, parameters, settings)
    with torch.no_grad():
        block = plan.block(range(5))
        first, last = (
            torch.stack([block.losses(stage, s, n, settings) for n in range(5)]).mean(0) for s in (stack, tuned)
        )
    assert (last < 0.9 * first).all()
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())


def test_images_that_are_done_stop(make_stage, monkeypatch, smooth_images):
    stage, lr, parameters = make_stage(2), smooth_images(2, 40, 40), PARAMETERS[2][:2]
    blocks = []
    original = Plan.block
    monkeypatch.setattr(Plan, "block", lambda self, steps: blocks.append(len(self.images)) or original(self, steps))
    # a loss never falls by all of itself: everyone is done after the second block
    fine_tune(stage, lr[:1], parameters[:1], FineTuning(steps=40, crop=32, block=4, tolerance=1.0))
    assert blocks == [1, 1]


def test_random_turns_and_crops_depend_on_seed_and_step_alone(make_stage, smooth_images):
    stage, lr = make_stage(2), smooth_images(2, 40, 40)
    sizes = crop_sizes((40, 40), stage, 32, False, False)
    settings = FineTuning(steps=50, crop=32)
    plan = Plan(stage, lr, PARAMETERS[2][:2], sizes, settings)
    alone = Plan(stage, lr[1:], PARAMETERS[2][1:2], sizes, settings)
    for here, there in zip(plan.crops(range(50)), alone.crops(range(50)), strict=True):
        assert torch.equal(here[1], there[0])
    assert 0.25 < plan.turned.double().mean() < 0.55
    other = Plan(stage, lr, PARAMETERS[2][:2], sizes, FineTuning(steps=50, crop=32, seed=1))
    assert not torch.equal(other.corners[0], plan.corners[0])


def test_noise_is_added_for_photographs_only(make_stage, smooth_images):
    stage, lr = make_stage(2), smooth_images(1, 64, 64)
    sizes = crop_sizes((64, 64), stage, 64, True, False)
    blocks = [
        Plan(stage, lr, PARAMETERS[2][:1], sizes, FineTuning(steps=20, crop=64, real=real)).block(range(20))
        for real in (False, True)
    ]
    noise = blocks[1].reduced - blocks[0].reduced
    middle = (blocks[0].reduced > 0.2) & (blocks[0].reduced < 0.8)  # where clamping does nothing
    assert noise[middle].std() == pytest.approx(0.04, rel=0.1)
    assert torch.equal(blocks[0].wanted[0], blocks[1].wanted[0])


@pytest.mark.parametrize(
    ("scale", "side", "crop", "expected"),
    [
        (2, (128, 128), 128, (0, 128, 128, 128, 64, True)),
        (4, (200, 181), 128, (10, 180, 160, 128, 32, True)),
        (4, (256, 256), 64, (0, 256, 256, 64, 16, True)),
        (8, (128, 128), 128, (0, 128, 128, 128, 18, False)),
        (2, (25, 31), 128, (0, 24, 30, 24, 14, False)),
    ],
)
def test_sizes_of_crops(scale, side, crop, expected):
    from octosr.techniques.moesr.stage import MoESRStage

    stage = MoESRStage(scale, 2, 3, 2, {2: 13, 4: 33, 8: 81}[scale], "matrix")
    real = side == (256, 256)
    assert tuple(crop_sizes(side, stage, crop, real, False)) == expected


def test_schedule_and_presets():
    rates, momenta = one_cycle(1000, 1e-5, 10)
    assert rates[0] == pytest.approx(1e-6)
    assert max(rates) == pytest.approx(1e-5)
    assert rates.index(max(rates)) in (299, 300)
    assert rates[-1] == pytest.approx(1e-10)
    assert (momenta[0], min(momenta), momenta[-1]) == pytest.approx((0.95, 0.85, 0.95))
    paper = FineTuning.of({"preset": "paper"})
    assert (paper.steps, paper.crop, paper.max_rate, paper.tolerance) == (1000, 128, 1e-5, None)
    assert FineTuning.of({"steps": None}).steps == PRESETS["fast"]["steps"]
    assert FineTuning.of({"preset": "paper", "steps": 7}).steps == 7
    with pytest.raises(ConfigError, match=r"no setting 'step'. Did you mean 'steps'"):
        FineTuning.of({"step": 3})
    with pytest.raises(ConfigError, match="fast, paper"):
        FineTuning.of({"preset": "papr"})
    with pytest.raises(ConfigError, match="makes no sense"):
        FineTuning.of({"steps": -1})
