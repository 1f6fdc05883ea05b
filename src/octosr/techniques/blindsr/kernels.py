"""The blurs that BlindSR knows, and the reduction with them.

A kernel is given by (sigma_1, sigma_2, theta): the standard deviations in HR pixels along the direction at angle theta
from +x (right) towards up, and across it. (Elsewhere in OctoSR angles turn from +x towards +y, down: the public code
of BlindSR turns the other way, and weights trained by it are to mean the same here.)

Where we differ from the public code, which has one kernel space (:meth:`KernelSpace.published`): its kernels of 15
pixels have their mean on a pixel, so that LR images are half a pixel off the grid of every common benchmark; they cut
a Gaussian of 4 pixels at 1.75 standard deviations; and below about 0.3 pixels they are one and the same single pixel,
with no gradient. Ours are aligned (``octosr.degradation.aligned``), reach three standard deviations, K = 12 s + 1,
and begin at a fifth of an LR pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from octosr.degradation.aligned import covariances, margin, parameters_of, strided_blur
from octosr.degradation.random import SampleRandom
from octosr.errors import ConfigError

KERNEL_SIZES = {scale: 12 * scale + 1 for scale in (2, 4, 8)}


@dataclass(frozen=True)
class KernelSpace:
    """Which Gaussian kernels there are at one scale, and how images are reduced with them.

    Attributes:
        scale: the factor s.
        size: side K of the kernels in HR pixels, odd.
        sigma_min: the smallest standard deviation in HR pixels, above 0.
        sigma_max: the largest.
        aligned: the mean is moved by ``(s-1)/2``, so that LR pixels lie where bicubic resizing has them; False: it
            is on the centre pixel, as published.

    Raises:
        ConfigError: a value makes no sense.

    >>> KernelSpace.standard(2)
    KernelSpace(scale=2, size=25, sigma_min=0.4, sigma_max=4.0, aligned=True)
    """

    scale: int
    size: int
    sigma_min: float
    sigma_max: float
    aligned: bool = True

    def __post_init__(self) -> None:
        if self.aligned:
            margin(self.size, self.scale)
        elif self.size % 2 == 0 or (self.size - 1) % self.scale:
            raise ConfigError(f"a kernel of {self.size} pixels does not fit x{self.scale}: its side must be odd.")
        if not 0 < self.sigma_min < self.sigma_max:
            raise ConfigError(
                f"standard deviations must be 0 < smallest < largest, not {self.sigma_min} and {self.sigma_max}."
            )

    @classmethod
    def standard(cls, scale: int) -> KernelSpace:
        """Ours: 0.2 to 2 LR pixels, kernels that reach three of the largest standard deviation."""
        return cls(scale, KERNEL_SIZES[scale], 0.2 * scale, 2.0 * scale)

    @classmethod
    def published(cls, scale: int = 2) -> KernelSpace:
        """That of the public code, which is for x2; at other scales its constants times s/2."""
        return cls(scale, 7 * scale + 1, 0.0005 * scale, 2.0 * scale, aligned=False)

    def numbers(self) -> tuple[float, float, float, float]:
        """Size, smallest and largest standard deviation, and whether aligned: what a checkpoint keeps."""
        return float(self.size), self.sigma_min, self.sigma_max, float(self.aligned)

    @classmethod
    def of_numbers(cls, scale: int, numbers: Sequence[float]) -> KernelSpace:
        """The inverse of :meth:`numbers`."""
        size, low, high, aligned = numbers
        return cls(scale, int(size), low, high, bool(aligned))

    @property
    def rim(self) -> int:
        """HR pixels that are lost on each side: the enlarged LR image is the HR image without them."""
        return (self.size - 1) // 2

    def kernels(self, parameters: Tensor) -> Tensor:
        """Kernels with unit sum.

        Args:
            parameters: (..., 3); only squares of the sigmas count.

        Returns:
            (..., K, K), differentiable, dtype and device of ``parameters``.

        >>> space = KernelSpace.standard(2)
        >>> turned = torch.tensor([[2.0, 1.0, 0.3], [1.0, 2.0, 0.3 + torch.pi / 2]])
        >>> bool(torch.allclose(*space.kernels(turned), atol=1e-6))
        True
        """
        first, second, theta = (value[..., None, None] for value in parameters.unbind(-1))
        cos, sin = theta.cos(), theta.sin()
        # From 1/sigma^2, never from an inverted matrix: a thin kernel's covariance is singular in single precision.
        one, two = 2 * first**2, 2 * second**2
        xx = cos**2 / one + sin**2 / two
        xy = sin * cos * (1 / two - 1 / one)
        yy = sin**2 / one + cos**2 / two
        centre = self.size // 2 + ((self.scale - 1) / 2 if self.aligned else 0)
        line = torch.arange(self.size, dtype=parameters.dtype, device=parameters.device) - centre
        x, y = line[None, :], line[:, None]
        kernels = torch.exp(-(xx * x**2 + 2 * xy * x * y + yy * y**2))
        return kernels / kernels.sum((-2, -1), keepdim=True)

    def covariances(self, parameters: Tensor) -> Tensor:
        """Covariance in the order (x right, y down), HR pixels squared, before it is cut and sampled; (..., 2, 2)."""
        squares = parameters[..., :2].square()
        return covariances(torch.cat((squares, -parameters[..., 2:]), -1))

    def canonical(self, parameters: Tensor) -> Tensor:
        """The same kernels, (B, 3), with sigma_1 >= sigma_2 > 0 and theta in [0, pi)."""
        return self.parameters_of(self.covariances(parameters))

    @staticmethod
    def parameters_of(covariances: Tensor) -> Tensor:
        """The inverse of :meth:`covariances`, (B, 2, 2) to (B, 3), with sigma_1 >= sigma_2 and theta in [0, pi)."""
        found = parameters_of(covariances)
        return torch.cat((found[:, :2].clamp_min(0).sqrt(), torch.remainder(-found[:, 2:], torch.pi)), 1)

    def draw(self, seed: int, sample_ids: Tensor, stream: str = "kernel") -> Tensor:
        """Kernels of samples, a function of (seed, sample, stream): both sigmas and the angle uniform; float64 (B, 3).

        Args:
            seed: any.
            sample_ids: int64, (B,).
            stream: what the kernel is for.
        """
        u = SampleRandom(seed).uniform(sample_ids, f"blindsr/x{self.scale}/{stream}", (3,))
        sigmas = self.sigma_min + (self.sigma_max - self.sigma_min) * u[:, :2]
        return torch.cat((sigmas, torch.pi * u[:, 2:]), 1)

    def degrade(self, hr: Tensor, kernels: Tensor) -> Tensor:
        """Blur and shrink, not rounded: every s-th value of the correlation without padding.

        Args:
            hr: (B, C, H, W), sides divisible by s.
            kernels: (B, K, K).

        Returns:
            (B, C, (H-K+1)/s, (W-K+1)/s), the LR image of ``hr`` but for :attr:`rim`.
        """
        return strided_blur(hr, kernels, self.scale)

    def inside(self, hr: Tensor) -> Tensor:
        """What of an HR image :meth:`degrade` leaves: the size of the enlarged LR image, ``rim`` less on each side."""
        rim = self.rim
        return hr[..., rim : hr.shape[-2] - rim, rim : hr.shape[-1] - rim]
