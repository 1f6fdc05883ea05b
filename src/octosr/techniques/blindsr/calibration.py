"""What the discriminator's errors say about the true kernel once its bias is known: a posterior over a grid of kernels.

The kernel with the least predicted |error| is the one whose image is nearest to the true kernel's, and that is a narrow
one more often than not: where an image has nothing fine, all narrow kernels make the same of it, and the error grows
with the kernel whether it is right or wrong. As an estimate of the blur it is biased. The bias is the networks' own and
can be measured on training images, whose kernels are known. How is ours; the papers do not touch upon it.

The errors of the 28 kernels of a grid, less their mean and over their standard deviation, so that it does not count how
much detail an image has, go through one linear map and a softmax: a multinomial logistic regression, which says how
likely each kernel is. The estimate is the mean of their covariances. It is trained to be near the true covariance;
always saying the mean of all kernels is what it does when the map is zero, so there is no need to do worse.

Training is the last of the three phases: both networks at rest, a few numbers to learn. Up to four crops of a batch
have one kernel and are judged together, as the crops of one image are at test time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from octosr.degradation.rounding import quantise
from octosr.techniques.blindsr.errors import mean_errors
from octosr.techniques.blindsr.patches import Pieces
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.starts import calibration_grid

GROUP = 4
"""Crops of a batch that have one kernel in training."""


def estimated_covariances(stage: BlindSRStage, errors: Tensor) -> Tensor:
    """The mean covariance of the kernels of the grid, each counting as much as it is likely.

    Args:
        stage: with its calibration.
        errors: mean |error| of the grid's kernels, (N, G).

    Returns:
        HR pixels squared, float64, (N, 2, 2).
    """
    covariances = stage.space.covariances(calibration_grid(stage.space)).to(errors.device)
    return torch.einsum("ng,gij->nij", stage.calibration(errors).softmax(1).double(), covariances)


@torch.no_grad()
def calibrated(stage: BlindSRStage, pieces: Pieces) -> Tensor:
    """The kernels (sigma_1, sigma_2, theta) with the estimated covariances, float64, (N, 3).

    Args:
        stage: the networks, ``errors.frozen``, and a trained calibration.
        pieces: of N images.
    """
    return stage.space.parameters_of(estimated_covariances(stage, grid_errors(stage, pieces)))


@torch.no_grad()
def grid_errors(stage: BlindSRStage, pieces: Pieces) -> Tensor:
    """The mean |error| of the grid's kernels over all pieces of N images, (N, G)."""
    codes = stage.encode(calibration_grid(stage.space).to(pieces.lr.device))
    return mean_errors(stage, pieces, codes.expand(len(pieces.lr), -1, -1))


def calibration_loss(
    stage: BlindSRStage,
    hr: Tensor,
    sample_ids: Tensor,
    seed: int,
    gather: Callable[[Tensor], Tensor] = lambda t: t,
    double: bool = False,
) -> Tensor:
    """The mean distance (Frobenius) of estimated covariances from the true ones, in LR pixels squared.

    The groups are those of the whole batch, whatever process has a crop, so that several processes learn what one
    would: each gets the errors of all crops, and has the same loss.

    Args:
        stage: the networks.
        hr: (B, 3, H, W), sides divisible by the scale.
        sample_ids: int64, (B,); the least of each group of crops decides on its kernel.
        seed: of the kernels.
        gather: puts the tensors (B, ...) of all processes together; as it is where there is one.
        double: compute the errors in 64-bit floats. What counts is by how little they differ between kernels, where
            networks have learned little; in 32 bits a last digit of a weight then shows in the loss.
    """
    everyone = gather(sample_ids)
    order = everyone.argsort()
    together = min(GROUP, len(everyone))
    groups = len(everyone) // together
    sorted_ids = everyone[order]
    truth = stage.space.draw(seed, sorted_ids[: groups * together : together].to(hr.device), "calibration")
    # A crop that is left over has the kernel of the last group, and then does not count.
    group = torch.searchsorted(sorted_ids, sample_ids).div(together, rounding_mode="floor").clamp_max(groups - 1)
    with torch.autocast(hr.device.type, enabled=False):
        judge, images = (copy.deepcopy(stage).double(), hr.double()) if double else (stage, hr)
        errors = gather(grid_errors(judge, _degraded(judge, images, truth[group.to(hr.device)])))
        of_groups = errors[order.to(errors.device)][: groups * together].unflatten(0, (groups, together)).mean(1)
        found = estimated_covariances(stage, of_groups)
    apart = (found - stage.space.covariances(truth)).square().sum((1, 2)).sqrt()
    return (apart.mean() / stage.scale**2).to(hr.dtype)


@torch.no_grad()
def _degraded(stage: BlindSRStage, hr: Tensor, parameters: Tensor) -> Pieces:
    """LR crops, each of its own kernel (B, 3): images of one piece."""
    space = stage.space
    with torch.autocast(hr.device.type, enabled=False):
        lr = space.degrade(hr, space.kernels(parameters))
        lr = quantise(lr) if space.aligned else lr
        enlarged = stage.enlarge(lr)
    size = (lr.shape[-2], lr.shape[-1])
    weights = lr.new_full((1, *size), 1 / (size[0] * size[1]))
    corners = torch.zeros(len(lr), 1, 2, dtype=torch.int64, device=lr.device)
    return Pieces(lr[:, None], enlarged[:, None], corners, weights)
