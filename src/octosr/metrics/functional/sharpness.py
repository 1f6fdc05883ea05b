"""How sharp an image is, by three measures of its 8-bit grey version that look at nothing but the image.

None of them says how good an image is: noise, ringing and invented texture raise them as real detail does.

All sums are sums of integers, so the values do not depend on the order of summation: a batch of N gives bit for bit
what N single images give, on any device and with any number of threads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GREY_WEIGHTS = (9798, 19235, 3735)
"""Weights of R, G and B in 1/32768: BT.601 luma as OpenCV's ``cvtColor`` rounds it for 8-bit images."""


def grey(images: Tensor) -> Tensor:
    """8-bit grey images, bit for bit those of OpenCV's ``cvtColor(..., COLOR_BGR2GRAY)``.

    0.299 R + 0.587 G + 0.114 B in 15-bit fixed point, rounded half up. (OpenCV's ``imread(..., IMREAD_GRAYSCALE)``
    leaves the conversion of a PNG to libpng, which cuts off the fraction: half of all colours come out one level
    darker, which hardly moves a standard deviation.)

    Args:
        images: float RGB in [0, 1], (B, 3, H, W); brought to 8 bits first (rounded half to even).

    Returns:
        int32, (B, H, W), 0 to 255.

    >>> grey(torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1))
    tensor([[[76]]], dtype=torch.int32)
    """
    red, green, blue = (images.clamp(0, 1) * 255).round().int().unbind(1)
    r, g, b = GREY_WEIGHTS
    return (red * r + green * g + blue * b + (1 << 14)) >> 15


def rms_contrast(images: Tensor) -> Tensor:
    """Root mean square contrast: population standard deviation of all pixels of the 8-bit grey image.

    What the blind super-resolution study of Santiago Junior (2023) calls sharpness ("maximum overall contrast"). It
    knows nothing of edges: shuffling the pixels leaves it unchanged. (Peli: Contrast in complex images, JOSA A 7(10),
    1990.)

    Args:
        images: float RGB in [0, 1], (B, 3, H, W).

    Returns:
        float64, (B,), in grey levels, 0 (constant) to 127.5 (half black, half white).

    >>> rms_contrast(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2).expand(1, 3, 4, 2))
    tensor([127.5000], dtype=torch.float64)
    """
    return _variance(grey(images)).sqrt()


def laplacian_variance(images: Tensor) -> Tensor:
    """Population variance of the Laplacian of the 8-bit grey image.

    Pech-Pacheco et al.: Diatom autofocusing in brightfield microscopy (ICPR 2000). The Laplacian is the
    five-point one, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], over all pixels with the border reflected without repeating the
    outermost pixel: ``cv2.Laplacian(grey, cv2.CV_64F).var()`` with OpenCV's defaults.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W), both sides at least 2.

    Returns:
        float64, (B,), in squared grey levels, 0 or more.

    >>> laplacian_variance(torch.full((1, 3, 8, 8), 0.5))
    tensor([0.], dtype=torch.float64)
    """
    x = _reflected(grey(images))
    centre = x[:, 1:-1, 1:-1]
    return _variance(x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * centre)


def tenengrad(images: Tensor) -> Tensor:
    """Gradient energy (Tenengrad without threshold): mean of gx^2 + gy^2 over all pixels of the 8-bit grey image.

    gx and gy are the 3x3 Sobel derivatives, not divided by 8, with the border reflected without repeating the outermost
    pixel: ``cv2.Sobel(grey, cv2.CV_64F, 1, 0)`` and ``(0, 1)`` with OpenCV's defaults. (Krotkov: Focusing, IJCV 1,
    1987, sums over the pixels above a threshold; the mean without one, as in Pertuz et al., Pattern Recognition 46(5),
    2013, GRA6, does not grow with the image.)

    Args:
        images: float RGB in [0, 1], (B, 3, H, W), both sides at least 2.

    Returns:
        float64, (B,), in squared grey levels, 0 or more.

    >>> ramp = (torch.arange(5) / 255).expand(1, 3, 5, 5)  # one level a pixel: gx = 8 but at the two border columns
    >>> tenengrad(ramp)
    tensor([38.4000], dtype=torch.float64)
    """
    x = _reflected(grey(images))
    down = x[:, :-2] + 2 * x[:, 1:-1] + x[:, 2:]  # smoothed along columns
    across = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    gx, gy = down[..., 2:] - down[..., :-2], across[:, 2:] - across[:, :-2]
    energy = (gx * gx + gy * gy).flatten(1)
    return energy.sum(1, dtype=torch.int64).double() / energy.shape[1]


def _reflected(x: Tensor) -> Tensor:
    """A border of one pixel that mirrors the second row and column: (B, H, W) -> (B, H+2, W+2)."""
    return F.pad(x.unsqueeze(1).double(), (1, 1, 1, 1), mode="reflect").squeeze(1).int()


def _variance(values: Tensor) -> Tensor:
    """Population variance of int32 (B, H, W), float64 (B,): by exact sums of the distances from a whole number."""
    values = values.flatten(1)
    count = values.shape[1]
    middle = torch.div(values.sum(1, dtype=torch.int64), count, rounding_mode="floor").int()
    values = values - middle[:, None]  # keeps the squares small: nothing is lost where the variance is
    total, squares = values.sum(1, dtype=torch.int64), (values * values).sum(1, dtype=torch.int64)
    return squares.double() / count - (total.double() / count) ** 2
