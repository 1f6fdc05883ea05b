"""Fidelity to a reference image in decibels, in float64: to the true HR image, or to the LR image it was made from."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

COLOR_SPACES = ("rgb", "y")
Y_WEIGHTS = (65.481, 128.553, 24.966)
Y_OFFSET = 16.0


def y_channel(images: Tensor) -> Tensor:
    """Luma of limited range, as papers on super-resolution report it (ITU-R BT.601, MATLAB's ``rgb2ycbcr``).

    Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255 with R, G, B in [0, 1]: 16/255 for black, 235/255 for white. Not
    rounded to 8 bits (MATLAB rounds where its input is 8-bit; the figures then differ in the third decimal).

    Args:
        images: float RGB in [0, 1], (B, 3, H, W).

    Returns:
        float64, (B, 1, H, W).

    >>> import torch
    >>> (y_channel(torch.ones(1, 3, 1, 1)) * 255).round(decimals=6)
    tensor([[[[235.]]]], dtype=torch.float64)
    """
    red, green, blue = images.double().unbind(1)
    r, g, b = Y_WEIGHTS
    return ((red * r + green * g + blue * b + Y_OFFSET) / 255).unsqueeze(1)


def compared_part(images: Tensor, color_space: str = "rgb", crop_border: int = 0) -> Tensor:
    """What of an image is compared: its inner part, in RGB or as luma.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W).
        color_space: ``rgb``, or ``y`` for :func:`y_channel`.
        crop_border: pixels cut off at each of the four sides; papers cut off as many as the scale.

    Returns:
        float64, (B, 3 or 1, H - 2 crop_border, W - 2 crop_border).

    Raises:
        ValueError: no such colour space, or nothing is left.

    >>> import torch
    >>> compared_part(torch.zeros(2, 3, 32, 24), "y", crop_border=8).shape
    torch.Size([2, 1, 16, 8])
    """
    if color_space not in COLOR_SPACES:
        raise ValueError(f"color_space is one of {', '.join(COLOR_SPACES)}, not '{color_space}'.")
    height, width = images.shape[-2:]
    if not 0 <= 2 * crop_border < min(height, width):
        raise ValueError(f"crop_border={crop_border} leaves nothing of images of {width}x{height} pixels.")
    inner = images[..., crop_border : height - crop_border, crop_border : width - crop_border]
    return inner.double() if color_space == "rgb" else y_channel(inner)


def psnr(images: Tensor, reference: Tensor, *, color_space: str = "rgb", crop_border: int = 0) -> Tensor:
    """Peak signal-to-noise ratio in dB of each image over all pixels and channels; higher is better.

    The peak is 1 (255 in 8 bits) for luma too, though it spans 219/255 only: the convention of the field.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W).
        reference: the same shape.
        color_space: see :func:`compared_part`.
        crop_border: see :func:`compared_part`.

    Returns:
        float64, (B,); ``inf`` where image and reference are identical.

    >>> import torch
    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1)).round(decimals=4)
    tensor([20.], dtype=torch.float64)
    """
    x, y = (compared_part(part, color_space, crop_border) for part in (images, reference))
    return peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3)).reshape(len(images))


def back_to_lr(images: Tensor, height: int, width: int) -> Tensor:
    """Shrink images with antialiased bicubic interpolation, the way LR images are made from HR images.

    Keys' cubic kernel with a = -0.5, widened by the factor, weights normalised at the border: Pillow's ``BICUBIC`` and
    MATLAB's ``imresize`` (which mirrors at the border instead). Cut to [0, 1] as an 8-bit file would be, not rounded.

    Args:
        images: float RGB in [0, 1], (B, 3, H, W).
        height: of the result, at most H.
        width: of the result, at most W.

    Returns:
        float64, (B, 3, height, width).

    >>> import torch
    >>> back_to_lr(torch.full((1, 3, 16, 16), 0.5), 2, 2).unique().round(decimals=12)
    tensor([0.5000], dtype=torch.float64)
    """
    small = F.interpolate(images.double(), size=(height, width), mode="bicubic", align_corners=False, antialias=True)
    return small.clamp(0, 1)


def lr_consistency(images: Tensor, lr: Tensor) -> Tensor:
    """PSNR in dB between each image brought back to LR size (:func:`back_to_lr`) and the LR image it was made from.

    How much of the LR image a result keeps, whatever it invents beyond; higher is better. It needs no HR reference, and
    it cannot say that a result is good: bicubic interpolation, which invents nothing, scores high. Two bounds to read
    it by: the rounding of an 8-bit LR image alone allows 58.9 dB, and where the LR image was made by another
    degradation than bicubic shrinking (a blur kernel, noise) the true HR image is not perfectly consistent with it.
    (Lugmayr et al.: SRFlow, ECCV 2020, table 2, and NTIRE 2021 call it LR-PSNR.)

    Args:
        images: float RGB in [0, 1], (B, 3, s h, s w).
        lr: the LR images, (B, 3, h, w).

    Returns:
        float64, (B,); ``inf`` where the two are identical.

    >>> import torch
    >>> lr = torch.full((1, 3, 2, 2), 0.5)
    >>> lr_consistency(torch.full((1, 3, 16, 16), 0.6), lr).round(decimals=4)
    tensor([20.], dtype=torch.float64)
    """
    return psnr(back_to_lr(images, *lr.shape[-2:]), lr)
