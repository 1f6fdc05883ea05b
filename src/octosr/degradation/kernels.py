"""Gaussian blur kernels as DAN draws them (Luo et al., NeurIPS 2020, arXiv:2010.02631).

Offsets are whole pixels from the centre, x along columns (to the right) and y along rows (downwards).
"""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.errors import ConfigError


def isotropic_kernels(sigma: Tensor, size: int) -> Tensor:
    """``k(x, y) ~ exp(-(x^2 + y^2) / (2 sigma^2))``.

    Args:
        sigma: standard deviations in HR pixels, positive, (B,).
        size: side l in pixels, odd.

    Returns:
        Kernels with unit sum, (B, l, l).

    Raises:
        ConfigError: the size is even or not positive.
    """
    x, y = _offsets(sigma, size)
    return _normalise(torch.exp(-(x**2 + y**2) / (2 * sigma[:, None, None] ** 2)))


def anisotropic_kernels(sigma_x: Tensor, sigma_y: Tensor, theta: Tensor, size: int) -> Tensor:
    """``k(v) ~ exp(-v' C^-1 v / 2)`` with ``C = R(theta) diag(sigma_x^2, sigma_y^2) R(theta)'``.

    Args:
        sigma_x: standard deviations along the axis at angle ``theta`` in HR pixels, positive, (B,).
        sigma_y: standard deviations across it, (B,).
        theta: angles in radians from +x towards +y, (B,).
        size: side l in pixels, odd.

    Returns:
        Kernels with unit sum, (B, l, l).

    Raises:
        ConfigError: the size is even or not positive.
    """
    x, y = _offsets(sigma_x, size)
    cos, sin = torch.cos(theta)[:, None, None], torch.sin(theta)[:, None, None]
    along = (cos * x + sin * y) / sigma_x[:, None, None]
    across = (cos * y - sin * x) / sigma_y[:, None, None]
    return _normalise(torch.exp(-(along**2 + across**2) / 2))


def disturb(kernels: Tensor, amount: float, uniform: Tensor) -> Tensor:
    """Multiply every tap by ``1 + amount * u`` and restore the unit sum.

    DAN's setting 2, after the kernels of DIV2KRK (KernelGAN: Bell-Kligler, Shocher & Irani, NeurIPS 2019,
    arXiv:1909.06581).

    Args:
        kernels: (B, l, l).
        amount: the largest relative change, 0.25 in DAN's setting 2.
        uniform: numbers in [0, 1), (B, l, l).
    """
    return _normalise(kernels * (1 + amount * uniform))


def dirac_kernels(count: int, size: int, device: torch.device | None = None) -> Tensor:
    """``count`` kernels that change nothing: one at the centre, zero elsewhere, float64, (count, l, l)."""
    check_size(size)
    kernels = torch.zeros(count, size, size, dtype=torch.float64, device=device)
    kernels[:, size // 2, size // 2] = 1
    return kernels


def check_size(size: int) -> None:
    """Raise ConfigError unless a kernel of this side has a centre pixel."""
    if size < 1 or size % 2 == 0:
        raise ConfigError(
            f"degradation.kernel_size must be odd and positive, not {size}: an even kernel has no centre pixel "
            "and would shift the LR image by half a pixel."
        )


def _offsets(like: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """x (1, 1, l) and y (1, l, 1), in the dtype and on the device of ``like``."""
    check_size(size)
    line = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
    return line[None, None, :], line[None, :, None]


def _normalise(kernels: Tensor) -> Tensor:
    return kernels / kernels.sum((1, 2), keepdim=True)
