"""R1 and path lengths against finite differences, Adam's corrections, the average's half-life, the presets."""

from __future__ import annotations

import math

import pytest
import torch

from octosr.errors import ConfigError
from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.losses import path_lengths, path_penalty, r1_penalty
from octosr.techniques.apa.optimizers import average_decay, corrected
from octosr.techniques.apa.presets import preset
from octosr.techniques.apa.synthesis import Synthesis


def test_r1_against_finite_differences() -> None:
    torch.manual_seed(0)
    judge = Discriminator(8, 1 / 512, group=1).double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty(judge(images), images)
    step = 1e-6
    with torch.no_grad():
        basis = step * torch.eye(192, dtype=torch.float64).view(192, 3, 8, 8)
        for index, image in enumerate(images):
            slopes = (judge(image + basis) - judge(image - basis)) / (2 * step)
            assert float(slopes.square().sum()) == pytest.approx(float(penalty[index].detach()), rel=1e-6)


def test_path_lengths_against_finite_differences() -> None:
    torch.manual_seed(0)
    network = Synthesis(8, 1 / 512, latent=4).double()
    ws = torch.randn(1, network.styles, 4, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    found = path_lengths(network(ws), ws, direction)
    step = 1e-6
    slopes = torch.zeros(network.styles, 4, dtype=torch.float64)
    with torch.no_grad():
        for layer in range(network.styles):
            for number in range(4):
                moved = torch.zeros_like(ws)
                moved[0, layer, number] = step
                slope = ((network(ws + moved) - network(ws - moved)) * direction).sum() / (2 * step)
                slopes[layer, number] = slope / 8
    assert float(slopes.square().sum(1).mean().sqrt()) == pytest.approx(float(found.detach()), rel=1e-6)


def test_the_path_penalty_is_that_of_all_images_wherever_they_are() -> None:
    torch.manual_seed(0)
    lengths = torch.rand(6, dtype=torch.float64, requires_grad=True)
    average = torch.tensor(0.3, dtype=torch.float64).lerp(lengths.mean(), 0.01)
    whole = (lengths - average).square().mean()
    (expected,) = torch.autograd.grad(whole, lengths)
    mean = lengths.mean().detach()
    after = torch.tensor(0.3, dtype=torch.float64).lerp(mean, 0.01)
    parts = torch.stack([path_penalty(part, mean, after, 0.01) for part in lengths.split(2)]).mean()
    (found,) = torch.autograd.grad(parts, lengths)
    assert float(parts.detach()) == pytest.approx(float(whole.detach()), rel=1e-12)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_adam_is_corrected_for_lazy_regularisation() -> None:
    rate, betas = corrected(0.002, 16)
    assert rate == pytest.approx(0.0018823529, rel=1e-7)
    assert betas == (0.0, pytest.approx(0.990585, abs=1e-6))
    assert corrected(0.002, 4)[1][1] == pytest.approx(0.99199, abs=1e-5)


def test_the_average_has_its_half_life() -> None:
    decay = average_decay(32, 10**9, 10.0, None)
    assert decay ** (10_000 / 32) == pytest.approx(0.5)
    assert average_decay(32, 1000, 10.0, 0.05) == pytest.approx(0.5 ** (32 / 50))
    assert average_decay(32, 10**6, 10.0, 0.05) == decay
    assert math.isclose(average_decay(32, 0, 10.0, 0.05), 0.0)


def test_presets_are_the_published_ones() -> None:
    found = {side: preset("auto", side) for side in (128, 256, 512, 1024)}
    assert {side: (p.batch, round(p.r1_gamma, 3), p.ema_kimg, p.width) for side, p in found.items()} == {
        128: (32, 0.102, 10.0, 0.5),
        256: (16, 0.819, 5.0, 0.5),
        512: (8, 6.554, 2.5, 1.0),
        1024: (4, 52.429, 1.25, 1.0),
    }
    eight = preset("auto", 1024, None, 8)
    assert (eight.batch, round(eight.r1_gamma, 2), eight.ema_kimg, eight.group) == (32, 6.55, 10.0, 4)
    assert (found[512].learning_rate, found[1024].learning_rate, found[1024].mapping_layers) == (0.0025, 0.002, 2)
    paper = preset("paper1024", 1024)
    assert (paper.batch, paper.r1_gamma, paper.ema_kimg, paper.mapping_layers, paper.ema_rampup) == (32, 2, 10, 8, None)
    with pytest.raises(ConfigError, match="Did you mean 'paper256'"):
        preset("paper-256", 256)
