"""DiffAugment with the policy ``color,translation`` (Zhao et al., NeurIPS 2020), differentiable and per image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NUMBERS = 5
"""Uniform numbers an image needs: brightness, saturation, contrast, shift down, shift right."""
SHIFT = 0.125


def augment(images: Tensor, numbers: Tensor) -> Tensor:
    """Change colours, then shift by whole pixels; what comes in from outside is 0, the middle grey.

    Always applied and never clamped, as in the public code.

    Args:
        images: (B, 3, S, S) in [-1, 1].
        numbers: uniform in [0, 1), (B, 5).
    """
    brightness, saturation, contrast = (numbers[:, i, None, None, None].to(images.dtype) for i in range(3))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    images = (images - mean) * (contrast + 0.5) + mean
    return translate(images, shifts(numbers[:, 3:], images.shape[-1]))


def shifts(numbers: Tensor, side: int) -> Tensor:
    """Whole pixels from -s to s, all equally likely, s an eighth of the side: uniform (B, 2) -> int64 (B, 2)."""
    most = int(SHIFT * side + 0.5)
    return (numbers * (2 * most + 1)).floor().long() - most


def translate(images: Tensor, offset: Tensor) -> Tensor:
    """Pixel (y, x) of a result is pixel (y + offset[0], x + offset[1]) of its image, or 0 outside.

    On a CPU by cutting each image and padding it; elsewhere by two gathers, since the host does not know the offsets
    and asking for them would make it wait.

    Args:
        images: (B, C, H, W).
        offset: int64, (B, 2).
    """
    if images.device.type == "cpu":
        pairs = zip(images.unbind(0), offset.tolist(), strict=True)
        return torch.stack([F.pad(image, (-x, x, -y, y)) for image, (y, x) in pairs])
    return translate_by_gather(images, offset)


def translate_by_gather(images: Tensor, offset: Tensor) -> Tensor:
    """:func:`translate` without knowing the offsets on the host."""
    for dim in (2, 3):
        size = images.shape[dim]
        index = torch.arange(size, device=images.device) + offset[:, dim - 2, None]
        shape = [len(images), 1, 1, 1]
        shape[dim] = size
        inside = ((index >= 0) & (index < size)).view(shape)
        index = index.clamp(0, size - 1).view(shape).expand_as(images)
        images = images.gather(dim, index) * inside
    return images
