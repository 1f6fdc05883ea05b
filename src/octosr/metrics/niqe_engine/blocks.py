"""Features of all blocks of a batch of images."""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.cores import map_on_cores, on_one_core
from octosr.metrics.niqe_engine.features import Strips, block_moments, features_of, fitted
from octosr.metrics.niqe_engine.filters import RADIUS
from octosr.metrics.niqe_engine.float32 import settle
from octosr.metrics.niqe_engine.maps import bordered, halved, luma, mscn
from octosr.metrics.niqe_engine.variants import BLOCK, Variant

SIDES = (BLOCK, BLOCK // 2)
GROUP_PIXELS = 1 << 23
"""Pixels worked on at once on an accelerator: about 2 GB."""


def image_features(
    images: Tensor, variant: Variant, color_space: str, crop_border: int = 0, sharpness: bool = True
) -> tuple[Tensor, Tensor]:
    """Features of all blocks of each image.

    On a CPU compiled loops take one row of blocks at a time through all steps, so that what a step writes is still in
    the cache when the next one reads it; each core has its own images, or rows of a single image. An accelerator takes
    whole images, as tensors.

    Args:
        images: float32 RGB in [0, 1], (B, 3, H, W), both sides at least 96 after cropping.
        variant: what is computed.
        color_space: see :func:`octosr.metrics.niqe_engine.maps.luma`.
        crop_border: pixels cut off at each side first.
        sharpness: whether that of the blocks is wanted.

    Returns:
        features, float64 (B, blocks, 36), blocks row by row; and sharpness, the mean local deviation of each block
        at full size, float64 (B, blocks), or (B, 0) if it is not wanted.
    """
    rows, columns = ((size - 2 * crop_border) // BLOCK for size in images.shape[-2:])
    height, width = rows * BLOCK, columns * BLOCK
    window = images[..., crop_border : crop_border + height, crop_border : crop_border + width]
    if images.device.type == "cpu":
        # Within the work on one image, map_on_cores finds one thread and does all itself.
        results = map_on_cores(
            lambda image: _of_image(image, variant, color_space, sharpness), list(window), window.device
        )
    else:
        parts = window.split(max(1, GROUP_PIXELS // (height * width)))
        results = [
            _features(_with_tensors(some, variant, color_space, sharpness), len(some), variant) for some in parts
        ]
    features, deviations = (torch.cat(parts) for parts in zip(*results, strict=True))
    return features, deviations


def _of_image(image: Tensor, variant: Variant, color_space: str, sharpness: bool) -> tuple[Tensor, Tensor]:
    """Features and sharpness of one image (3, H, W) on the CPU."""
    from octosr.metrics.niqe_engine.cpu import image_strips  # here, since it imports Numba

    scales = image_strips(image, SIDES, variant, color_space, sharpness)
    # The rest is so many short operations that cores would only wait for each other.
    return on_one_core(lambda: _features(scales, 1, variant), image.device)


def _with_tensors(images: Tensor, variant: Variant, color_space: str, sharpness: bool) -> list[Strips]:
    """Both scales of whole images at once."""
    full = luma(images, color_space, variant)
    half = bordered(halved(full[:, RADIUS:-RADIUS, RADIUS:-RADIUS], variant), variant)
    return [
        _strips(scale, side, variant, sharpness and side == BLOCK)
        for scale, side in zip((full, half), SIDES, strict=True)
    ]


def _strips(scale: Tensor, side: int, variant: Variant, sharpness: bool) -> Strips:
    """Everything about a padded scale (B, H+6, W+6)."""
    strips = scale.unfold(1, side + 2 * RADIUS, side).transpose(-1, -2).flatten(0, 1)
    coefficients, deviation = (x.unflatten(-1, (-1, side)).transpose(1, 2) for x in mscn(strips, variant))
    means = deviation.double().mean((-2, -1)) if sharpness else deviation.new_empty(len(strips), 0).double()
    return Strips(block_moments(coefficients), means, coefficients)


def _features(scales: list[Strips], images: int, variant: Variant) -> tuple[Tensor, Tensor]:
    """Features (B, blocks, 36) and sharpness (B, blocks) of all rows of blocks, those of an image after another's."""
    moments = [strips.moments.unflatten(0, (images, -1)).flatten(1, 2) for strips in scales]
    fits = settle(fitted(torch.stack(moments, 2), SIDES, variant), [s.coefficients for s in scales], variant)
    return features_of(fits, variant), scales[0].sharpness.unflatten(0, (images, -1)).flatten(1)
