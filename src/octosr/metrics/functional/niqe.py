"""NIQE, the natural image quality evaluator (Mittal et al., IEEE Signal Processing Letters 20(3), 2013).

The computation is pyiqa's; parameters, checks and handling of degenerate images are ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.errors import ConfigError
from octosr.metrics.checks import UnscorableImageError, check_images, exact_arithmetic
from octosr.metrics.iqa import import_arch
from octosr.metrics.parameters import PristineModel, pristine_model

BLOCK = 96
"""Side in pixels of the blocks that features are computed on."""
COLOUR_SPACES = ("yiq", "ycbcr")


def niqe(
    images: Tensor,
    model: PristineModel | None = None,
    *,
    color_space: str = "yiq",
    crop_border: int = 0,
) -> Tensor:
    """NIQE of each image; lower is better.

    The distance between the Gaussian of the image's 36 block features and that of pristine images (eq. 10 of the
    paper). The right and bottom remainder of the 96-pixel blocks is not looked at. The value depends on the image's
    size: below 37 blocks (:func:`block_count`) the image's own covariance has not full rank.

    Args:
        images: float32 RGB in [0, 1], (B, 3, H, W), both sides at least 96 after cropping.
        model: model of pristine images; the official one if not given.
        color_space: how luma is made: ``yiq`` (pyiqa's default) or ``ycbcr`` (limited range, as MATLAB).
        crop_border: pixels cut off at each side first.

    Returns:
        float64, (B,), finite.

    Raises:
        UnscorableImageError: an image is too small, or too flat to have any feature (a constant image).
        MissingMetricError: pyiqa is not installed.

    >>> import torch
    >>> images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    >>> bool(niqe(images) > 10)
    True
    """
    if color_space not in COLOUR_SPACES:
        raise ConfigError(f"NIQE's color_space is one of {COLOUR_SPACES}, not '{color_space}'.")
    check_images(images, "niqe")
    height, width = images.shape[-2:]
    if block_count(height, width, crop_border) < 1:
        raise UnscorableImageError(
            f"niqe: the images are {width}x{height} pixels (of which {crop_border} are cut off at each side), "
            f"but NIQE needs {BLOCK}x{BLOCK} at least.",
            range(len(images)),
        )
    calculate = import_arch("niqe_arch", "niqe").calculate_niqe
    model = model or pristine_model()
    options = {
        "crop_border": crop_border,
        "color_space": color_space,
        "mu_pris_param": torch.from_numpy(model.mean),
        "cov_pris_param": torch.from_numpy(model.covariance),
    }

    def values(batch: Tensor) -> Tensor:
        try:
            result: Tensor = calculate(batch, **options).reshape(len(batch))  # one image gives a 0-d result
        except torch.linalg.LinAlgError:  # no block of some image has all features
            return torch.full((len(batch),), torch.nan, dtype=torch.float64, device=batch.device)
        return result

    with exact_arithmetic(images.device):
        scores = values(images)
        if not scores.isfinite().all() and len(images) > 1:  # which one is it?
            scores = torch.cat([values(image[None]) for image in images])
    bad = torch.nonzero(~scores.isfinite()).flatten().tolist()
    if bad:
        raise UnscorableImageError(
            f"niqe has no value for image {', '.join(map(str, bad))} of the batch: it is constant, or so flat that no "
            "block has all features.",
            bad,
        )
    return scores


def block_count(height: int, width: int, crop_border: int = 0) -> int:
    """Number of blocks that NIQE looks at in an image of this size; 100 for 1024x1024.

    >>> block_count(1024, 1024)
    100
    """
    rows, columns = (height - 2 * crop_border) // BLOCK, (width - 2 * crop_border) // BLOCK
    return max(rows, 0) * max(columns, 0)
