"""Features of all blocks of a batch of images."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from octosr.metrics.niqe_engine.features import block_moments, features_of, fitted
from octosr.metrics.niqe_engine.float32 import settle
from octosr.metrics.niqe_engine.maps import RADIUS, halved, luma, mscn, padded
from octosr.metrics.niqe_engine.variants import BLOCK, Variant
from octosr.metrics.niqe_engine.workers import each

SIDES = (BLOCK, BLOCK // 2)
TASK_PIXELS = 1 << 17
"""Pixels that a core works on at once: few enough for its cache, enough to outweigh the calls."""
GROUP_PIXELS = 1 << 23
"""Pixels worked on at once on an accelerator: about 2 GB."""


def image_features(images: Tensor, variant: Variant, color_space: str, crop_border: int = 0) -> tuple[Tensor, Tensor]:
    """Features of all blocks of each image.

    On a CPU some rows of blocks at a time go through all steps, so that what a step writes is still in the cache when
    the next one reads it; each core has its own images, or rows of a single image. An accelerator takes whole images.

    Args:
        images: float32 RGB in [0, 1], (B, 3, H, W), both sides at least 96 after cropping.
        variant: what is computed.
        color_space: see :func:`octosr.metrics.niqe_engine.maps.luma`.
        crop_border: pixels cut off at each side first.

    Returns:
        features, float64 (B, blocks, 36), blocks row by row; and sharpness, the mean local deviation of each block
        at full size, float64 (B, blocks).
    """
    rows, columns = ((size - 2 * crop_border) // BLOCK for size in images.shape[-2:])
    height, width = rows * BLOCK, columns * BLOCK
    window = images[..., crop_border : crop_border + height, crop_border : crop_border + width]
    if images.device.type == "cpu":
        # Within the work on one image, each() finds one thread and does all itself.
        results = each(lambda image: _group(image, variant, color_space, by_row=True), window.split(1))
    else:
        group = max(1, GROUP_PIXELS // (height * width))
        results = [_group(part, variant, color_space, by_row=False) for part in window.split(group)]
    features, sharpness = (torch.cat(parts) for parts in zip(*results, strict=True))
    return features, sharpness


def _group(images: Tensor, variant: Variant, color_space: str, by_row: bool) -> tuple[Tensor, Tensor]:
    """Features (B, blocks, 36) and sharpness (B, blocks)."""
    if by_row:
        scales = _by_row(images, variant, color_space)
    else:
        pyramid = _pyramid(images, variant, color_space)
        scales = [_strips(scale, side, variant) for scale, side in zip(pyramid, SIDES, strict=True)]
    moments, coefficients = [], []
    for scale in scales:  # (B * rows, columns, ...) -> (B, blocks, ...)
        moments.append(scale.moments.unflatten(0, (len(images), -1)).flatten(1, 2))
        coefficients.append(scale.coefficients.unflatten(0, (len(images), -1)).flatten(1, 2))
    fits = fitted(torch.stack(moments, 2), SIDES, variant)
    features = features_of(settle(fits, coefficients, variant), variant)
    return features, scales[0].sharpness.unflatten(0, (len(images), -1)).flatten(1)


class Strips(NamedTuple):
    """What is known of N rows of blocks at one scale.

    Attributes:
        moments: float64 (N, columns, 5, 5).
        sharpness: float64 (N, columns).
        coefficients: float32 (N, columns, side, side) of variants that round to float32, else empty (N, columns, 0).
    """

    moments: Tensor
    sharpness: Tensor
    coefficients: Tensor


def _by_row(images: Tensor, variant: Variant, color_space: str) -> list[Strips]:
    pyramids = each(lambda image: _pyramid(image, variant, color_space), images.split(1))
    rows = images.shape[-2] // BLOCK
    scales = []
    for scale, side in enumerate(SIDES):
        together = max(1, TASK_PIXELS // (side * pyramids[0][scale].shape[-1]))
        starts = range(0, rows, together)
        strips = [
            pyramid[scale][:, row * side : min(row + together, rows) * side + 2 * RADIUS]
            for pyramid in pyramids
            for row in starts
        ]
        found = each(partial(_strips, side=side, variant=variant), strips)
        scales.append(Strips(*(torch.cat(parts) for parts in zip(*found, strict=True))))
    return scales


def _pyramid(images: Tensor, variant: Variant, color_space: str) -> tuple[Tensor, Tensor]:
    y = luma(images, color_space, variant)
    return padded(y, variant), padded(halved(y, variant), variant)


def _strips(scale: Tensor, side: int, variant: Variant) -> Strips:
    """Everything about a padded scale (B, H+6, W+6) of images or of single rows of blocks."""
    strips = scale.unfold(1, side + 2 * RADIUS, side).transpose(-1, -2).flatten(0, 1)
    coefficients, deviation = mscn(strips, variant)
    sharpness = deviation.sum(-2, dtype=torch.float64).unflatten(-1, (-1, side)).sum(-1) / side**2
    blocks = coefficients.unflatten(-1, (-1, side)).transpose(1, 2)
    kept = blocks[:, :, :0, 0] if variant.rounding == "never" else blocks.contiguous()
    return Strips(block_moments(coefficients, side), sharpness, kept)
