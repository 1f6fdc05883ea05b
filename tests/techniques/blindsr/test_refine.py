"""Errors, their derivatives and the refinement: against plain loops over images, patches and kernels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from octosr.techniques.blindsr import errors as errors_module
from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.errors import error_gradients, frozen, mean_errors
from octosr.techniques.blindsr.refine import refine
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.starts import start_grid


def parameters_of(shape: Tensor, low: float, high: float) -> Tensor:
    """(sigma_1, sigma_2, theta) of a shape (m, a, b) as its definition has it."""
    mean, a, b = shape
    half = torch.hypot(a, b)
    sigmas = [low + (high - low) / (1 + torch.exp(-u)) for u in (mean + half, mean - half)]
    return torch.stack((*sigmas, torch.atan2(b, a) / 2))


def plain_refine(stage, judge, pieces, start, settings):
    """One image (pieces of lr, enlarged, weights), one after the other, Adam written out; the best kernel."""
    low, high = stage.space.sigma_min, stage.space.sigma_max
    share = ((start[:2] - low) / (high - low)).clamp(1e-3, 1 - 1e-3)
    first, second = (share / (1 - share)).log()
    half, angle = (first - second) / 2, 2 * start[2]
    shape = torch.stack(((first + second) / 2, half * angle.cos() if half else half + 1e-4, half * angle.sin()))
    mean, square = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    best, lowest = None, math.inf
    for step in range(settings.steps + 1):
        leaf = shape.clone().requires_grad_()
        parameters = parameters_of(leaf, low, high)
        loss = -settings.sharpness * (parameters[0] + parameters[1])
        for lr, enlarged, weight in pieces:
            error = judge(stage, lr, enlarged, parameters)
            scale = stage.scale
            loss = loss + (error * weight.repeat_interleave(scale, 0).repeat_interleave(scale, 1)).sum() / scale**2
        loss.backward()
        if loss.item() < lowest:
            lowest, best = loss.item(), parameters.detach()
        gradient = leaf.grad
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rate = settings.rate * (1 - 0.9 * step / max(settings.steps, 1))
        root = (square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-12
        shape = shape - rate * mean / (1 - 0.9 ** (step + 1)) / root
    return best


@pytest.mark.parametrize("side", [200, 10])
def test_errors_are_those_of_a_plain_loop(small_stage, smooth_images, predicted_error, side):
    stage, lr = small_stage(2).double(), smooth_images(2, 15, 18).double()
    pieces = patches.covering(lr, stage.enlarge(lr), side)
    starts = start_grid(stage.space, 3, 2)
    with torch.no_grad():
        found = mean_errors(stage, pieces, stage.encode(starts).expand(2, -1, -1))
        for n in range(2):
            for s in (0, 1, 5, len(starts) - 1):
                expected = 0.0
                for k, weight in enumerate(pieces.weights):
                    error = predicted_error(stage, pieces.lr[n, k], pieces.enlarged[n, k], starts[s])
                    expected += (error.unfold(0, 2, 2).unfold(1, 2, 2).mean((2, 3)) * weight).sum().item()
                assert found[n, s].item() == pytest.approx(expected, rel=1e-10)
    assert found.std(1).min() > 1e-4  # kernels make a difference


@pytest.mark.parametrize("maps", [False, True])
def test_gradients_are_those_of_autograd_over_everything(small_stage, smooth_images, maps, monkeypatch):
    stage, lr = small_stage(2).double(), smooth_images(3, 15, 18).double()
    pieces = patches.covering(lr, stage.enlarge(lr), 10)
    monkeypatch.setitem(errors_module.PIXELS, "cpu", 300)
    torch.manual_seed(0)
    codes = torch.randn(3, 5, 2, 3, dtype=torch.float64) if maps else torch.randn(3, 5, dtype=torch.float64)
    with frozen(stage):
        errors, gradient = error_gradients(stage, pieces, codes, (15, 18))
    leaf = codes.clone().requires_grad_()
    whole = torch.nn.functional.interpolate(leaf, size=(15, 18), mode="bilinear") if maps else leaf
    total = []
    for n in range(3):
        value = torch.zeros((), dtype=torch.float64)
        for number, (top, left) in enumerate(pieces.corners[n].tolist()):
            code = whole[n : n + 1, :, top : top + 10, left : left + 10] if maps else whole[n : n + 1]
            made = stage.generator(pieces.lr[n, number][None], pieces.enlarged[n, number][None], code)
            error = stage.discriminator(pieces.lr[n, number][None], made.features, made.codes).abs()
            weight = pieces.weights[number].repeat_interleave(2, 0).repeat_interleave(2, 1) / 4
            value = value + (error.mean(1) * weight).sum()
        total.append(value)
    sum(total).backward()
    assert torch.allclose(errors, torch.stack(total).detach(), rtol=1e-10)
    assert torch.allclose(gradient, leaf.grad, rtol=1e-8, atol=1e-14)
    assert gradient.abs().min() > 0
    assert all(p.grad is None or bool(p.grad.abs().sum()) for p in stage.parameters())
    assert all(p.requires_grad for p in stage.parameters())


@pytest.mark.parametrize("side", [200, 12])
def test_refinement_is_that_of_a_plain_loop(small_stage, smooth_images, predicted_error, side):
    stage, lr = small_stage(2).double(), smooth_images(2, 16, 20).double()
    pieces = patches.covering(lr, stage.enlarge(lr), side)
    start = torch.tensor([[3.9, 1.0, 0.1], [1.5, 1.5, 0.0]], dtype=torch.float64)
    settings = Search(steps=8, rate=0.1, sharpness=1e-3)
    with torch.no_grad(), frozen(stage):
        found = refine(stage, pieces, start, (16, 20), settings)
    for n in range(2):
        parts = [(pieces.lr[n, k], pieces.enlarged[n, k], pieces.weights[k]) for k in range(len(pieces.weights))]
        expected = plain_refine(stage, predicted_error, parts, start[n], settings)
        kernels = stage.space.kernels(torch.stack((found[n], expected)))
        assert torch.allclose(kernels[0], kernels[1], atol=1e-9)
        assert (found[n] - start[n]).abs().max() > 0.05


def test_refinement_never_ends_above_its_start_and_stays_in_the_space(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(4, 20, 20)
    pieces = patches.covering(lr, stage.enlarge(lr), 200)
    start = start_grid(stage.space, 4, 4)[[0, 7, 13, 27]]
    with torch.no_grad(), frozen(stage):
        for sharpness in (0.0, 10.0):
            found = refine(stage, pieces, start, (20, 20), Search(steps=25, rate=0.5, sharpness=sharpness))
            assert found[:, :2].min() >= stage.space.sigma_min * (1 - 1e-3)
            assert found[:, :2].max() <= stage.space.sigma_max * (1 + 1e-3)
            if sharpness == 0:
                before, after = (mean_errors(stage, pieces, stage.encode(p)[:, None]) for p in (start, found))
                assert (after <= before + 1e-6).all()
                assert (after < before).any()
            else:  # nothing but sharpness counts: as wide as can be
                assert found[:, :2].min() > 0.9 * stage.space.sigma_max
