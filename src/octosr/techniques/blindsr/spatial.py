"""A kernel for each part of an image: the spatially variant search that the paper announces and its code lacks.

How the paper does it is not known to us; this is ours. The image is divided into cells. Each cell takes the start that
has the lowest mean error in a window around it, the map of kernels is smoothed by a median filter, and refined by
gradient descent on the image's mean error with a penalty on the map's total variation. Both networks get a map of codes
that is bilinear between the cells' centres, so that a pixel has the blend of the kernels around it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.techniques.blindsr.errors import cell_errors
from octosr.techniques.blindsr.patches import Pieces
from octosr.techniques.blindsr.refine import refine
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.shapes import to_parameters, to_shapes
from octosr.techniques.blindsr.stage import BlindSRStage


def search_map(
    stage: BlindSRStage, pieces: Pieces, starts: Tensor, found: Tensor, size: tuple[int, int], settings: Search
) -> Tensor:
    """A map of kernels for every image.

    Args:
        stage: the networks, ``errors.frozen``.
        pieces: that cover N images.
        starts: (S, 3).
        found: the best kernel for each whole image, one start more for all its cells, (N, 3).
        size: height and width of the images in LR pixels.
        settings: cell, window, prior, smoothness, and those of the refinement.

    Returns:
        sigma_1, sigma_2, theta; (N, 3, gy, gx).
    """
    candidates = torch.cat((starts.double().expand(len(found), -1, -1), found.double()[:, None]), 1)
    rows, columns = (
        window_weights(length, cell_count(length, settings.cell), settings.window, pieces.lr) for length in size
    )
    errors = cell_errors(stage, pieces, stage.encode(candidates), rows, columns)
    chosen = choose(errors - settings.sharpness * candidates[..., :2].sum(-1)[..., None, None], settings.prior)
    shapes = torch.stack([to_shapes(c, stage.space)[k] for c, k in zip(candidates, chosen, strict=True)])
    smooth = median_filter(shapes.movedim(-1, 1))
    start = to_parameters(smooth.movedim(1, -1), stage.space).movedim(-1, 1)
    return refine(stage, pieces, start, size, settings, lambda shapes: settings.smoothness * total_variation(shapes))


def cell_count(length: int, cell: int) -> int:
    """Cells along a side: as near to the wanted size as can be, at least one."""
    return max(1, round(length / cell))


def window_weights(length: int, cells: int, window: int, like: Tensor) -> Tensor:
    """Weights (cells, length) of pixels in the mean over a window around each cell's centre, times ``length``.

    Windows are cut off at the border. Times the length, because the pixels' own weights sum to 1 over the image.

    >>> window_weights(4, 2, 2, torch.zeros(()))
    tensor([[2., 2., 0., 0.],
            [0., 0., 2., 2.]])
    """
    pixels = torch.arange(length, dtype=torch.float64, device=like.device) + 0.5
    centres = (torch.arange(cells, dtype=torch.float64, device=like.device) + 0.5) * length / cells
    inside = (pixels - centres[:, None]).abs() <= max(window, length / cells) / 2
    return (inside.double() / inside.sum(1, keepdim=True) * length).to(like.dtype)


def choose(losses: Tensor, prior: float) -> Tensor:
    """Which start each cell takes: the least of its own loss and ``prior`` times the image's.

    Args:
        losses: (N, S, gy, gx).
        prior: see ``settings.Search``.

    Returns:
        int64, (N, gy, gx).
    """
    return (losses + prior * losses.mean((2, 3), keepdim=True)).argmin(1)


def median_filter(maps: Tensor) -> Tensor:
    """The median of 3 x 3 values, each channel by itself, the border repeated; (N, C, gy, gx)."""
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    return padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2).median(-1).values


def total_variation(shapes: Tensor) -> Tensor:
    """The mean length of the differences between neighbouring cells' shapes, (N, 3, gy, gx) to (N,)."""
    down, right = shapes.diff(dim=2), shapes.diff(dim=3)
    steps = torch.cat((down.flatten(2), right.flatten(2)), 2)
    if not steps.shape[2]:
        return shapes.new_zeros(len(shapes))
    # Equal neighbours, of which there are many at first, have no derivative without the small number.
    return (steps.square().sum(1) + 1e-12).sqrt().mean(1)
