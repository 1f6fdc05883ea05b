"""Blur and shrink in one step, with the LR grid where every common benchmark has it.

``LR = (HR * k)`` at every s-th pixel, without padding: the degradation of MoESR (Emad, Peemen & Corporaal, WACV 2022)
and of the kernel-estimation literature since KernelGAN (arXiv:1909.06581). Pixel j of the LR image then sits at HR
coordinate ``s*j + (s-1)/2``, the grid of bicubic resizing, if the kernel's mean is moved from the centre pixel by
``(s-1)/2`` and its side is ``K = 2*m*s + 1``: an HR image of side H gives H/s - 2m LR pixels, the same as those of
the whole LR image but for a rim of m.

A Gaussian is given by (lambda_1, lambda_2, theta): the variances in HR pixels squared along the direction at angle
theta from +x (right) towards +y (down), and across it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.errors import ConfigError


def margin(size: int, scale: int) -> int:
    """The m of ``K = 2*m*s + 1``: how many LR pixels a side are lost.

    Raises:
        ConfigError: the size is not of that form.

    >>> margin(13, 2), margin(33, 4), margin(81, 8)
    (3, 4, 5)
    """
    if size < 2 * scale + 1 or (size - 1) % (2 * scale):
        raise ConfigError(
            f"a kernel of {size} pixels shifts the x{scale} LR image: its side must be {2 * scale}*m + 1, "
            f"for example {2 * scale * 4 + 1}."
        )
    return (size - 1) // (2 * scale)


def covariances(parameters: Tensor) -> Tensor:
    """``R(theta) diag(lambda_1, lambda_2) R(theta)'`` in the order (x, y): (B, 3) to (B, 2, 2)."""
    first, second, theta = parameters.unbind(-1)
    cos, sin = theta.cos(), theta.sin()
    xx = first * cos**2 + second * sin**2
    yy = first * sin**2 + second * cos**2
    xy = (first - second) * sin * cos
    return torch.stack((xx, xy, xy, yy), -1).unflatten(-1, (2, 2))


def parameters_of(covariance: Tensor) -> Tensor:
    """(lambda_1, lambda_2, theta) of covariances (B, 2, 2), lambda_1 the larger and theta in [0, pi); (B, 3)."""
    xx, yy, xy = covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]
    mean, half = (xx + yy) / 2, (xx - yy) / 2
    radius = torch.hypot(half, xy)
    theta = torch.remainder(torch.atan2(xy, half) / 2, torch.pi)
    return torch.stack((mean + radius, mean - radius, theta), -1)


def aligned_kernels(parameters: Tensor, size: int, scale: int) -> Tensor:
    """Gaussian kernels whose mean is moved so that the LR image stays aligned.

    Args:
        parameters: (B, 3), see the module; the lambdas above 0.
        size: side K, see :func:`margin`.
        scale: the factor s.

    Returns:
        Unit sum, (B, K, K), dtype and device of ``parameters``.
    """
    margin(size, scale)
    precision = torch.linalg.inv(covariances(parameters))
    line = torch.arange(size, dtype=parameters.dtype, device=parameters.device) - (size // 2 + (scale - 1) / 2)
    x, y = line[None, None, :], line[None, :, None]
    xx, xy, yy = (precision[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
    kernels = torch.exp(-(xx * x * x + 2 * xy * x * y + yy * y * y) / 2)
    return kernels / kernels.sum((1, 2), keepdim=True)


def strided_blur(images: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """Correlate every image with its own kernel at every s-th pixel, without padding.

    Args:
        images: (B, C, H, W).
        kernels: (B, K, K).
        scale: the stride s.

    Returns:
        (B, C, (H-K)//s + 1, (W-K)//s + 1); differentiable by the images.
    """
    # Images become channels, so that one grouped convolution serves them all; never in half precision.
    with torch.autocast(images.device.type, enabled=False):
        shrunk = F.conv2d(images.transpose(0, 1), kernels[:, None].to(images.dtype), stride=scale, groups=len(images))
    return shrunk.transpose(0, 1)


def trim(images: Tensor, like: Tensor) -> Tensor:
    """The centre of images (..., H, W) of the size of ``like``; the differences of the sides must be even."""
    rows, columns = (a - b for a, b in zip(images.shape[-2:], like.shape[-2:], strict=True))
    if rows < 0 or columns < 0 or rows % 2 or columns % 2:
        raise ValueError(f"{tuple(like.shape[-2:])} pixels are not the centre of {tuple(images.shape[-2:])}")
    top, left = rows // 2, columns // 2
    return images[..., top : images.shape[-2] - top, left : images.shape[-1] - left]


def compose(inner: Tensor, outer: Tensor, scale: int) -> Tensor:
    """The one kernel of two reductions after each other: by ``scale`` with ``outer``, then with ``inner``.

    ``k = outer * (inner with scale-1 zeros between its taps)``: shrinking with k at the product of the factors is the
    same as shrinking twice. The covariances add up as ``outer + scale^2 inner``, hence 1 + 4 = 5 times one and the same
    Gaussian for x2 twice, and 1 + 4 + 16 = 21 for x2 three times.

    Args:
        inner: (B, l, l), of the second reduction.
        outer: (B, K, K), of the first, on the finest grid.
        scale: factor of the first.

    Returns:
        (B, K + (l-1)*scale, K + (l-1)*scale).
    """
    batch, taps = inner.shape[0], inner.shape[-1]
    spread = inner.new_zeros(batch, (taps - 1) * scale + 1, (taps - 1) * scale + 1)
    spread[:, ::scale, ::scale] = inner
    full = outer.shape[-1] - 1
    padded = F.pad(spread, (full, full, full, full))
    # conv2d correlates: the second kernel is turned to make it a convolution.
    return F.conv2d(padded[None], outer.flip(-2, -1)[:, None].to(inner.dtype), groups=batch)[0]
