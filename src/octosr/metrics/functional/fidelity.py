"""Fidelity to a reference image, on RGB in [0, 1], in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03


def psnr(images: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each image over all pixels and channels; higher is better.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W).
        reference: the same shape.

    Returns:
        float64, (B,); ``inf`` where image and reference are identical.

    >>> import torch
    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1)).round(decimals=4)
    tensor([20.], dtype=torch.float64)
    """
    return peak_signal_noise_ratio(
        images.double(), reference.double(), data_range=1.0, reduction="none", dim=(1, 2, 3)
    ).reshape(len(images))


def ssim(images: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity of each image (Wang et al., IEEE TIP 13(4), 2004, eq. 13); higher is better, at most 1.

    Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, population (co)variances, mean over the three
    channels and over the window positions inside the image, no downsampling before: as the paper describes it, and as
    scikit-image computes it with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Not torchmetrics' function: that one averages over a reflected border too (0.003 away on a 512x512 photograph), is
    6e-5 off in float32 on nearly flat images, and takes half a minute per 1024x1024 image in float64 on a CPU.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W), both sides at least 11.
        reference: the same shape.

    Returns:
        float64, (B,).

    >>> import torch
    >>> images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> ssim(images, images)
    tensor([1., 1.], dtype=torch.float64)
    """
    return torch.cat([_ssim_one(x, y) for x, y in zip(images.split(1), reference.split(1), strict=True)])


def _ssim_one(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of (1, 3, H, W), (1,): images one by one, since the filtered maps of a large one fill the cache already."""
    x, y = x.double(), y.double()
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    var_x = _window_mean(x * x) - mean_x * mean_x
    var_y = _window_mean(y * y) - mean_y * mean_y
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (luminance * structure).flatten(1).mean(1)


def _window_mean(x: Tensor) -> Tensor:
    """Gaussian window mean where the window lies inside, (B, C, H, W) -> (B, C, H-10, W-10).

    Sums of shifted slices: PyTorch has no fast float64 convolution on CPUs.
    """
    taps = [math.exp(-((k - SSIM_WINDOW // 2) ** 2) / (2 * SSIM_SIGMA**2)) for k in range(SSIM_WINDOW)]
    total = sum(taps)
    for dim in (-1, -2):
        size = x.shape[dim] - SSIM_WINDOW + 1
        mean = x.narrow(dim, 0, size) * (taps[0] / total)
        for k in range(1, SSIM_WINDOW):
            mean.add_(x.narrow(dim, k, size), alpha=taps[k] / total)
        x = mean
    return x
