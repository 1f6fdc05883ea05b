"""A distance of images that needs no weights: octave by octave, in units of what real images differ by.

An image is averaged down to 64 x 64 (less for smaller images) and split into the differences between neighbouring
levels of a pyramid of 2 x 2 means down to 4 x 4, and what is left there: an orthogonal split into octaves. The RMS of
each octave is divided by what it varies from image to image over the real images, so that every octave counts the same.
Without this the few coefficients of layout and colour, which natural images have most of their energy in, would be all
that counts; averaging to 64 x 64 leaves out what an enlarged 128 x 128 image does not have. The unit is then the real
images' own variation: two unrelated real images are about sqrt(2) apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_SIDE, SMALLEST_SIDE = 64, 4


def unit_range(images: Tensor) -> Tensor:
    """float32 in [0, 1], from the same or from uint8."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def pyramid_side(*sides: int) -> int:
    """The largest power of two, at most 64, that none of the sides is below.

    >>> pyramid_side(1024, 100), pyramid_side(48, 64)
    (64, 32)

    Raises:
        ValueError: images of less than 4 pixels.
    """
    least = min(sides)
    if least < SMALLEST_SIDE:
        raise ValueError(f"images of {least} pixels a side are too small to be compared: {SMALLEST_SIDE} are needed")
    return min(LARGEST_SIDE, 2 ** int(math.log2(least)))


def octaves(images: Tensor, side: int, batch: int = 16) -> list[Tensor]:
    """The octaves of images, fine to coarse.

    Args:
        images: RGB (N, 3, H, W), float in [0, 1] or uint8.
        side: power of two, at least 4 and at most H and W.
        batch: images averaged down at a time.

    Returns:
        float32 (N, 3 * s * s) for s = side, side / 2, ... 4. Their squares add up to those of the image averaged to
        side x side, each weighted by the number of pixels that its coefficients stand for.
    """
    level = torch.cat([F.adaptive_avg_pool2d(unit_range(part), side) for part in images.split(batch)])
    bands = []
    while level.shape[-1] > SMALLEST_SIDE:
        coarse = F.avg_pool2d(level, 2)
        bands.append((level - F.interpolate(coarse, scale_factor=2)).flatten(1))
        level = coarse
    return [*bands, level.flatten(1)]


@dataclass(frozen=True)
class PyramidScale:
    """What makes octaves comparable.

    Attributes:
        side: of the finest octave.
        spreads: for each octave the standard deviation from image to image, RMS over its coefficients.
    """

    side: int
    spreads: tuple[float, ...]


def pyramid_scale(bands: list[Tensor], side: int) -> PyramidScale:
    """The scale that a set of real images gives; see :func:`octaves` for ``bands``."""
    if len(bands[0]) < 2:
        return PyramidScale(side, (0.0,) * len(bands))
    return PyramidScale(side, tuple(float(band.double().var(0).mean().sqrt()) for band in bands))


def descriptors(bands: list[Tensor], scale: PyramidScale) -> Tensor:
    """One vector an image, (N, D) float64: the distance of two images is that of their vectors.

    An octave in which the real images do not differ at all is left out.
    """
    parts = [
        band.double() / (spread * math.sqrt(band.shape[1]))
        for band, spread in zip(bands, scale.spreads, strict=True)
        if spread > 1e-6
    ]
    if not parts:
        return bands[0].new_zeros(len(bands[0]), 1, dtype=torch.float64)
    return torch.cat(parts, 1) / math.sqrt(len(parts))
