"""What the stages of BlindSR find out about an image, and the one blur from the HR to the LR image it amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.aligned import compose


class StageEstimate(NamedTuple):
    """What one stage made of a batch.

    Attributes:
        scale: its factor s.
        sr: the images, (B, 3, s*h, s*w), not clamped.
        parameters: sigma_1, sigma_2, theta of the one kernel that describes each image best, (B, 3).
        kernel: that kernel; where kernels vary over the image: their mean; (B, K, K).
        parameter_map: where they vary: those of all cells, (B, 3, gy, gx).
        kernel_map: the same as kernels, (B, gy, gx, K, K).
    """

    scale: int
    sr: Tensor
    parameters: Tensor
    kernel: Tensor
    parameter_map: Tensor | None = None
    kernel_map: Tensor | None = None


def compose_estimates(estimates: Sequence[StageEstimate]) -> tuple[Tensor, Tensor | None]:
    """The blur from the HR image down to the LR image: of the last stage first, then of those before it.

    Args:
        estimates: of the stages in their order.

    Returns:
        (B, K, K), and (B, gy, gx, K, K) where the kernel varies over the image, in the cells of the first stage that
        has a map: later ones, which have more cells, are averaged to these.
    """
    kernel, scale = estimates[0].kernel, estimates[0].scale
    for estimate in estimates[1:]:
        kernel = compose(kernel, estimate.kernel, estimate.scale)
        scale *= estimate.scale
    grids = [e.kernel_map.shape[1:3] for e in estimates if e.kernel_map is not None]
    if not grids:
        return kernel, None
    maps = [_on_grid(estimate, grids[0]) for estimate in estimates]
    found = maps[0].flatten(0, 2)
    for estimate, finer in zip(estimates[1:], maps[1:], strict=True):
        found = compose(found, finer.flatten(0, 2), estimate.scale)
    found = found.unflatten(0, maps[0].shape[:3])
    return found.mean((1, 2)), found


def _on_grid(estimate: StageEstimate, grid: Sequence[int]) -> Tensor:
    """The kernels of a stage in other cells, (B, gy, gx, K, K)."""
    rows, columns = grid
    if estimate.kernel_map is None:
        return estimate.kernel[:, None, None].expand(-1, rows, columns, -1, -1)
    side = estimate.kernel.shape[-1]
    channels = estimate.kernel_map.flatten(3).permute(0, 3, 1, 2)
    averaged = F.adaptive_avg_pool2d(channels, (rows, columns))
    return averaged.permute(0, 2, 3, 1).unflatten(-1, (side, side)).contiguous()


def transposed(estimate: StageEstimate) -> StageEstimate:
    """The estimate of an image from that of the image with rows and columns exchanged (one kernel an image)."""
    first, second, theta = estimate.parameters.unbind(-1)
    turned = torch.stack((first, second, torch.pi / 2 - theta), -1)
    return estimate._replace(
        sr=estimate.sr.transpose(-2, -1), parameters=turned, kernel=estimate.kernel.transpose(-2, -1)
    )
