"""Mean and covariance of block features, and how far they are from those of pristine images."""

from __future__ import annotations

import torch
from torch import Tensor


def usable_blocks(features: Tensor) -> Tensor:
    """Which blocks have all features, bool, (B, blocks)."""
    return ~features.isnan().any(-1)


def fit(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of each image's blocks.

    Args:
        features: float64, (B, blocks, F), NaN where a block lacks a feature.

    Returns:
        mean (B, F) of what is there of each feature; covariance (B, F, F) over the blocks that have all features, 0 if
        that is one block. NaN where there is nothing to average.
    """
    mean = features.nanmean(1)
    usable = usable_blocks(features)[..., None]
    count = usable.sum(1, keepdim=True).to(features.dtype)
    values = torch.where(usable, features, 0.0)
    values = torch.where(usable, values - values.sum(1, keepdim=True) / count, 0.0)
    return mean, values.mT @ values / (count - 1).clamp_min(1)


def distance(mean: Tensor, covariance: Tensor, pristine: tuple[Tensor, Tensor], rtol: float | None = None) -> Tensor:
    """Distance between two Gaussians (eq. 10 of the paper), (B,); NaN where the covariance is not finite.

    Args:
        mean: (B, F).
        covariance: (B, F, F).
        pristine: mean (F,) and covariance (F, F) of pristine images.
        rtol: singular values below this part of the largest count as 0; None: F times the float64 epsilon.
    """
    pristine_mean, pristine_covariance = pristine
    average = (pristine_covariance + covariance) / 2
    known = average.isfinite().all(-1).all(-1) & mean.isfinite().all(-1)
    average = torch.where(known[:, None, None], average, torch.eye(len(pristine_mean)).to(average))
    difference = (pristine_mean - mean)[:, None]
    squared = difference @ torch.linalg.pinv(average, rtol=rtol) @ difference.mT
    return torch.where(known, squared.reshape(-1).sqrt(), torch.nan)
