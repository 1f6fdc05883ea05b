"""Resampling against a slow reference (MATLAB's border) and against Pillow (its own border)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.degradation.resize import downsample, resize
from octosr.errors import ConfigError


def keys_cubic(x: float) -> float:
    a, x = -0.5, abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return 0.0


def slow_line(line: np.ndarray, n_out: int, step: float) -> np.ndarray:
    """One row, output pixel by output pixel, in float64; ``step`` is the distance of output pixels in input pixels."""
    n_in, width = len(line), max(step, 1.0)
    out = np.zeros(n_out)
    for i in range(n_out):
        centre = (i + 0.5) * step - 0.5
        total = weights = 0.0
        for j in range(math.floor(centre - 2 * width) - 1, math.ceil(centre + 2 * width) + 2):
            weight = keys_cubic((j - centre) / width)
            mirrored = j
            while not 0 <= mirrored < n_in:
                mirrored = -1 - mirrored if mirrored < 0 else 2 * n_in - 1 - mirrored
            total += weight * float(line[mirrored])
            weights += weight
        out[i] = total / weights
    return out


def slow_bicubic(image: np.ndarray, size: tuple[int, int], step: tuple[float, float]) -> np.ndarray:
    """MATLAB-style bicubic of (H, W), H first, then W."""
    tall = np.stack([slow_line(column, size[0], step[0]) for column in image.astype(np.float64).T], axis=1)
    return np.stack([slow_line(row, size[1], step[1]) for row in tall])


def random_image(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(48, 72), (47, 61), (13, 50), (5, 3)])
def test_downsample_equals_the_slow_reference(scale: int, height: int, width: int) -> None:
    """Also where the sides are not divisible, and where the picture is smaller than the filter."""
    image = random_image(height, width)
    size = (math.ceil(height / scale), math.ceil(width / scale))
    small = downsample(image, scale)
    assert small.shape == (1, 1, *size)
    assert small.dtype == torch.float32
    expected = slow_bicubic(image[0, 0].numpy(), size, (scale, scale))
    np.testing.assert_allclose(small[0, 0].numpy(), expected, atol=1e-6, rtol=0)
    np.testing.assert_allclose(downsample(image.double(), scale)[0, 0].numpy(), expected, atol=1e-14, rtol=0)


@pytest.mark.parametrize("size", [(48, 72), (96, 27), (17, 100), (7, 5), (20, 19)])
def test_resize_equals_the_slow_reference(size: tuple[int, int]) -> None:
    image = random_image(20, 27)
    expected = slow_bicubic(image[0, 0].numpy(), size, (20 / size[0], 27 / size[1]))
    np.testing.assert_allclose(resize(image, size)[0, 0].numpy(), expected, atol=1e-6, rtol=0)


def test_resize_and_downsample_agree_where_the_sides_divide() -> None:
    image = random_image(48, 96)
    for scale in (1, 2, 3, 4, 8):
        torch.testing.assert_close(
            downsample(image, scale), resize(image, (48 // scale, 96 // scale)), atol=5e-7, rtol=0
        )


def test_the_half_band_taps_are_matlabs() -> None:
    """imresize(x, 0.5) has these taps on either side of the centre."""
    impulse = torch.zeros(1, 1, 1, 32, dtype=torch.float64)
    impulse[..., 16] = 1
    even = downsample(impulse.expand(1, 1, 2, 32), 2)[0, 0, 0]
    odd = downsample(impulse.roll(1, -1).expand(1, 1, 2, 32), 2)[0, 0, 0]
    assert even[6:10].tolist() == pytest.approx([-0.01171875, 0.11328125, 0.43359375, -0.03515625])
    assert odd[7:11].tolist() == pytest.approx([-0.03515625, 0.43359375, 0.11328125, -0.01171875])


@pytest.mark.parametrize("filter", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(128, 168), (16, 21), (5, 7), (32, 15), (3, 200), (37, 50)])
def test_renormalised_border_equals_pillow(filter: str, size: tuple[int, int]) -> None:
    image = random_image(16, 21)[0, 0]
    methods = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "lanczos": "LANCZOS"}
    pillow = Image.fromarray(image.numpy(), mode="F").resize(size[::-1], Image.Resampling[methods[filter]])
    ours = resize(image[None, None], size, filter=filter, border="renormalise")
    np.testing.assert_allclose(ours[0, 0].numpy(), np.asarray(pillow), atol=2e-6, rtol=0)


@pytest.mark.parametrize("filter", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("border", ["symmetric", "renormalise"])
def test_a_constant_stays_constant_and_a_mirror_stays_a_mirror(filter: str, border: str) -> None:
    for size in ((80, 31), (3, 4)):
        flat = resize(torch.full((2, 3, 10, 13), 0.7), size, filter, border)
        torch.testing.assert_close(flat, torch.full_like(flat, 0.7))
        if filter != "nearest" or size[0] == 80:
            image = random_image(10, 13)[..., :10]
            a = resize(image, (size[0], 5 * size[0]), filter, border)
            b = resize(image.flip(-1), (size[0], 5 * size[0]), filter, border).flip(-1)
            torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_without_antialiasing_bicubic_interpolates_four_pixels() -> None:
    line = random_image(1, 20)[0, 0, 0].double()
    small = resize(line[None, None, None], (1, 5), antialias=False)[0, 0, 0]
    for i in range(5):
        centre = (i + 0.5) * 4 - 0.5
        taps = [j for j in range(20) if abs(j - centre) < 2]
        expected = sum(keys_cubic(j - centre) * line[j].item() for j in taps)
        assert small[i].item() == pytest.approx(expected, abs=1e-12)


def test_gradients_flow() -> None:
    image = torch.rand(1, 1, 7, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: downsample(x, 3), (image,))
    assert torch.autograd.gradcheck(lambda x: resize(x, (11, 4)), (image,))
    assert torch.autograd.gradcheck(lambda x: resize(x, (3, 9), "lanczos", "renormalise"), (image,))


def test_weights_first_used_in_inference_mode_serve_training_too() -> None:
    with torch.inference_mode():
        resize(torch.rand(1, 1, 29, 29), (31, 31))
    image = torch.rand(1, 1, 29, 29, requires_grad=True)
    resize(image, (31, 31)).sum().backward()
    assert image.grad is not None


def test_autocast_and_leading_dimensions_do_not_matter() -> None:
    images = torch.rand(2, 5, 3, 16, 16)
    plain = resize(images, (40, 40)), downsample(images, 2)
    assert plain[0].shape == (2, 5, 3, 40, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(resize(images, (40, 40)), plain[0])
        assert torch.equal(downsample(images, 2), plain[1])
    assert resize(images.half(), (40, 40)).dtype == downsample(images.half(), 2).dtype == torch.float16
    batch = torch.rand(3, 3, 16, 16)
    assert torch.equal(downsample(batch, 4)[1:2], downsample(batch[1:2], 4))


def test_the_same_size_returns_the_pixels_unchanged() -> None:
    image = random_image(9, 9)
    assert torch.equal(resize(image, (9, 9)), image)
    assert torch.equal(downsample(image, 1), image)


def test_wrong_arguments_are_refused() -> None:
    image = random_image(8, 8)
    with pytest.raises(ConfigError, match=r"unknown resampling filter 'cubic'.*bicubic.*nearest"):
        resize(image, (4, 4), filter="cubic")
    with pytest.raises(ConfigError, match="unknown border 'zero'"):
        resize(image, (4, 4), border="zero")
    with pytest.raises(ConfigError, match="cannot resize"):
        resize(image, (0, 4))
    with pytest.raises(ConfigError, match="at least 1"):
        downsample(image, 0)
    for call in (lambda x: resize(x, (4, 4)), lambda x: downsample(x, 2)):
        with pytest.raises(TypeError, match="floating"):
            call((image * 255).byte())
