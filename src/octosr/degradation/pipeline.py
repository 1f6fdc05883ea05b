"""From HR images to LR images: blur, shrink, optional noise, 8 bits.

The classical degradation of blind super-resolution, as in DAN (Luo et al., NeurIPS 2020,
arXiv:2010.02631; DANv2, arXiv:2105.06878): ``LR = round8(clamp(bicubic(k * HR) + n))``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar, get_args

import torch
from torch import Tensor

from octosr.degradation.blur import blur
from octosr.degradation.kernels import anisotropic_kernels, check_size, dirac_kernels, disturb, isotropic_kernels
from octosr.degradation.pca import fit_pca
from octosr.degradation.random import SampleRandom
from octosr.degradation.resize import downsample
from octosr.errors import ConfigError

Kind = Literal["isotropic", "anisotropic", "none"]
_T = TypeVar("_T")


class Degraded(NamedTuple):
    """LR images (B, 3, ceil(H/s), ceil(W/s)) and the kernels (B, l, l) they were blurred with."""

    lr: Tensor
    kernel: Tensor


class Degradation:
    """Degrades batches; what a sample gets depends on the seed and its id alone, never on the batch.

    Plain data without state: it can be copied, pickled and shared, and works on the device it is given.
    The arithmetic is in float64 throughout, so that the final rounding to 8 bits comes out the same
    for a batch and for single images, on a CPU and on a GPU.

    Args:
        kind: ``isotropic``, ``anisotropic`` or ``none`` (no blur, the classical bicubic LR).
        sigma: for each scale, the range [low, high] in HR pixels from which standard deviations are drawn.
        kernel_size: for each scale, the odd side of the kernel in HR pixels.
        disturbance: each tap is multiplied by ``1 + U[0, disturbance]``, then the sum restored.
        noise: the range [low, high] of the standard deviation of white Gaussian noise on the LR image,
            in units of the image range (15/255 is 0.059); [0, 0] for none.
        quantise: round LR to multiples of 1/255. Rounding has no gradient: turn it off to differentiate
            the LR image by the HR image.
        seed: of all randomness.

    Raises:
        ConfigError: a value makes no sense; the message names its key.
    """

    def __init__(
        self,
        *,
        kind: Kind,
        sigma: Mapping[int, Sequence[float]],
        kernel_size: Mapping[int, int],
        disturbance: float = 0.0,
        noise: Sequence[float] = (0.0, 0.0),
        quantise: bool = True,
        seed: int = 0,
    ) -> None:
        if kind not in get_args(Kind):
            raise ConfigError(f"degradation.kind={kind!r} is unknown: choose one of {', '.join(get_args(Kind))}")
        self.kind: Kind = kind
        self._sigma = {int(s): _range(f"degradation.sigma.{s}", r, above_zero=True) for s, r in sigma.items()}
        self._kernel_size = {int(s): int(size) for s, size in kernel_size.items()}
        for size in self._kernel_size.values():
            check_size(size)
        self.disturbance = float(disturbance)
        if not 0 <= self.disturbance < math.inf:
            raise ConfigError(f"degradation.disturbance must be 0 or more, not {disturbance}")
        self.noise = _range("degradation.noise", noise)
        self.quantise = bool(quantise)
        self.seed = int(seed)

    def kernel_size(self, scale: int) -> int:
        """Side l of the kernels at this scale.

        Raises:
            ConfigError: none is configured.
        """
        return _at_scale("degradation.kernel_size", self._kernel_size, scale, "an odd number of pixels")

    def sigma(self, scale: int) -> tuple[float, float]:
        """Range of the standard deviations at this scale in HR pixels.

        Raises:
            ConfigError: none is configured.
        """
        return _at_scale("degradation.sigma", self._sigma, scale, "[low,high] in pixels")

    def sample_kernels(self, scale: int, sample_ids: Tensor) -> Tensor:
        """The blur kernels of samples.

        Args:
            scale: the scale factor whose ranges hold.
            sample_ids: int64, (B,).

        Returns:
            Unit sum, float64, (B, l, l), on the device of ``sample_ids``.

        Raises:
            ConfigError: kernel size or sigma range of this scale is not configured.
        """
        size = self.kernel_size(scale)
        if self.kind == "none":
            return dirac_kernels(len(sample_ids), size, sample_ids.device)
        low, high = self.sigma(scale)
        random = SampleRandom(self.seed)

        def draw(stream: str) -> Tensor:
            return random.uniform(sample_ids, f"x{scale}/{stream}")

        sigma_x = low + (high - low) * draw("sigma_x")
        if self.kind == "isotropic":
            kernels = isotropic_kernels(sigma_x, size)
        else:
            sigma_y = low + (high - low) * draw("sigma_y")
            theta = math.pi * (2 * draw("theta") - 1)
            kernels = anisotropic_kernels(sigma_x, sigma_y, theta, size)
        if self.disturbance:
            taps = random.uniform(sample_ids, f"x{scale}/disturbance", (size, size))
            kernels = disturb(kernels, self.disturbance, taps)
        return kernels

    def __call__(self, hr: Tensor, scale: int, sample_ids: Tensor) -> Degraded:
        """Make LR images.

        Args:
            hr: floating point RGB in [0, 1], (B, 3, H, W), any sides larger than half a kernel.
            scale: the factor s to shrink by.
            sample_ids: int64, (B,); the same id gives the same kernel and noise every time.

        Returns:
            ``lr`` in [0, 1] and ``kernel``, on the device of ``hr``; float64 if ``hr`` is, else float32.

        Raises:
            ConfigError: the scale is not configured, or the images are too small for its kernels.
        """
        if hr.ndim != 4 or sample_ids.shape != hr.shape[:1]:
            raise ValueError(
                f"hr (B, 3, H, W) and sample_ids (B,) expected, not {tuple(hr.shape)} and {tuple(sample_ids.shape)}"
            )
        sample_ids = sample_ids.to(hr.device)
        kernels = self.sample_kernels(scale, sample_ids)
        images = hr.double()
        if self.kind != "none":
            images = blur(images, kernels)
        lr = downsample(images, scale)
        if self.noise[1] > 0:
            lr = lr + self._noise(scale, sample_ids, lr.shape[1:])
        lr = lr.clamp(0, 1)
        if self.quantise:
            lr = torch.round(lr * 255) / 255
        kind = torch.float64 if hr.dtype == torch.float64 else torch.float32
        return Degraded(lr.to(kind), kernels.to(kind))

    def pca_basis(
        self, scale: int, components: int, samples: int = 30_000, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Principal components of the kernels this degradation draws at a scale, see :mod:`~octosr.degradation.pca`.

        The ids -1, -2, ... are drawn, which no training or validation sample has. Kernels that do not vary
        (``kind="none"``) have no principal components: the basis is then orthonormal but arbitrary.

        Args:
            scale: the scale factor.
            components: width p of the code.
            samples: how many kernels to draw; 30,000 in DAN.
            device: where to compute.

        Returns:
            Orthonormal columns, float32, (l^2, p).
        """
        sample_ids = -1 - torch.arange(samples, device=device)
        kernels = torch.cat([self.sample_kernels(scale, ids).float() for ids in sample_ids.split(256)])
        return fit_pca(kernels, components).float()

    def _noise(self, scale: int, sample_ids: Tensor, shape: Sequence[int]) -> Tensor:
        low, high = self.noise
        random = SampleRandom(self.seed)
        level = low + (high - low) * random.uniform(sample_ids, f"x{scale}/noise_level", (1, 1, 1))
        return level * random.normal(sample_ids, f"x{scale}/noise", shape)


def _range(key: str, values: Sequence[float], above_zero: bool = False) -> tuple[float, float]:
    """A checked [low, high]."""
    pair = tuple(float(v) for v in values)
    if len(pair) != 2 or not (0 <= pair[0] <= pair[1] < math.inf) or (above_zero and pair[0] == 0):
        floor = "above 0" if above_zero else "0 or more"
        raise ConfigError(f"{key} must be [low,high] with low {floor} and at most high, not {list(values)}")
    return pair[0], pair[1]


def _at_scale(key: str, values: Mapping[int, _T], scale: int, what: str) -> _T:
    if scale not in values:
        known = ", ".join(f"x{s}" for s in sorted(values)) or "no scale"
        raise ConfigError(f"{key} has no entry for x{scale} (it has {known}): set {key}.{scale} to {what}.")
    return values[scale]
