"""NIQE, the natural image quality evaluator (Mittal et al., IEEE Signal Processing Letters 20(3), 2013)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from octosr.cores import on_one_core
from octosr.errors import ConfigError, nearest
from octosr.metrics.checks import UnscorableImageError, check_images, exact_arithmetic
from octosr.metrics.niqe_engine import gaussian
from octosr.metrics.niqe_engine.blocks import image_features
from octosr.metrics.niqe_engine.variants import BLOCK, FULL_RANK_BLOCKS, Variant, variant_named
from octosr.metrics.parameters import PristineModel, pristine_model

__all__ = ["BLOCK", "FULL_RANK_BLOCKS", "block_count", "niqe", "niqe_detailed"]


def niqe(
    images: Tensor,
    model: PristineModel | None = None,
    *,
    variant: str = "niqe",
    color_space: str | None = None,
    crop_border: int = 0,
) -> Tensor:
    """NIQE of each image; lower is better.

    The distance between the Gaussian of the image's 36 block features and that of pristine images (eq. 10 of the
    paper). The right and bottom remainder of the 96-pixel blocks is not looked at. The value depends on the size of the
    image: with fewer than :data:`FULL_RANK_BLOCKS` usable blocks (:func:`niqe_detailed`) the covariance of the
    image's features has not full rank.

    Args:
        images: float32 RGB in [0, 1], (B, 3, H, W), both sides at least 96 (``niqe_study``: 194) after cropping.
        model: model of pristine images; the one that belongs to the variant if not given.
        variant: ``niqe`` (the authors' algorithm, equal to pyiqa 0.1.16), ``niqe_study`` (equal to the code of Santiago
            Junior, AI 4(3), 2023, whose published scores it is for; square images of 8-bit values) or ``niqe_basicsr``
            (as BasicSR 1.4.2). Scores of two variants must not be compared.
        color_space: how luma is made, for ``niqe``: ``yiq`` (the default) or ``ycbcr`` (limited range, as MATLAB). The
            other variants have one each, ``pillow_l`` and ``ycbcr``.
        crop_border: pixels cut off at each side first; 0 for ``niqe_study``.

    Returns:
        float64, (B,), finite.

    Raises:
        UnscorableImageError: an image is too small, too flat to have any feature (a constant image), or, for
            ``niqe_study``, not square.
        ConfigError: no such variant or colour space, or a model made for another variant.

    >>> import torch
    >>> images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    >>> bool(niqe(images) > 10)
    True
    """
    return niqe_detailed(images, model, variant=variant, color_space=color_space, crop_border=crop_border)[0]


def niqe_detailed(
    images: Tensor,
    model: PristineModel | None = None,
    *,
    variant: str = "niqe",
    color_space: str | None = None,
    crop_border: int = 0,
) -> tuple[Tensor, Tensor]:
    """NIQE as :func:`niqe` gives it, and the number of blocks of each image that it rests on.

    Returns:
        scores, float64 (B,), and blocks that have all features, int64 (B,).

    >>> import torch
    >>> images = torch.rand(1, 3, 192, 300, generator=torch.Generator().manual_seed(0))
    >>> niqe_detailed(images)[1]
    tensor([6])
    """
    chosen, color_space = check_settings(variant, color_space, crop_border)
    model = model or pristine_model(chosen.parameters)
    check_model(model, chosen)
    check_images(images, chosen.name)
    return score_checked(images, model, chosen, color_space, crop_border)


def score_checked(
    images: Tensor, model: PristineModel, chosen: Variant, color_space: str, crop_border: int
) -> tuple[Tensor, Tensor]:
    """:func:`niqe_detailed` of images and settings that have been checked."""
    check_sizes(images, chosen, crop_border)
    with exact_arithmetic(images.device):
        features, _ = image_features(images.float(), chosen, color_space, crop_border, sharpness=False)
        scores, blocks = on_one_core(partial(_compare, features, model, chosen.pinv_rtol), images.device)
    bad = torch.nonzero(~scores.isfinite() | (blocks < chosen.minimum_blocks)).flatten().tolist()
    if bad:
        raise UnscorableImageError(
            f"{chosen.name} has no value for image {', '.join(map(str, bad))} of the batch: it is constant, or so flat "
            f"that {int(blocks[bad[0]])} of its blocks have all features, of which it needs {chosen.minimum_blocks}.",
            bad,
        )
    return scores, blocks


def _compare(features: Tensor, model: PristineModel, pinv_rtol: float | None) -> tuple[Tensor, Tensor]:
    """Distance of each image's features (B, blocks, 36) from the model's, and the number of usable blocks."""
    mean, covariance = gaussian.fit(features)
    pristine = torch.from_numpy(model.mean).to(mean), torch.from_numpy(model.covariance).to(mean)
    return gaussian.distance(mean, covariance, pristine, pinv_rtol), gaussian.usable_blocks(features).sum(1)


def block_count(height: int, width: int, crop_border: int = 0) -> int:
    """Number of blocks that NIQE looks at in an image of this size; 100 for 1024x1024.

    >>> block_count(1024, 1024)
    100
    """
    rows, columns = (height - 2 * crop_border) // BLOCK, (width - 2 * crop_border) // BLOCK
    return max(rows, 0) * max(columns, 0)


def check_settings(variant: str, color_space: str | None, crop_border: int) -> tuple[Variant, str]:
    """The variant of this name, and the colour space that it uses.

    Raises:
        ConfigError: no such variant, or one that cannot be computed with these settings.
    """
    chosen = variant_named(variant)
    color_space = color_space or chosen.color_spaces[0]
    if color_space not in chosen.color_spaces:
        raise ConfigError(
            f"The color_space of {chosen.name} is {' or '.join(chosen.color_spaces)}, not '{color_space}'."
            + nearest(color_space, chosen.color_spaces)
        )
    if crop_border < 0:
        raise ConfigError(f"The crop_border of {chosen.name} is a number of pixels, 0 or more, not {crop_border}.")
    if crop_border and not chosen.crops:
        raise ConfigError(f"{chosen.name} cuts no border off: its crop_border is 0, not {crop_border}.")
    return chosen, color_space


def check_model(model: PristineModel, variant: Variant) -> None:
    """Refuse a model whose features were computed by another variant, where that is known.

    Raises:
        ConfigError: it was.
    """
    if model.variant not in (None, variant.name):
        raise ConfigError(
            f"The model of pristine images was fitted with variant={model.variant} and cannot be used with "
            f"{variant.name}, whose features are others. Fit one with variant={variant.name}."
        )


def check_sizes(images: Tensor, variant: Variant, crop_border: int) -> None:
    """Refuse images (B, 3, H, W) that the variant has too few blocks of.

    Raises:
        UnscorableImageError: quotes the size.
    """
    height, width = (size - 2 * crop_border for size in images.shape[-2:])
    size = f"{images.shape[-1]}x{images.shape[-2]} pixels"
    if min(height, width) < variant.minimum:
        cut = f" (of which {crop_border} are cut off at each side)" if crop_border else ""
        raise UnscorableImageError(
            f"{variant.name}: the images are {size}{cut}, but it needs {variant.minimum}x{variant.minimum} at least.",
            range(len(images)),
        )
    if variant.square and height // BLOCK != width // BLOCK:
        raise UnscorableImageError(
            f"{variant.name}: the images are {size}, that is {width // BLOCK}x{height // BLOCK} blocks of {BLOCK}. The "
            "study's code makes its second scale square, so it has a value for as many blocks across as down only. "
            "Cut the images to squares, or use the variant 'niqe'.",
            range(len(images)),
        )
