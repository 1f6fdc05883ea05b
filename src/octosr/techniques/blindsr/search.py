"""BlindSR on images themselves: find the kernel of each by what the discriminator says of it, then super-resolve.

Kernels of a grid are judged first, for all images of a batch at once. A calibrated stage knows what all these errors
together say of the kernel. Otherwise the best of the grid is refined by gradient descent.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.degradation.aligned import parameters_of
from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.calibration import calibrated
from octosr.techniques.blindsr.errors import enlarge_codes, enlarged_part, frozen, mean_errors
from octosr.techniques.blindsr.estimate import StageEstimate
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.published import search_published
from octosr.techniques.blindsr.refine import refine
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.spatial import search_map
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.starts import start_grid
from octosr.techniques.blindsr.tiles import generate_in_tiles
from octosr.techniques.tiling import Place


def super_resolve_stage(stage: BlindSRStage, lr: Tensor, settings: Search) -> StageEstimate:
    """Estimate the kernels of images and super-resolve them.

    Args:
        stage: the networks.
        lr: (N, 3, h, w) in [0, 1], of any size.
        settings: how to search.

    Returns:
        Images, parameters and kernels; each image's are those it would have alone.
    """
    # Single precision even in mixed-precision runs: what counts are small differences between errors.
    with torch.no_grad(), torch.autocast(lr.device.type, enabled=False), frozen(stage):
        if settings.official_quirks:
            return search_published(stage, lr, settings)
        enlarged = stage.enlarge(lr)
        parameters = estimate(stage, lr, enlarged, settings)
        if settings.spatial:
            size = (lr.shape[-2], lr.shape[-1])
            whole = patches.covering(lr, enlarged, settings.patch)
            parameters = search_map(stage, whole, _starts(stage, lr, settings), parameters, size, settings)
        return _apply(stage, lr, enlarged, parameters, settings.tile)


@torch.no_grad()
def apply(stage: BlindSRStage, lr: Tensor, parameters: Tensor, tile: int = 200) -> StageEstimate:
    """Super-resolve images with given kernels: found ones, or what a user makes of them.

    Args:
        stage: the networks.
        lr: (N, 3, h, w) in [0, 1].
        parameters: sigma_1, sigma_2, theta: (N, 3), or a map (N, 3, gy, gx).
        tile: see ``settings.Search``; the result does not depend on it.
    """
    with torch.autocast(lr.device.type, enabled=False):
        return _apply(stage, lr, stage.enlarge(lr), parameters, tile)


@torch.no_grad()
def estimate(stage: BlindSRStage, lr: Tensor, enlarged: Tensor, settings: Search) -> Tensor:
    """The one kernel (sigma_1, sigma_2, theta) that describes each image best, (N, 3).

    Args:
        stage: the networks, ``errors.frozen``.
        lr: (N, 3, h, w).
        enlarged: (N, 3, s*h, s*w).
        settings: how to search.
    """
    pieces = looked_at(lr, enlarged, settings)
    if settings.calibration == "auto" and int(stage.calibration_steps) > 0:
        return calibrated(stage, pieces)
    starts = _starts(stage, lr, settings)
    codes = stage.encode(starts).expand(len(lr), -1, -1)
    # The refinement's objective: the error alone is least for narrow kernels, whose images lack what nobody can miss.
    losses = mean_errors(stage, pieces, codes) - settings.sharpness * starts[:, :2].sum(1)
    best = starts[losses.argmin(1)]
    return refine(stage, pieces, best, (lr.shape[-2], lr.shape[-1]), settings)


def looked_at(lr: Tensor, enlarged: Tensor, settings: Search) -> patches.Pieces:
    """The parts of the images that the search looks at."""
    height, width = lr.shape[-2:]
    crop = settings.crop
    if crop and min(height, width) >= crop and settings.crops * crop**2 < height * width:
        return patches.informative(lr, enlarged, crop, settings.crops)
    return patches.covering(lr, enlarged, settings.patch)


def _starts(stage: BlindSRStage, lr: Tensor, settings: Search) -> Tensor:
    return start_grid(stage.space, settings.levels, settings.angles).to(lr.device)


@torch.no_grad()
def apply_to_tiles(stage: BlindSRStage, tiles: Tensor, parameters: Tensor, places: Sequence[Place]) -> Tensor:
    """What :func:`apply` makes of tiles of one image, each with what lies around it; (B, 3, s*h, s*w).

    Args:
        stage: the networks.
        tiles: (B, 3, h, w).
        parameters: of the whole image, (1, 3), or a map (1, 3, gy, gx).
        places: of the tiles.
    """
    with torch.autocast(tiles.device.type, enabled=False):
        codes = stage.generator.encode(stage.space.kernels(parameters.movedim(1, -1))).to(tiles.dtype)
        if parameters.ndim == 4:
            size = (tiles.shape[-2], tiles.shape[-1])
            codes = torch.cat([enlarged_part(codes.movedim(-1, 1), place, size) for place in places])
        else:
            codes = codes.expand(len(tiles), -1)
        enlarged = stage.enlarge(tiles)

        def make(n: int) -> Tensor:
            part = slice(n, n + 1)
            return stage.generator(tiles[part], enlarged[part], codes[part]).sr

        return torch.cat(map_on_cores(make, range(len(tiles)), tiles.device))


def _apply(stage: BlindSRStage, lr: Tensor, enlarged: Tensor, parameters: Tensor, tile: int) -> StageEstimate:
    varies = parameters.ndim == 4
    kernels = stage.space.kernels(parameters.movedim(1, -1))
    codes = stage.generator.encode(kernels).to(lr.dtype)
    if varies:
        codes = enlarge_codes(codes.movedim(-1, 1), (lr.shape[-2], lr.shape[-1]))
    sr = generate_in_tiles(stage.generator, lr, enlarged, codes, tile)
    kernels = kernels.to(lr.dtype)
    if not varies:
        return StageEstimate(stage.scale, sr, parameters, kernels)
    mean = _mean(stage.space, parameters)
    return StageEstimate(stage.scale, sr, mean, kernels.mean((1, 2)), parameters, kernels)


def _mean(space: KernelSpace, parameter_map: Tensor) -> Tensor:
    """The Gaussian with the covariance of the mean kernel, (N, 3, gy, gx) to (N, 3)."""
    found = parameters_of(space.covariances(parameter_map.movedim(1, -1)).mean((1, 2)))
    return torch.cat((found[:, :2].sqrt(), torch.remainder(-found[:, 2:], torch.pi)), 1)
