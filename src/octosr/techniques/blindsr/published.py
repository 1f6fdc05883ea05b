"""The search as the public code does it, to reproduce it: ``official_quirks``.

144 starts judged on all patches, then Adam on (sigma_1, sigma_2, theta) themselves, unbounded, with a step for every
patch in every sweep; the loss of a step is the patch's alone. Portrait images lie on their side meanwhile. Patches of
the HR image are blended with ramps. Of starts that are one and the same kernel, of which rounding errors choose in the
public code, the first is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.errors import error_gradients, mean_errors
from octosr.techniques.blindsr.estimate import StageEstimate, transposed
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.starts import distinct, published_grid
from octosr.techniques.blindsr.tiles import blend_published

RATE = 0.01


def search_published(stage: BlindSRStage, lr: Tensor, settings: Search) -> StageEstimate:
    """Estimate the kernels of images and super-resolve them.

    Args:
        stage: the networks, ``errors.frozen``.
        lr: (N, 3, h, w) in [0, 1].
        settings: patch, steps (sweeps over all patches) and sharpness.
    """
    if lr.shape[-2] > lr.shape[-1]:
        return transposed(search_published(stage, lr.transpose(-2, -1), settings))
    pieces = patches.published(lr, stage.enlarge(lr), settings.patch)
    size = (lr.shape[-2], lr.shape[-1])
    parameters = sweep_published(stage, pieces, best_published(stage, pieces), size, settings)
    sr = blend(stage, pieces, parameters, size, settings.patch // 4)
    return StageEstimate(stage.scale, sr, parameters, stage.space.kernels(parameters))


def best_published(stage: BlindSRStage, pieces: patches.Pieces) -> Tensor:
    """The best of the 144 starts for each image, (N, 3)."""
    starts = published_grid(stage.space)
    starts = starts[distinct(stage.space, starts)].to(pieces.lr)
    codes = stage.encode(starts).expand(len(pieces.lr), -1, -1)
    return starts[mean_errors(stage, pieces, codes).argmin(1)]


def sweep_published(
    stage: BlindSRStage, pieces: patches.Pieces, parameters: Tensor, size: tuple[int, int], settings: Search
) -> Tensor:
    """All sweeps of Adam from (N, 3): a step for each patch, the same patch of all images together."""
    found = parameters.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([found], lr=RATE)
    parts = [pieces.only(number) for number in range(pieces.lr.shape[1])]
    for _ in range(settings.steps):
        for part in parts:
            with torch.enable_grad():
                codes = stage.encode(found)
            _, gradients = error_gradients(stage, part, codes.detach(), size)
            with torch.enable_grad():
                optimizer.zero_grad(set_to_none=True)
                ((codes * gradients).sum() - settings.sharpness * found[:, :2].abs().sum()).backward()
            optimizer.step()
    return found.detach()


def blend(
    stage: BlindSRStage, pieces: patches.Pieces, parameters: Tensor, size: tuple[int, int], overlap: int
) -> Tensor:
    """Super-resolve every patch and blend them, (N, 3, s*h, s*w)."""
    codes = stage.encode(parameters)
    made = [
        stage.generator(pieces.lr[:, number], pieces.enlarged[:, number], codes).sr
        for number in range(pieces.lr.shape[1])
    ]
    scale = stage.scale
    return blend_published(
        torch.stack(made, 1), pieces.corners[0] * scale, (size[0] * scale, size[1] * scale), overlap * scale
    )
