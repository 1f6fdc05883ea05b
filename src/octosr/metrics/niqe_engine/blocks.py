"""Features of all blocks of a batch of images."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from octosr.cores import map_on_cores, on_one_core
from octosr.metrics.niqe_engine.arrays import as_array, as_tensor, empty
from octosr.metrics.niqe_engine.features import block_moments, features_of, fitted
from octosr.metrics.niqe_engine.float32 import settle
from octosr.metrics.niqe_engine.maps import RADIUS, bordered, halved, luma, mscn
from octosr.metrics.niqe_engine.variants import BLOCK, Variant

SIDES = (BLOCK, BLOCK // 2)
TASK_PIXELS = 1 << 18
"""Pixels that a core works on at once: few enough for its cache, enough to outweigh the calls."""
MAP_PIXELS = 1 << 17
"""Pixels of which a core holds all intermediate maps at once."""
TOGETHER = 8
"""Images whose coefficients are kept until the last bits of their features are settled: 37 MB of 1024x1024 pixels."""
GROUP_PIXELS = 1 << 23
"""Pixels worked on at once on an accelerator: about 2 GB."""


def image_features(
    images: Tensor, variant: Variant, color_space: str, crop_border: int = 0, sharpness: bool = True
) -> tuple[Tensor, Tensor]:
    """Features of all blocks of each image.

    On a CPU some rows of blocks at a time go through all steps, so that what a step writes is still in the cache when
    the next one reads it; each core has its own images, or rows of a single image. An accelerator takes whole images.

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
    results = []
    if images.device.type == "cpu":
        for some in window.split(TOGETHER):
            # Within the work on one image, map_on_cores finds one thread and does all itself.
            scales = map_on_cores(
                lambda image: _of_image(image, variant, color_space, sharpness), some.split(1), window.device
            )
            by_scale = [list(chain.from_iterable(images)) for images in zip(*scales, strict=True)]
            # The rest is so many short operations that cores would only wait for each other.
            results.append(on_one_core(partial(_features, by_scale, len(some), variant), window.device))
    else:
        group = max(1, GROUP_PIXELS // (height * width))
        for some in window.split(group):
            results.append(_features(_of_group(some, variant, color_space, sharpness), len(some), variant))
    features, deviations = (torch.cat(parts) for parts in zip(*results, strict=True))
    return features, deviations


def _of_image(image: Tensor, variant: Variant, color_space: str, sharpness: bool) -> list[list[Strips]]:
    """Both scales of one image, some rows of blocks at a time."""
    rows = image.shape[-2] // BLOCK
    scales = []
    for scale, side in zip(_pyramid(image, variant, color_space), SIDES, strict=True):
        together = max(1, TASK_PIXELS // (side * scale.shape[-1]))
        strips = [
            scale[:, row * side : min(row + together, rows) * side + 2 * RADIUS] for row in range(0, rows, together)
        ]
        wanted = sharpness and side == BLOCK
        work = partial(_strips, side=side, variant=variant, sharpness=wanted)
        scales.append(map_on_cores(work, strips, strips[0].device))
    return scales


def _of_group(images: Tensor, variant: Variant, color_space: str, sharpness: bool) -> list[list[Strips]]:
    """Both scales of whole images at once."""
    pyramid = zip(_pyramid(images, variant, color_space), SIDES, strict=True)
    return [[_strips(scale, side, variant, sharpness and side == BLOCK)] for scale, side in pyramid]


class Strips(NamedTuple):
    """What is known of N rows of blocks at one scale.

    Attributes:
        moments: float64 (N, columns, 5, 5).
        sharpness: float64 (N, columns), or (N, 0).
        coefficients: (N, columns, side, side).
    """

    moments: Tensor
    sharpness: Tensor
    coefficients: Tensor


def _features(scales: list[list[Strips]], images: int, variant: Variant) -> tuple[Tensor, Tensor]:
    """Features (B, blocks, 36) and sharpness (B, blocks) of all rows of blocks, those of an image after another's."""
    moments = [torch.cat([s.moments for s in strips]).unflatten(0, (images, -1)).flatten(1, 2) for strips in scales]
    fits = settle(
        fitted(torch.stack(moments, 2), SIDES, variant),
        [[s.coefficients for s in strips] for strips in scales],
        variant,
    )
    sharpness = torch.cat([s.sharpness for s in scales[0]])
    return features_of(fits, variant), sharpness.unflatten(0, (images, -1)).flatten(1)


def _pyramid(images: Tensor, variant: Variant, color_space: str) -> tuple[Tensor, Tensor]:
    full = luma(images, color_space, variant)
    return full, bordered(halved(full[:, RADIUS:-RADIUS, RADIUS:-RADIUS], variant), variant)


def _strips(scale: Tensor, side: int, variant: Variant, sharpness: bool) -> Strips:
    """Everything about a padded scale (B, H+6, W+6) of images or of single rows of blocks."""
    strips = as_array(scale.unfold(1, side + 2 * RADIUS, side).transpose(-1, -2).flatten(0, 1))
    width = strips.shape[-1] - 2 * RADIUS
    coefficients = empty(strips, (len(strips), width // side, side, side), variant.precision)
    # The maps of one step need more of the cache than the sums over blocks, so they are made of fewer rows at once.
    together = max(1, MAP_PIXELS // (side * width)) if scale.device.type == "cpu" else len(strips)
    deviations = [
        mscn(strips[start : start + together], side, variant, coefficients[start : start + together], sharpness)
        for start in range(0, len(strips), together)
    ]
    moments = as_tensor(block_moments(coefficients))
    means = moments.new_empty(len(strips), 0)
    if sharpness:
        columns = torch.cat([as_tensor(deviation).sum(-2, dtype=torch.float64) for deviation in deviations])
        means = columns.unflatten(-1, (-1, side)).sum(-1) / side**2
    return Strips(moments, means, as_tensor(coefficients))
