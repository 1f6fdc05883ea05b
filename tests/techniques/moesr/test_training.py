"""The three trainings: targets, losses against slow references, pairs and their turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import sobel

from octosr.degradation.aligned import aligned_kernels, covariances
from octosr.degradation.rounding import quantise
from octosr.techniques.moesr.grid import ExpertGrid
from octosr.techniques.moesr.kernel_estimator import root_covariances
from octosr.techniques.moesr.training import (
    TURNED_SETTINGS,
    PairBank,
    collect_pairs,
    expert_losses,
    ise_loss,
    ise_target,
    ken_loss,
    random_degradation,
    sobel_magnitude,
)


def test_sobel_magnitude_is_scipys():
    images = torch.rand(2, 3, 9, 11, dtype=torch.float64)
    found = sobel_magnitude(images)
    for image, values in zip(images.flatten(0, 1), found.flatten(0, 1), strict=True):
        gx, gy = (sobel(image.numpy(), axis, mode="constant") for axis in (1, 0))
        np.testing.assert_allclose(values.numpy(), np.hypot(gx, gy), atol=1e-12)


@pytest.mark.parametrize(("scale", "side"), [(2, 40), (4, 56)])
def test_each_expert_is_judged_by_its_own_blur_at_every_level(make_stage, smooth_images, scale, side):
    stage, hr = make_stage(scale).double(), smooth_images(2, side, side).double()
    experts = [0, 9, 24]
    found = expert_losses(stage, hr, experts)
    for value, expert in zip(found, experts, strict=True):
        parameters = ExpertGrid(scale).expert_parameters[expert][None]
        kernel = aligned_kernels(parameters, stage.kernel_size, scale)[0]
        x = quantise(torch.nn.functional.conv2d(hr.flatten(0, 1)[:, None], kernel[None, None], stride=scale))
        made = stage.bank.stack([expert]).enlarge(x.view(1, 2, 3, *x.shape[-2:]))
        m = stage.margin * scale
        loss = (made[-1][0] - hr[..., m:-m, m:-m]).abs().mean()
        if scale == 4:
            base = torch.cat((parameters[:, :2] / 5, parameters[:, 2:]), 1)
            half = aligned_kernels(base, 13, 2)
            y = torch.nn.functional.conv2d(hr.flatten(0, 1)[:, None], half[:, None], stride=2).view(2, 3, 22, 22)
            loss = (loss + (made[0][0] - y[..., 5:-5, 5:-5]).abs().mean()) / 2
        assert value.item() == pytest.approx(loss.item(), rel=1e-9)


def test_only_the_chosen_experts_learn(make_stage, smooth_images):
    stage = make_stage(2)
    expert_losses(stage, smooth_images(1, 40, 40), [2, 5]).sum().backward()
    gradient = stage.bank.weights[0].grad.flatten(1).abs().sum(1)
    assert gradient.nonzero().flatten().tolist() == [2, 5]


def test_target_of_ise_is_positive_where_the_image_is_too_sharp(smooth_images):
    hr = smooth_images(1, 65, 57).double()
    blurred = torch.nn.functional.avg_pool2d(hr, 3, 1, 1)
    sharpened = hr + (hr - blurred)
    assert ise_target(sharpened, hr, "sharpness").shape == (1, 1, 3, 2)
    assert (ise_target(sharpened, hr, "sharpness") > 0).all()
    assert (ise_target(blurred, hr, "sharpness") < 0).all()
    assert (ise_target(hr, hr, "sharpness") == 0).all()
    error = ise_target(blurred, hr, "error")
    assert error[0, 0, 1, 1].item() == pytest.approx((blurred - hr).abs()[..., 8:57, 8:57].mean().item())


def test_ise_learns_and_the_experts_stay(make_stage, smooth_images):
    stage, hr = make_stage(2), smooth_images(2, 72, 72)
    before = [p.clone() for p in stage.bank.parameters()]
    optimizer = torch.optim.Adam(stage.evaluator.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = ise_loss(stage, hr, 0, torch.arange(2), 2, "sharpness")
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, stage.bank.parameters(), strict=True))
    assert all(p.grad is None for p in stage.bank.parameters())


def test_random_kernels_cover_the_range_evenly_and_depend_on_seed_and_sample_alone(make_stage):
    stage, ids = make_stage(4), torch.arange(4000)
    found = stage.random_parameters(0, ids)
    deviations = found[:, :2].sqrt().flatten()
    low, high = math.sqrt(3), math.sqrt(25)
    assert deviations.min() >= low - 1e-9
    assert deviations.max() <= high + 1e-9
    assert deviations.mean().item() == pytest.approx((low + high) / 2, rel=0.02)
    assert (found[:, 0] >= found[:, 1]).all()
    histogram = torch.histc(found[:, 2], 8, 0, math.pi)
    assert histogram.min() > 400
    assert torch.equal(stage.random_parameters(0, ids[10:12]), found[10:12])
    assert not torch.equal(stage.random_parameters(1, ids[:2]), found[:2])


def test_degraded_images_have_8_bits_and_the_kernel_that_is_said(make_stage, smooth_images):
    stage, hr = make_stage(2), smooth_images(2, 40, 40)
    lr, parameters = random_degradation(stage, hr, 0, torch.tensor([4, 5]))
    assert lr.shape == (2, 3, 14, 14)
    assert torch.equal(lr, quantise(lr))
    kernel = aligned_kernels(parameters, 13, 2)[1].float()
    expected = torch.nn.functional.conv2d(hr[1][:, None], kernel[None, None], stride=2)[:, 0]
    assert (lr[1] - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_turned_pairs_are_turned_settings():
    """Scores that are a function of the covariance alone must be permuted as the kernels turn."""
    grid, bank = ExpertGrid(2), PairBank(5)
    truth = torch.tensor([[4.0, 1.0, 0.3], [3.0, 2.0, 2.8]], dtype=torch.float64)

    def scores_of(parameters):
        difference = covariances(parameters)[:, None] - covariances(grid.parameters)[None]
        return difference.square().sum((2, 3)).float()

    bank.add(scores_of(truth), truth)
    scores, parameters = bank.draw(64, seed=0, step=0, device=torch.device("cpu"))
    assert torch.allclose(scores, scores_of(parameters), atol=1e-4)
    assert len({round(p, 6) for p in parameters[:, 2].tolist()}) == 8
    assert TURNED_SETTINGS.sort(1).values.tolist() == [list(range(85))] * 4
    bank.add(scores_of(truth).repeat(3, 1), truth.repeat(3, 1))
    assert len(bank) == 5


def test_loss_of_ken_has_no_seam(make_stage):
    stage = make_stage(4, kernel_code="angle")
    estimator = stage.estimator
    with torch.no_grad():
        for layer in estimator.layers:
            layer.weight.zero_()
            layer.bias.zero_()
        estimator.layers[-1].bias.copy_(torch.tensor([15.0, 5.0, 16 * 0.999]))
    scores = torch.rand(1, 85)
    near = torch.tensor([[15.0, 5.0, math.pi * 0.001]], dtype=torch.float64)
    swapped = torch.tensor([[5.0, 15.0, math.pi * 0.499]], dtype=torch.float64)
    assert ken_loss(stage, scores, near) < 1e-3
    assert ken_loss(stage, scores, swapped) < 1e-3
    far = torch.tensor([[15.0, 5.0, math.pi / 2]], dtype=torch.float64)
    difference = root_covariances(torch.tensor([[3.0, 1.0, 0.999 * math.pi], [3.0, 1.0, math.pi / 2]]))
    assert ken_loss(stage, scores, far).item() == pytest.approx(
        (difference[0] - difference[1]).square().sum().item(), rel=1e-4
    )


def test_scores_in_64_bits_are_those_of_any_share_of_the_batch(make_stage, smooth_images):
    stage, hr, ids = make_stage(2, ise_features=8), smooth_images(4, 64, 64), torch.arange(4)
    scores, parameters = collect_pairs(stage, hr, 0, ids, double=True)
    halves = [collect_pairs(stage, hr[part], 0, ids[part], double=True)[0] for part in (slice(2), slice(2, 4))]
    spread = scores.std(1, keepdim=True)
    assert scores.dtype == torch.float64
    assert float(spread.min()) > 0
    assert float(((scores - torch.cat(halves)) / spread).abs().max()) < 1e-9
    assert stage.bank.weights[0].dtype == torch.float32, "the stage itself stays as it is"
    plain = collect_pairs(stage, hr, 0, ids)[0]
    assert plain.dtype == torch.float32
    torch.testing.assert_close(plain.double(), scores, rtol=1e-5, atol=0)
    pairs = PairBank(8)
    pairs.add(scores, parameters)
    assert pairs.scores.dtype == torch.float64
    single = PairBank(8)
    single.add(plain, parameters)
    losses = [ken_loss(stage, *bank.draw(3, 0, 0, hr.device)) for bank in (pairs, single)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-3)
