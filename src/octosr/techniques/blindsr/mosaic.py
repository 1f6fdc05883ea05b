"""Which kernel made which pixel: one for a whole image, or several in regions that run into each other.

The paper super-resolves images whose blur varies from place to place; the networks take a code for each pixel. To
have seen such codes, training blurs a share of the images with three kernels, each in its region of the plane,
softly blended. An LR pixel is the sum of its reductions weighted by region, and so it is the reduction with the
kernel blended in the same way; since a code is a linear map of the kernel's taps, the code map blended in the same way
is exactly that of these kernels. Nothing about it is approximate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from octosr.degradation.random import SampleRandom
from octosr.techniques.blindsr.kernels import KernelSpace

REGIONS = 3
SOFTEST, HARDEST = 16.0, 1.0
"""Width of the seams in LR pixels."""


@dataclass(frozen=True)
class Blur:
    """The blur of each image of a batch.

    Attributes:
        parameters: (B, R, 3), the kernels; float64.
        weights: (B, R, h, w) that add up to 1: the share of each in each LR pixel; None where R is 1.
    """

    parameters: Tensor
    weights: Tensor | None = None

    def codes(self, encoded: Tensor) -> Tensor:
        """From the codes of the kernels (B, R, C) to those of the images, (B, C) or (B, C, h, w)."""
        if self.weights is None:
            return encoded[:, 0]
        return torch.einsum("brc,brhw->bchw", encoded, self.weights.to(encoded.dtype))

    def apply(self, space: KernelSpace, hr: Tensor) -> Tensor:
        """LR images of (B, 3, H, W), not rounded."""
        lr = torch.stack([space.degrade(hr, space.kernels(part)) for part in self.parameters.unbind(1)], 1)
        return lr[:, 0] if self.weights is None else (lr * self.weights.to(lr.dtype)[:, :, None]).sum(1)


def draw_blur(
    space: KernelSpace, seed: int, sample_ids: Tensor, share: float, size: tuple[int, int], stream: str = "true"
) -> Blur:
    """Random blurs, a function of (seed, sample, stream).

    Args:
        space: the kernels.
        seed, sample_ids, stream: of all randomness.
        share: of the images that get several kernels.
        size: height and width of the LR images.
    """
    regions = REGIONS if share else 1
    parameters = torch.stack([space.draw(seed, sample_ids, f"{stream}/{n}") for n in range(regions)], 1)
    if regions == 1:
        return Blur(parameters)
    mixed = SampleRandom(seed).uniform(sample_ids, f"blindsr/x{space.scale}/{stream}/mosaic") < share
    weights = _regions(seed, sample_ids, f"blindsr/x{space.scale}/{stream}/regions", size)
    whole = torch.zeros_like(weights)
    whole[:, 0] = 1
    return Blur(parameters, torch.where(mixed[:, None, None, None], weights, whole))


def perturb(space: KernelSpace, blur: Blur, seed: int, sample_ids: Tensor, amount: float, stream: str = "near") -> Blur:
    """A blur that is nearly the same, in the same regions.

    Args:
        space: the kernels.
        blur: of a batch.
        seed, sample_ids, stream: of all randomness.
        amount: standard deviations change by up to this share of their range, angles by up to this share of half a
            turn.
    """
    drawn = SampleRandom(seed).uniform(sample_ids, f"blindsr/x{space.scale}/{stream}", blur.parameters.shape[1:])
    spans = drawn.new_tensor([space.sigma_max - space.sigma_min, space.sigma_max - space.sigma_min, torch.pi])
    moved = blur.parameters + amount * spans * (2 * drawn - 1)
    sigmas = moved[..., :2].clamp(space.sigma_min, space.sigma_max)
    return Blur(torch.cat((sigmas, moved[..., 2:]), -1), blur.weights)


def choose(condition: Tensor, first: Blur, second: Blur) -> Blur:
    """Of two blurs of a batch, for each image the first where the condition (B,) holds, else the second."""
    parameters = torch.where(condition[:, None, None], first.parameters, second.parameters)
    if first.weights is None or second.weights is None:
        return Blur(parameters)
    return Blur(parameters, torch.where(condition[:, None, None, None], first.weights, second.weights))


def _regions(seed: int, sample_ids: Tensor, stream: str, size: tuple[int, int]) -> Tensor:
    """(B, R, h, w) in float64: softmax over R random planes, whose seams are straight and of random width."""
    u = SampleRandom(seed).uniform(sample_ids, stream, (REGIONS, 4))
    height, width = size
    y = torch.arange(height, dtype=u.dtype, device=u.device)[:, None] - (height - 1) * u[..., 0, None, None]
    x = torch.arange(width, dtype=u.dtype, device=u.device)[None, :] - (width - 1) * u[..., 1, None, None]
    angle = 2 * torch.pi * u[..., 2, None, None]
    softness = HARDEST * (SOFTEST / HARDEST) ** u[:, :1, 3, None, None]
    # The difference of two planes has a slope of order 1: from one region to the next in about four units.
    return torch.softmax((angle.cos() * x + angle.sin() * y) / softness * 4, 1)
