"""What the kernel discriminator says of kernels: errors of many at once, and how they change with the kernels' codes.

Work is cut into jobs of some pixels each, so that memory is bounded and every core has its own; pieces of images and
codes of kernels are computed once and for all, weights get no gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.cores import map_on_cores
from octosr.techniques.blindsr.patches import Pieces
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.tiling import Place

PIXELS = {"cpu": 2**12, "gpu": 2**19}
"""LR pixels of a job: what a CPU's cache holds, a GPU's memory (up to 17 kB a pixel at x2 with derivatives)."""


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for the weights: they would be computed for nothing, and what they need kept in memory."""
    needed = [(p, p.requires_grad) for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, need in needed:
            parameter.requires_grad_(need)


def error_map(stage: BlindSRStage, lr: Tensor, enlarged: Tensor, codes: Tensor) -> Tensor:
    """The mean |error| over colours and over the HR pixels of each LR pixel, (B, h, w)."""
    made = stage.generator(lr, enlarged, codes)
    error = stage.discriminator(lr, made.features, made.codes)
    return F.avg_pool2d(error.abs().mean(1, keepdim=True), stage.scale)[:, 0]


@torch.no_grad()
def cell_errors(stage: BlindSRStage, pieces: Pieces, codes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The error of each of S kernels at each cell of the images, a weighted mean.

    Args:
        stage: the networks.
        pieces: of N images.
        codes: (N, S, C).
        rows: weights of the images' rows in each row of cells, times the number of rows, (gy, h).
        columns: the same for columns, (gx, w).

    Returns:
        (N, S, gy, gx). With one row of cells and one column, and all weights 1: the mean over the image.
    """
    images, count = pieces.lr.shape[:2]
    size = pieces.lr.shape[-2:]
    together = max(1, _limit(pieces.lr) // (size[0] * size[1]))
    jobs = [
        (n, piece, slice(first, first + together))
        for n in range(images)
        for piece in range(count)
        for first in range(0, codes.shape[1], together)
    ]

    def judge(job: tuple[int, int, slice]) -> Tensor:
        n, piece, part = job
        chosen = codes[n, part]
        lr, enlarged = (x[n, piece].expand(len(chosen), -1, -1, -1) for x in (pieces.lr, pieces.enlarged))
        errors = error_map(stage, lr, enlarged, chosen) * pieces.weights[piece]
        top, left = pieces.corners[n, piece].tolist()
        return rows[:, top : top + size[0]] @ errors @ columns[:, left : left + size[1]].T

    found = codes.new_zeros(*codes.shape[:2], len(rows), len(columns))
    for (n, _, part), values in zip(jobs, map_on_cores(judge, jobs, codes.device), strict=True):
        found[n, part] += values
    return found


def mean_errors(stage: BlindSRStage, pieces: Pieces, codes: Tensor) -> Tensor:
    """The mean error over all pieces of each of S kernels, (N, S, C) to (N, S)."""
    far = int(pieces.corners.max()) + max(pieces.lr.shape[-2:])
    everywhere = codes.new_ones(1, far)
    return cell_errors(stage, pieces, codes, everywhere, everywhere)[..., 0, 0]


def error_gradients(stage: BlindSRStage, pieces: Pieces, codes: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The mean error of each image over all its pieces, and its derivative by the image's codes.

    Args:
        stage: the networks, :func:`frozen`.
        pieces: of N images.
        codes: (N, C), one kernel an image; or (N, C, gy, gx), a map that is enlarged to the image between its cells'
            centres: a pixel has the blend of the kernels around it.
        size: height and width of the LR images.

    Returns:
        (N,) and the shape of ``codes``.
    """
    count = pieces.lr.shape[1]
    height, width = pieces.lr.shape[-2:]
    total = len(codes) * count
    together = max(1, _limit(pieces.lr) // (height * width))
    jobs = [range(first, min(first + together, total)) for first in range(0, total, together)]

    def differentiate(job: range) -> tuple[Tensor, Tensor]:
        images = torch.tensor([n // count for n in job], device=codes.device)
        numbers = torch.tensor([n % count for n in job], device=codes.device)
        lr, enlarged = pieces.lr[images, numbers], pieces.enlarged[images, numbers]
        with torch.enable_grad():
            leaf = codes.detach().requires_grad_()
            chosen = _codes_of(leaf, images, pieces.corners[images, numbers], (height, width), size)
            errors = (error_map(stage, lr, enlarged, chosen) * pieces.weights[numbers]).sum((1, 2))
            (gradient,) = torch.autograd.grad(errors.sum(), leaf)
        return codes.new_zeros(len(codes)).index_add_(0, images, errors.detach()), gradient

    parts = map_on_cores(differentiate, jobs, codes.device)
    errors, gradients = zip(*parts, strict=True)
    return torch.stack(errors).sum(0), torch.stack(gradients).sum(0)


def enlarge_codes(codes: Tensor, size: tuple[int, int]) -> Tensor:
    """A map of codes (N, C, gy, gx) at every pixel of the LR images, (N, C, h, w): bilinear between the cells' centres.

    The encoder is linear, so this is the map of the codes of blended kernels.
    """
    return F.interpolate(codes, size=size, mode="bilinear", align_corners=False)


def enlarged_part(codes: Tensor, place: Place, size: tuple[int, int]) -> Tensor:
    """Part of what :func:`enlarge_codes` makes for a whole image, without making the whole.

    Args:
        codes: (N, C, gy, gx).
        place: of the part, and the size of the whole image.
        size: height and width of the part.

    Returns:
        (N, C, height, width).
    """
    lines = ((place.top, size[0], place.height), (place.left, size[1], place.width))
    for dim, (start, count, length) in zip((2, 3), lines, strict=True):
        cells = codes.shape[dim]
        pixels = torch.arange(start, start + count, dtype=torch.float64, device=codes.device)
        position = ((pixels + 0.5) * (cells / length) - 0.5).clamp(0, cells - 1)
        before = position.floor().long()
        share = (position - before).to(codes.dtype)
        share = share[:, None] if dim == 2 else share
        after = (before + 1).clamp_max(cells - 1)
        codes = torch.lerp(codes.index_select(dim, before), codes.index_select(dim, after), share)
    return codes


def _codes_of(codes: Tensor, images: Tensor, corners: Tensor, piece: tuple[int, int], size: tuple[int, int]) -> Tensor:
    if codes.ndim == 2:
        return codes[images]
    whole, place = images.unique(return_inverse=True)
    enlarged = enlarge_codes(codes[whole], size)
    return torch.stack(
        [
            enlarged[n, :, top : top + piece[0], left : left + piece[1]]
            for n, (top, left) in zip(place.tolist(), corners.tolist(), strict=True)
        ]
    )


def _limit(like: Tensor) -> int:
    return PIXELS["cpu" if like.device.type == "cpu" else "gpu"]
