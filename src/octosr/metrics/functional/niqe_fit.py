"""A model of pristine images of one's own, for NIQE.

Medical, satellite or microscope images are not what the published models were learnt from. A model learnt from good
images of the same kind says how far others are from these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from octosr.atomic import write_bytes
from octosr.errors import ConfigError, MissingDataError
from octosr.metrics.checks import UnscorableImageError, check_images, exact_arithmetic
from octosr.metrics.functional.niqe import check_settings, check_sizes
from octosr.metrics.niqe_engine import gaussian
from octosr.metrics.niqe_engine.blocks import image_features
from octosr.metrics.niqe_engine.variants import FULL_RANK_BLOCKS, Variant
from octosr.metrics.parameters import PristineModel, fitted_model

SHARPNESS = 0.75
"""Blocks below this part of an image's sharpest block are left out (section II.C of the paper)."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def fit_niqe(
    images: str | Path | Iterable[str | Path | Tensor],
    path: str | Path | None = None,
    *,
    variant: str = "niqe",
    color_space: str | None = None,
    sharpness: float = SHARPNESS,
) -> PristineModel:
    """Learn a model of pristine images, as the paper describes it and the authors' release does it.

    Of each image the blocks of 96x96 pixels are taken whose sharpness, the mean local deviation, exceeds 0.75 of the
    sharpest one's; the model is the mean and the covariance of their features.

    Args:
        images: a folder (looked through with all below it), or files, or tensors of float32 RGB in [0, 1], (3, H, W) or
            (B, 3, H, W), which may be a generator.
        path: .npz file to save the model as, whole or not at all; usable as ``parameters`` of
            :class:`octosr.metrics.niqe.Niqe`.
        variant: whose features; the model then serves that variant only.
        color_space: see :func:`octosr.metrics.functional.niqe`.
        sharpness: part of the sharpest block's sharpness that a block must exceed, in [0, 1).

    Returns:
        The model; :func:`octosr.metrics.parameters.pristine_model` of the saved file is the same.

    Raises:
        MissingDataError: no images, an unreadable file, or fewer than 37 usable blocks in all.
        UnscorableImageError: an image is too small.
        ConfigError: an unknown variant or colour space, a sharpness out of range, a path that is not .npz.

    >>> import torch
    >>> images = torch.rand(10, 3, 192, 192, generator=torch.Generator().manual_seed(0))
    >>> fit_niqe(images).mean.shape
    (36,)
    """
    chosen, color_space = check_settings(variant, color_space, 0)
    if not 0 <= sharpness < 1:
        raise ConfigError(f"sharpness is a part of the sharpest block's, from 0 up to below 1, not {sharpness}.")
    if path is not None and Path(path).suffix != ".npz":
        raise ConfigError(f"A model of pristine images is saved as .npz, not as {path}.")
    features, count = [], 0
    for name, batch in _batches(images):
        features.append(_sharp_features(name, batch, chosen, color_space, sharpness))
        count += len(batch)
    if not count:
        raise MissingDataError("A model of pristine images is learnt from images, but none were given.")
    table = torch.cat(features)
    usable = int(gaussian.usable_blocks(table).sum())
    if usable < FULL_RANK_BLOCKS:
        lacking = FULL_RANK_BLOCKS - usable
        more = f"about {math.ceil(lacking * count / usable)} more images like these" if usable else "other images"
        raise MissingDataError(
            f"{count} images gave {usable} sharp blocks with all features, but a model of 36 features needs "
            f"{FULL_RANK_BLOCKS}: add {more}, or larger ones, or lower the sharpness threshold ({sharpness})."
        )
    mean, covariance = (result[0].cpu().numpy() for result in gaussian.fit(table[None]))
    model, content = fitted_model(mean, covariance, chosen.name, images=count, blocks=usable, sharpness=sharpness)
    if path is not None:
        write_bytes(Path(path), content)
    return model


def _sharp_features(name: str, images: Tensor, variant: Variant, color_space: str, sharpness: float) -> Tensor:
    """Features of the sharp blocks of some images, (blocks, 36)."""
    try:
        check_images(images, "fit_niqe")
        check_sizes(images, variant, 0)
    except UnscorableImageError as error:
        raise UnscorableImageError(f"{name}: {error}", error.positions) from error
    with exact_arithmetic(images.device):
        features, deviation = image_features(images.float(), variant, color_space)
    return features[deviation > sharpness * deviation.amax(1, keepdim=True)]


def _batches(images: str | Path | Iterable[str | Path | Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Pairs (name, images (B, 3, H, W))."""
    if isinstance(images, str | Path):
        images = image_files(Path(images))
    for position, image in enumerate(images):
        if isinstance(image, Tensor):
            yield f"image {position}", image if image.ndim == 4 else image[None]
        else:
            yield str(image), _read(Path(image))


def image_files(folder: Path) -> list[Path]:
    """All image files in a folder and below it, in order.

    Raises:
        MissingDataError: no such folder, or no image in it.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise MissingDataError(f"{folder} is not a folder of images.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise MissingDataError(f"There is no image in {folder}; looked for {', '.join(SUFFIXES)}.")
    return files


def _read(path: Path) -> Tensor:
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise MissingDataError(f"{path} cannot be read as an image ({error}). Mend or remove it.") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
