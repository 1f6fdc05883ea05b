"""The compiled loops against the same operations with tensors and with NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from octosr.cores import on_one_core
from octosr.metrics.niqe_engine import cpu, maps
from octosr.metrics.niqe_engine.cpu import half_map, image_strips, luma_map
from octosr.metrics.niqe_engine.features import SHIFTS, block_moments
from octosr.metrics.niqe_engine.filters import RADIUS
from octosr.metrics.niqe_engine.loops.sums import block_means, pairwise_sum
from octosr.metrics.niqe_engine.variants import VARIANTS, Variant

WAYS = [(variant, space) for variant in VARIANTS.values() for space in variant.color_spaces]
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channel after channel": lambda x: x,
    "channels side by side": lambda x: x.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "upright": lambda x: x.mT.contiguous().mT,
    "cut out of more": lambda x: torch.cat([x, x], -1)[:, 3:99, 5:197],
    "three grey channels of one memory": lambda x: x[:1].expand(3, -1, -1),
}


def image(height: int = 192, width: int = 288, seed: int = 0) -> Tensor:
    """Noise on the 8-bit grid with a flat area, (3, H, W)."""
    levels = np.random.default_rng(seed).integers(0, 256, (3, height, width))
    levels[:, 40:150, 30:120] = 77
    return torch.from_numpy(levels.astype(np.float32) / 255)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("variant", "space"), WAYS, ids=lambda way: getattr(way, "name", way))
def test_luma_is_that_of_tensors(variant: Variant, space: str, layout: Callable[[Tensor], Tensor]) -> None:
    x = layout(image())
    assert torch.equal(luma_map(x, variant, space), maps.luma(x[None], space, variant)[0])


@pytest.mark.parametrize("fused", [0, 1, 2])
def test_luma_follows_the_machines_matrix_products(fused: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's float64 stands for products that are rounded together with the sum."""
    x, niqe = image(), VARIANTS["niqe"]
    for module in (maps, cpu):
        monkeypatch.setattr(module, "fused_products", lambda: fused)
    red, green, blue = x.numpy()
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    total = red * weights[0]
    for channel, weight, steps in ((green, weights[1], 2), (blue, weights[2], 1)):
        product = channel.astype(np.float64) * np.float64(weight)
        total = (total + (product if fused >= steps else product.astype(np.float32))).astype(np.float32)
    expected = np.pad(np.rint(total * np.float32(255)), 3, mode="edge")
    np.testing.assert_array_equal(luma_map(x, niqe, "yiq").numpy(), expected)
    np.testing.assert_array_equal(maps.luma(x[None], "yiq", niqe)[0].numpy(), expected)


def test_luma_is_the_machines_matrix_product() -> None:
    """That of one core: MKL for AVX2 rounds the last rows of each thread in another way."""
    x = image(480, 480)
    matrix = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]).T
    expected = on_one_core(lambda: ((x.permute(1, 2, 0) @ matrix)[..., 0] * 255).round(), x.device)
    assert torch.equal(luma_map(x, VARIANTS["niqe"], "yiq")[3:-3, 3:-3], expected)


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_half_size_is_that_of_tensors(variant: Variant) -> None:
    full = maps.luma(image()[None], variant.color_spaces[0], variant)
    expected = maps.bordered(maps.halved(full[:, RADIUS:-RADIUS, RADIUS:-RADIUS], variant), variant)[0]
    half = half_map(full[0], variant)
    assert half.dtype == expected.dtype
    assert torch.equal(half, expected)


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_coefficients_moments_and_sharpness_are_those_of_tensors(variant: Variant, columns: int) -> None:
    x, space = image(192, 96 * columns), variant.color_spaces[0]
    full = luma_map(x, variant, space)
    scales = image_strips(x, (96, 48), variant, space, sharpness=True)
    for scale, side, strips in zip((full, half_map(full, variant)), (96, 48), scales, strict=True):
        windows = scale.unfold(0, side + 2 * RADIUS, side).mT
        coefficients, deviation = (v.unflatten(-1, (-1, side)).transpose(1, 2) for v in maps.mscn(windows, variant))
        expected = block_moments(coefficients.double())
        assert strips.moments.dtype == torch.float64
        assert strips.moments.shape == (2, columns, 5, 5)
        scale_of_sums = expected[..., 1:2]  # sum p|p| can be near 0
        difference = (strips.moments[..., :3] - expected[..., :3]) / scale_of_sums
        assert float(difference.abs().max()) < (1e-12 if variant.rounding == "never" else 5e-7)
        assert torch.equal(strips.moments[..., 3:], expected[..., 3:])
        if variant.rounding == "never":
            assert not strips.coefficients.numel()
        else:
            assert strips.coefficients.dtype == torch.float32
            torch.testing.assert_close(strips.coefficients, coefficients, rtol=1e-5, atol=1e-6)
        if side == 96:
            torch.testing.assert_close(strips.sharpness, deviation.double().mean((-2, -1)), rtol=1e-6, atol=1e-6)
        else:
            assert strips.sharpness.shape == (2, 0)


def test_sums_are_numpys_to_the_last_bit() -> None:
    values = np.random.default_rng(0).normal(size=9216).astype(np.float32) ** 2
    for n in (0, 1, 7, 8, 9, 127, 128, 129, 136, 1000, 4607, 9216):
        assert pairwise_sum(values[:n]) == np.add.reduce(values[:n])


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("zeros_right", [False, True])
def test_means_of_a_block_are_numpys_to_the_last_bit(shift: tuple[int, int], zeros_right: bool) -> None:
    block = np.random.default_rng(1).normal(size=(48, 50)).astype(np.float32)[:, 1:-1]
    block[:20, :10] = 0
    values = (block * np.roll(block, shift, (0, 1)) if any(shift) else block).ravel()
    squares, means = values * values, np.empty(4, np.float32)
    block_means(block, shift, zeros_right, means)
    right = values >= 0 if zeros_right else values > 0
    expected = [np.abs(values).mean(), squares.mean(), squares[values < 0].mean(), squares[right].mean()]
    assert means.tolist() == [float(mean) for mean in expected]
    block_means(np.abs(block), (0, 0), zeros_right, means)
    assert means[2] == 0


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_threads_change_no_bit(variant: Variant) -> None:
    threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(image_strips(image(), (96, 48), variant, variant.color_spaces[0], sharpness=True))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*found, strict=True):
        for x, y in zip(one, other, strict=True):
            assert torch.equal(x, y)
