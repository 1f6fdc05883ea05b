"""Blur against a sum over taps written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from octosr.degradation.blur import blur
from octosr.errors import ConfigError


def slow_blur(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Cross-correlation pixel by pixel in float64; indices reflect at the border without repeating it."""
    channels, height, width = image.shape
    half = len(kernel) // 2

    def reflect(i: int, n: int) -> int:
        return -i if i < 0 else 2 * (n - 1) - i if i >= n else i

    out = np.zeros(image.shape)
    for y in range(height):
        for x in range(width):
            rows = [reflect(y + d, height) for d in range(-half, half + 1)]
            columns = [reflect(x + d, width) for d in range(-half, half + 1)]
            for c in range(channels):
                out[c, y, x] = (image[c][np.ix_(rows, columns)].astype(np.float64) * kernel).sum()
    return out


def random_kernels(count: int, size: int) -> torch.Tensor:
    kernels = torch.rand(count, size, size, generator=torch.Generator().manual_seed(1))
    return kernels / kernels.sum((1, 2), keepdim=True)


@pytest.mark.parametrize(("height", "width", "size"), [(24, 31, 11), (16, 17, 31), (9, 12, 1), (40, 33, 21)])
def test_blur_equals_the_sum_over_taps(height: int, width: int, size: int) -> None:
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    kernels = random_kernels(2, size)
    blurred = blur(images, kernels)
    assert blurred.dtype == torch.float32
    for image, kernel, result in zip(images.numpy(), kernels.numpy(), blurred.numpy(), strict=True):
        np.testing.assert_allclose(result, slow_blur(image, kernel.astype(np.float64)), atol=1e-6, rtol=0)
    double = blur(images.double(), kernels.double())
    np.testing.assert_allclose(
        double[1].numpy(), slow_blur(images[1].numpy(), kernels[1].double().numpy()), atol=1e-13, rtol=0
    )


def test_the_kernel_is_not_flipped() -> None:
    """Cross-correlation: a tap right of the centre brings in the pixel to the right."""
    image = torch.zeros(1, 1, 7, 7)
    image[..., 3, 4] = 1
    kernel = torch.zeros(1, 3, 3)
    kernel[:, 1, 2] = 1
    assert blur(image, kernel)[0, 0].argmax() == 3 * 7 + 3


def test_a_batch_equals_its_singles() -> None:
    images, kernels = torch.rand(5, 3, 64, 60), random_kernels(5, 21)
    batch = blur(images, kernels)
    singles = torch.cat([blur(images[i : i + 1], kernels[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(batch, singles, atol=5e-7, rtol=0)
    doubles = torch.cat([blur(images[i : i + 1].double(), kernels[i : i + 1].double()) for i in range(5)])
    torch.testing.assert_close(blur(images.double(), kernels.double()), doubles, atol=1e-14, rtol=0)


def test_large_kernels_stay_precise_in_float32() -> None:
    images, kernels = torch.rand(1, 3, 128, 128), random_kernels(1, 49)
    exact = blur(images.double(), kernels.double())
    torch.testing.assert_close(blur(images, kernels).double(), exact, atol=1e-6, rtol=0)


def test_blur_is_differentiable() -> None:
    images = torch.rand(1, 2, 6, 5, dtype=torch.float64, requires_grad=True)
    kernels = torch.rand(1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(blur, (images, kernels))


def test_half_precision_is_computed_in_float32_and_autocast_does_not_matter() -> None:
    images, kernels = torch.rand(1, 3, 32, 32), random_kernels(1, 5)
    assert blur(images.half(), kernels).dtype == torch.float16
    plain = blur(images, kernels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(blur(images, kernels), plain, atol=1e-6, rtol=0)


def test_reflection_needs_more_pixels_than_half_a_kernel() -> None:
    kernels = random_kernels(1, 31)
    assert blur(torch.rand(1, 3, 16, 20), kernels).shape == (1, 3, 16, 20)
    with pytest.raises(ConfigError, match=r"15x20 pixels is too small for a 31x31 .* at least 16.*data\.patch"):
        blur(torch.rand(1, 3, 15, 20), kernels)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match="odd"):
        blur(torch.rand(1, 3, 16, 16), torch.ones(1, 4, 4))
    with pytest.raises(ValueError, match="expected"):
        blur(torch.rand(2, 3, 16, 16), torch.ones(1, 3, 3))
