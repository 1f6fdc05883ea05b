"""The whole degradation: its formula, its randomness, its messages, its configuration files."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy import stats

from octosr.degradation.blur import blur
from octosr.degradation.kernels import anisotropic_kernels, disturb, isotropic_kernels
from octosr.degradation.pipeline import Degradation
from octosr.degradation.random import SampleRandom
from octosr.degradation.resize import downsample, resize
from octosr.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"
NAMES = ("setting1", "setting1_paper", "setting2", "noisy", "bicubic")


def from_conf(name: str, *overrides: str) -> Degradation:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(overrides=[f"+degradation={name}", "+seed=4", *overrides])
        return instantiate(cfg.degradation)


def simple(**changes: object) -> Degradation:
    values: dict[str, object] = {"kind": "isotropic", "sigma": {2: [0.2, 4.0]}, "kernel_size": {2: 21}}
    return Degradation(**{**values, **changes})


@pytest.fixture
def hr() -> torch.Tensor:
    return torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_every_configuration_degrades_at_every_scale(name: str, scale: int, hr: torch.Tensor) -> None:
    """128x128 crops are enough for the widest kernel of x8; 128 is not divisible by 3."""
    degradation = from_conf(name)
    lr, kernel = degradation(hr, scale, torch.arange(3))
    side = -(-128 // scale)
    size = degradation.kernel_size(scale)
    assert lr.shape == (3, 3, side, side)
    assert kernel.shape == (3, size, size)
    assert lr.dtype == kernel.dtype == torch.float32
    assert degradation.seed == 4
    torch.testing.assert_close(kernel.sum((1, 2)), torch.ones(3))
    torch.testing.assert_close(lr * 255, (lr * 255).round(), atol=1e-4, rtol=0)
    assert lr.min() >= 0
    assert lr.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_its_singles_after_rounding(name: str, hr: torch.Tensor) -> None:
    degradation = from_conf(name)
    ids = torch.tensor([11, 2**40 + 1, 5])
    batch = degradation(hr, 8, ids)
    for i in range(3):
        single = degradation(hr[i : i + 1], 8, ids[i : i + 1])
        assert torch.equal(batch.lr[i : i + 1], single.lr)
        assert torch.equal(batch.kernel[i : i + 1], single.kernel)
    assert torch.equal(batch.lr.flip(0), degradation(hr.flip(0), 8, ids.flip(0)).lr)


def test_lr_is_blur_then_bicubic_then_noise_then_clamp_then_rounding(hr: torch.Tensor) -> None:
    values = {"kind": "isotropic", "sigma": {2: [1, 3]}, "kernel_size": {2: 11}, "noise": [0.2, 0.4], "seed": 9}
    ids = torch.arange(3)
    lr, kernel = Degradation(**values)(hr, 2, ids)
    random = SampleRandom(9)
    level = 0.2 + 0.2 * random.uniform(ids, "x2/noise_level")
    noise = level[:, None, None, None] * random.normal(ids, "x2/noise", (3, 64, 64))
    exact = downsample(blur(hr.double(), kernel.double()), 2) + noise
    expected = (exact.clamp(0, 1) * 255).round() / 255
    assert (exact < 0).any()
    # the kernel handed back is float32, so a value next to half a step may round to the other side
    assert ((lr - expected).abs() < 1e-6).double().mean() > 0.9999
    assert (lr - expected).abs().max() < 1.01 / 255
    unrounded = Degradation(**values, quantise=False)(hr, 2, ids).lr
    torch.testing.assert_close(unrounded.double(), exact.clamp(0, 1), atol=1e-6, rtol=0)


def test_no_blur_is_plain_bicubic_with_a_dirac(hr: torch.Tensor) -> None:
    lr, kernel = from_conf("bicubic")(hr, 4, torch.arange(3))
    expected = (downsample(hr.double(), 4).clamp(0, 1) * 255).round() / 255
    assert torch.equal(lr, expected.float())
    assert kernel.flatten(1).argmax(1).tolist() == [31 * 31 // 2] * 3
    assert kernel.sum() == 3


def test_isotropic_kernels_have_the_drawn_sigma_uniform_in_its_range() -> None:
    degradation = simple()
    ids = torch.arange(4000)
    kernels = degradation.sample_kernels(2, ids)
    sigma = 0.2 + 3.8 * SampleRandom(0).uniform(ids, "x2/sigma_x")
    torch.testing.assert_close(kernels, isotropic_kernels(sigma, 21), atol=1e-15, rtol=0)
    # read off the kernel itself: k(1, 0) / k(0, 0) = exp(-1 / (2 sigma^2))
    measured = torch.sqrt(-0.5 / torch.log(kernels[:, 10, 11] / kernels[:, 10, 10]))
    assert stats.kstest(measured.numpy(), "uniform", args=(0.2, 3.8)).pvalue > 1e-3
    torch.testing.assert_close(kernels, kernels.transpose(1, 2), atol=0, rtol=0)


def test_anisotropic_kernels_draw_both_sigmas_and_the_angle_independently() -> None:
    degradation = simple(kind="anisotropic", sigma={4: [0.6, 5]}, kernel_size={4: 31}, disturbance=0.25, seed=1)
    ids = torch.arange(4000)
    u = {s: SampleRandom(1).uniform(ids, f"x4/{s}") for s in ("sigma_x", "sigma_y", "theta")}
    for name, values in u.items():
        assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-3, name
    assert abs(np.corrcoef([v.numpy() for v in u.values()])[np.triu_indices(3, 1)]).max() < 0.06
    clean = anisotropic_kernels(
        0.6 + 4.4 * u["sigma_x"][:8], 0.6 + 4.4 * u["sigma_y"][:8], torch.pi * (2 * u["theta"][:8] - 1), 31
    )
    kernels = degradation.sample_kernels(4, ids[:8])
    taps = SampleRandom(1).uniform(ids[:8], "x4/disturbance", (31, 31))
    torch.testing.assert_close(kernels, disturb(clean, 0.25, taps), atol=1e-15, rtol=0)
    ratio = kernels / clean
    assert (ratio.amax((1, 2)) / ratio.amin((1, 2))).max() < 1.25
    assert (ratio.amax((1, 2)) / ratio.amin((1, 2))).min() > 1.2


def test_scales_and_seeds_draw_different_kernels() -> None:
    both = {"sigma": {2: [0.2, 4], 4: [0.2, 4]}, "kernel_size": {2: 21, 4: 21}}
    ids = torch.arange(2)
    kernels = [simple(**both, seed=s).sample_kernels(x, ids) for s in (0, 1) for x in (2, 4)]
    assert all(not torch.equal(a, b) for i, a in enumerate(kernels) for b in kernels[:i])


def test_published_ranges_and_sizes() -> None:
    setting1, paper, setting2 = (from_conf(n) for n in ("setting1", "setting1_paper", "setting2"))
    for scale in (2, 3, 4):
        assert setting1.sigma(scale) == (0.2, 4.0)
        assert paper.sigma(scale) == (0.2, float(scale))
        assert setting2.sigma(scale) == (0.6, 5.0)
        assert setting1.kernel_size(scale) == paper.kernel_size(scale) == 21
    assert [setting2.kernel_size(s) for s in (2, 4)] == [11, 31]
    assert (setting1.kind, paper.kind, setting2.kind) == ("isotropic", "isotropic", "anisotropic")
    assert (setting1.disturbance, paper.disturbance, setting2.disturbance) == (0, 0, 0.25)
    assert all(d.noise == (0, 0) for d in (setting1, paper, setting2))
    assert from_conf("noisy").noise == (0, 0.0588)


@pytest.mark.parametrize("name", ["setting1", "setting1_paper", "setting2", "noisy"])
def test_x8_kernels_are_not_visibly_cut_off(name: str) -> None:
    """The widest kernel keeps 99 % of its weight, and its edge is near 1 % of its centre."""
    degradation = from_conf(name)
    sigma = torch.tensor([degradation.sigma(8)[1]], dtype=torch.float64)
    size = degradation.kernel_size(8)
    kernel, wide = isotropic_kernels(sigma, size)[0], isotropic_kernels(sigma, 4 * size + 1)[0]
    half = size // 2
    assert kernel[half, 0] / kernel[half, half] < 0.012
    assert wide[half * 4 + 2, half * 4 + 2] / kernel[half, half] > 0.99


def test_sigma_can_be_overridden_for_one_scale_on_the_command_line() -> None:
    assert from_conf("setting2", "degradation.sigma.8=[1,2]").sigma(8) == (1, 2)


def test_copies_and_pickles_degrade_alike(hr: torch.Tensor) -> None:
    degradation = from_conf("noisy")
    ids = torch.arange(3)
    lr = degradation(hr, 4, ids).lr
    for other in (copy.deepcopy(degradation), pickle.loads(pickle.dumps(degradation))):
        assert torch.equal(other(hr, 4, ids).lr, lr)


def test_autocast_and_global_randomness_do_not_matter(hr: torch.Tensor) -> None:
    degradation = from_conf("noisy")
    lr = degradation(hr, 2, torch.arange(3)).lr
    state = torch.get_rng_state()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(degradation(hr, 2, torch.arange(3)).lr, lr)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_flow_without_rounding() -> None:
    hr = (0.25 + 0.5 * torch.rand(1, 3, 32, 32)).requires_grad_()
    simple(quantise=False)(hr, 2, torch.tensor([3])).lr.sum().backward()
    assert hr.grad is not None
    assert hr.grad.sum().item() == pytest.approx(3 * 16 * 16, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "gaussian"}, "degradation.kind='gaussian' is unknown"),
        ({"sigma": {2: [4, 1]}}, r"degradation.sigma.2 must be \[low,high\]"),
        ({"sigma": {2: [0, 1]}}, "degradation.sigma.2 .* above 0"),
        ({"sigma": {2: [1.0]}}, "degradation.sigma.2"),
        ({"kernel_size": {2: 20}}, "degradation.kernel_size must be odd"),
        ({"disturbance": -0.1}, "degradation.disturbance"),
        ({"noise": [-0.1, 0.1]}, "degradation.noise"),
        ({"noise": [0.1, float("nan")]}, "degradation.noise"),
    ],
)
def test_senseless_values_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        simple(**changes)


def test_a_scale_that_is_not_configured_is_named(hr: torch.Tensor) -> None:
    ids = torch.arange(3)
    with pytest.raises(ConfigError, match=r"degradation\.kernel_size has no entry for x8 \(it has x2\): set .*size\.8"):
        simple()(hr, 8, ids)
    with pytest.raises(ConfigError, match=r"degradation\.sigma has no entry for x8 .* set degradation\.sigma\.8 to"):
        simple(kernel_size={2: 21, 8: 21})(hr, 8, ids)


def test_small_images_and_wrong_shapes_are_refused(hr: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="too small for a 21x21 blur kernel"):
        simple()(hr[..., :10, :10], 2, torch.arange(3))
    with pytest.raises(ValueError, match="sample_ids"):
        simple()(hr, 2, torch.arange(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", NAMES)
def test_gpu_equals_cpu(name: str, hr: torch.Tensor) -> None:
    degradation, ids = from_conf(name), torch.arange(3)
    lr, kernel = degradation(hr.cuda(), 8, ids)
    assert lr.is_cuda
    assert kernel.is_cuda
    expected = degradation(hr, 8, ids)
    assert torch.equal(lr.cpu(), expected.lr)
    torch.testing.assert_close(kernel.cpu(), expected.kernel, atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_computed_on_another_device_than_the_images(name: str) -> None:
    """The meta device refuses to mix with CPU tensors and to be read, as a GPU path must not do either."""
    hr, ids = torch.rand(2, 3, 128, 128, device="meta"), torch.arange(2, device="meta")
    degraded = from_conf(name)(hr, 8, ids)
    assert degraded.lr.is_meta
    assert degraded.kernel.is_meta
    assert resize(degraded.lr, (40, 41), "lanczos", "renormalise").is_meta
    with pytest.raises(RuntimeError):
        hr + torch.rand(2, 3, 128, 128)
