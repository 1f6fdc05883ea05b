"""Blur every image of a batch with its own kernel, in one call."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from octosr.degradation.kernels import check_size
from octosr.errors import ConfigError


def blur(images: Tensor, kernels: Tensor) -> Tensor:
    """Cross-correlate with reflection at the border (the edge pixel is not repeated), as DAN does.

    The sum is evaluated with the FFT: its cost does not grow with the kernel, its rounding error stays
    near 3e-7 where a direct float32 sum over 49x49 taps reaches 1.5e-6, and TF32 does not apply to it.

    Args:
        images: floating point, (B, C, H, W).
        kernels: odd side, (B, l, l); one kernel a sample, the same for all its channels.

    Returns:
        (B, C, H, W) with the dtype and device of ``images``.

    Raises:
        ConfigError: an even kernel, or a side of the images that is not larger than ``l // 2``.
        ValueError: the shapes do not belong together.
    """
    size = kernels.shape[-1]
    if images.ndim != 4 or kernels.shape != (len(images), size, size):
        raise ValueError(f"images (B, C, H, W) and kernels (B, l, l) expected, not {images.shape} and {kernels.shape}")
    check_size(size)
    height, width = images.shape[-2:]
    half = size // 2
    if min(height, width) <= half:
        raise ConfigError(
            f"an image of {height}x{width} pixels is too small for a {size}x{size} blur kernel: reflection needs "
            f"sides of at least {half + 1}. Use larger crops (data.patch) or a smaller degradation.kernel_size."
        )
    dtype = images.dtype if images.dtype == torch.float64 else torch.float32
    padded = pad(images.to(dtype), (half, half, half, half), mode="reflect")
    # Circular wrap-around only reaches the rows and columns that are cut off at the end.
    grid = (_fast_length(padded.shape[-2]), _fast_length(padded.shape[-1]))
    spectrum = torch.fft.rfft2(kernels.to(dtype), grid).conj()[:, None]
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded, grid) * spectrum, grid)
    return blurred[..., :height, :width].to(images.dtype)


@lru_cache(maxsize=256)
def _fast_length(n: int) -> int:
    """The next length with small prime factors only."""
    from scipy.fft import next_fast_len  # here, since most commands blur nothing

    return int(next_fast_len(n, real=True))
