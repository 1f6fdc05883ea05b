"""Images as a whole: a batch through a technique, in all wanted symmetries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from octosr.prediction.tiling.symmetry import turn, turn_back
from octosr.techniques.base import SingleImageTechnique


def enlarge_whole(technique: SingleImageTechnique, lr: Tensor, symmetries: Sequence[int]) -> Tensor:
    """The mean of what a technique makes of images and of turned ones.

    Args:
        technique: to use.
        lr: (B, 3, h, w) on its device.
        symmetries: see :func:`octosr.prediction.tiling.symmetry.turn`; one or more.

    Returns:
        (B, 3, scale*h, scale*w) float32 on its device.
    """
    total: Tensor | None = None
    with torch.inference_mode(not technique.needs_grad), torch.no_grad():
        for symmetry in symmetries:
            sr = turn_back(technique.super_resolve(turn(lr, symmetry)), symmetry).float()
            total = sr if total is None else total + sr
        assert total is not None
        return total / len(symmetries) if len(symmetries) > 1 else total
