"""Where an image tells most about its blur: maps of its gradients, and crops chosen by them.

The map is the one of KernelGAN (Bell-Kligler, Shocher & Irani, NeurIPS 2019, arXiv:1909.06581) that MoESR samples its
fine-tuning crops by, vectorised over images and defined for flat ones. BlindSR searches for the kernel on such crops.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_GRAY = (0.299, 0.587, 0.114)
_WINDOW = 5
_QUANTILE = 0.97


def gradient_maps(images: Tensor) -> Tensor:
    """How much gradient there is around each pixel, mean 1.

    Of |gx| and |gy| only what exceeds the 97th percentile counts, cut off a step above it; the magnitude counts as it
    is (its cut version is computed and left unused by the public code, and KernelGAN's). An image without any gradient
    gets the same value everywhere, where the public code divides zero by zero.

    Args:
        images: (B, 3, H, W), both sides at least 2.

    Returns:
        float64, (B, H, W).
    """
    gray = torch.einsum("bchw,c->bhw", images.double(), torch.tensor(_GRAY, dtype=torch.float64, device=images.device))
    gy, gx = torch.gradient(gray, dim=(1, 2))
    parts = [_inner(part, _WINDOW) for part in (gx.abs(), gy.abs(), torch.hypot(gx, gy))]
    maps = [_excess(parts[0]), _excess(parts[1]), parts[2]]
    total = torch.zeros_like(gray)
    for part in maps:
        mass = part.sum((1, 2), keepdim=True)
        total += torch.where(mass > 0, part / mass.where(mass > 0, torch.ones_like(mass)), torch.zeros_like(part))
    total = box_mean(total, _WINDOW)
    mean = total.mean((1, 2), keepdim=True)
    return torch.where(mean > 0, total / mean.where(mean > 0, torch.ones_like(mean)), torch.ones_like(total))


def centre_probabilities(maps: Tensor, side: int) -> Tensor:
    """The probability of each pixel to be the centre of a crop of ``side`` pixels, float64, (B, H, W).

    Zero where such a crop would leave the image; uniform where nothing else is left.
    """
    summed = _inner(box_mean(maps, max(side // 2, 1)), side // 2)
    mass = summed.sum((1, 2), keepdim=True)
    uniform = torch.full_like(summed, 1 / summed[0].numel())
    return torch.where(mass > 0, summed / mass.where(mass > 0, torch.ones_like(mass)), uniform)


def corners(centres: Tensor, side: int, height: int, width: int) -> Tensor:
    """Top-left corners (..., 2) of crops inside the image from flat positions of centres (...); even, as published."""
    row, column = centres // width - side // 2, centres % width - side // 2
    row, column = row.clamp(0, height - side), column.clamp(0, width - side)
    return torch.stack((row - row % 2, column - column % 2), -1)


def cut(images: Tensor, tops_lefts: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Cut crops, several from each image.

    Args:
        images: (B, C, H, W).
        tops_lefts: int64, (B, T, 2).
        size: side of the crops, or height and width.

    Returns:
        (B, T, C, height, width).
    """
    height, width = (size, size) if isinstance(size, int) else size
    rows = tops_lefts[..., 0, None] + torch.arange(height, device=images.device)
    columns = tops_lefts[..., 1, None] + torch.arange(width, device=images.device)
    batch = torch.arange(len(images), device=images.device)[:, None, None, None]
    found = images.permute(0, 2, 3, 1)[batch, rows[..., :, None], columns[..., None, :]]
    return found.permute(0, 1, 4, 2, 3)


def informative_crops(images: Tensor, side: int, count: int) -> Tensor:
    """The crops at :func:`informative_corners`, (B, count, 3, side, side)."""
    return cut(images, informative_corners(images, side, count), side)


def informative_corners(images: Tensor, side: int, count: int) -> Tensor:
    """Where the crops with most gradient lie, greedily, centres at least half a crop apart as long as there are such.

    Args:
        images: (B, 3, H, W), both sides at least ``side``.
        side: side of the crops.
        count: crops an image.

    Returns:
        int64, top-left corners (B, count, 2); always the same for the same image, whatever else is in the batch.
    """
    content = F.avg_pool2d(gradient_maps(images)[:, None], side, stride=1)[:, 0]
    rows = torch.arange(content.shape[1], device=images.device)[None, :, None]
    columns = torch.arange(content.shape[2], device=images.device)[None, None, :]
    chosen = []
    left = content.clone()
    for _ in range(count):
        # Where every place is near a chosen one, the rest is ranked by content alone.
        used_up = (left < 0).flatten(1).all(1)[:, None, None]
        left = torch.where(used_up, content, left)
        best = left.flatten(1).argmax(1)
        top, column = best // content.shape[2], best % content.shape[2]
        chosen.append(torch.stack((top, column), -1))
        near = ((rows - top[:, None, None]).abs() < side // 2) & ((columns - column[:, None, None]).abs() < side // 2)
        left = torch.where(near, torch.full_like(left, -1.0), left)
    return torch.stack(chosen, 1)


def box_mean(maps: Tensor, side: int) -> Tensor:
    """Mean over a box, zero outside; an even box reaches one pixel further to the top left. (B, H, W)."""
    before, after = side // 2, (side - 1) // 2
    return F.avg_pool2d(F.pad(maps[:, None], (before, after, before, after)), side, stride=1)[:, 0]


def _inner(maps: Tensor, edge: int) -> Tensor:
    """Zero in a rim of ``edge`` pixels."""
    kept = torch.zeros_like(maps)
    height, width = maps.shape[1:]
    inside = (slice(None), slice(edge, max(height - edge, edge)), slice(edge, max(width - edge, edge)))
    kept[inside] = maps[inside]
    return kept


def _excess(maps: Tensor) -> Tensor:
    """What exceeds the 97th percentile, at most up to the next larger value."""
    ordered = maps.flatten(1).sort(1).values
    pivot = int(_QUANTILE * ordered.shape[1])
    low = ordered[:, pivot]
    following = ordered[:, min(pivot + 1, ordered.shape[1] - 1)]
    high = torch.where(following > low, following, low + 1e-5)
    low, high = low[:, None, None], high[:, None, None]
    return torch.minimum(torch.maximum(maps, low), high) - low
