"""Structural similarity to a reference image, at one scale and at five, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.metrics.functional.fidelity import compared_part

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first (Wang et al. 2003, sec. 3.2)."""
MS_SSIM_SIDE = SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
"""Smallest side in pixels: one window at the coarsest scale, 176."""


def ssim(images: Tensor, reference: Tensor, *, color_space: str = "rgb", crop_border: int = 0) -> Tensor:
    """Structural similarity of each image (Wang et al., IEEE TIP 13(4), 2004, eq. 13); higher is better, at most 1.

    Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, population (co)variances, mean over the
    channels and over the window positions inside the image, no downsampling before: as the paper describes it, and as
    scikit-image computes it with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    Not torchmetrics' function: that one averages over a reflected border too (0.003 away on a 512x512 photograph), is
    6e-5 off in float32 on nearly flat images, and takes half a minute per 1024x1024 image in float64 on a CPU.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W), both sides at least 11 after the crop.
        reference: the same shape.
        color_space: ``rgb``, or ``y`` for the luma of :func:`octosr.metrics.functional.y_channel`.
        crop_border: pixels cut off at each side first.

    Returns:
        float64, (B,).

    >>> import torch
    >>> images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> ssim(images, images)
    tensor([1., 1.], dtype=torch.float64)
    """

    def one(x: Tensor, y: Tensor) -> Tensor:
        luminance, structure = _similarity_maps(x, y)
        return _mean(luminance * structure)

    return _image_by_image(one, images, reference, color_space, crop_border)


def ms_ssim(images: Tensor, reference: Tensor, *, color_space: str = "rgb", crop_border: int = 0) -> Tensor:
    """Multi-scale structural similarity (Wang et al., Asilomar 2003, eq. 7); higher is better, at most 1.

    The maps of :func:`ssim` at five scales, halved by 2x2 means: the contrast-structure term of the four finer ones and
    the whole index of the coarsest, each averaged over channels and window positions inside the image, raised to its
    weight (0.0448, 0.2856, 0.3001, 0.2363, 0.1333) and multiplied. A negative mean counts as 0.

    The same as torchmetrics' function but for the coarsest scale, where torchmetrics averages over a reflected border
    too: on a 256x256 image all but 36 of the 256 positions it averages. (Its float64 convolutions also take some 50
    times as long on a CPU.)

    Args:
        images: float RGB in [0, 1], (B, 3, H, W), both sides at least 176 after the crop.
        reference: the same shape.
        color_space: ``rgb``, or ``y`` for the luma of :func:`octosr.metrics.functional.y_channel`.
        crop_border: pixels cut off at each side first.

    Returns:
        float64, (B,).

    >>> import torch
    >>> images = torch.rand(1, 3, 176, 176, generator=torch.Generator().manual_seed(0))
    >>> ms_ssim(images, images)
    tensor([1.], dtype=torch.float64)
    """

    def one(x: Tensor, y: Tensor) -> Tensor:
        product = x.new_ones(1)
        for weight in MS_SSIM_WEIGHTS[:-1]:
            product = product * _mean(_similarity_maps(x, y)[1]).clamp(min=0) ** weight
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        luminance, structure = _similarity_maps(x, y)
        return product * _mean(luminance * structure).clamp(min=0) ** MS_SSIM_WEIGHTS[-1]

    return _image_by_image(one, images, reference, color_space, crop_border)


def _image_by_image(
    one: Callable[[Tensor, Tensor], Tensor], images: Tensor, reference: Tensor, color_space: str, crop_border: int
) -> Tensor:
    """Images one by one, since the filtered maps of a large one fill the cache already."""
    pairs = zip(images.split(1), reference.split(1), strict=True)
    return torch.cat([one(*(compared_part(part, color_space, crop_border) for part in pair)) for pair in pairs])


def _similarity_maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, of float64 (B, C, H, W), each (B, C, H-10, W-10)."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    var_x = _window_mean(x * x) - mean_x * mean_x
    var_y = _window_mean(y * y) - mean_y * mean_y
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x * mean_x + mean_y * mean_y + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return luminance, structure


def _mean(maps: Tensor) -> Tensor:
    return maps.flatten(1).mean(1)


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
