"""Fidelity to a reference HR image (PSNR, SSIM, MS-SSIM) and to the LR image (LR consistency)."""

from __future__ import annotations

import importlib.metadata
from typing import ClassVar

from torch import Tensor

from octosr.errors import ConfigError, nearest
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import fidelity, similarity


class _Fidelity(ImageMetric):
    """Compares the inner part of an image with that of its HR reference, in RGB or luma.

    Args:
        color_space: ``rgb``, or ``y`` for the limited-range BT.601 luma of
            :func:`octosr.metrics.functional.y_channel`.
        crop_border: pixels cut off at each side first.
        name: column under which the scores are filed.

    Raises:
        ConfigError: no such colour space or a negative border.
    """

    higher_is_better = True
    compares_with = "hr"
    minimum_side: ClassVar[int] = 1
    """Smallest side in pixels, after the crop."""

    def __init__(self, color_space: str = "rgb", crop_border: int = 0, name: str | None = None) -> None:
        super().__init__(name)
        if color_space not in fidelity.COLOR_SPACES:
            raise ConfigError(
                f"metrics.{self.name}.color_space is one of {', '.join(fidelity.COLOR_SPACES)}, not '{color_space}'."
                f"{nearest(color_space, fidelity.COLOR_SPACES)}"
            )
        if crop_border < 0:
            raise ConfigError(f"metrics.{self.name}.crop_border is a number of pixels, 0 or more, not {crop_border}.")
        self.color_space, self.crop_border = color_space, int(crop_border)

    @property
    def _compared(self) -> Definition:
        return {"color_space": self.color_space, "data_range": 1.0, "crop_border": self.crop_border}

    def _checked(self, images: Tensor, reference: Tensor | None) -> Tensor:
        """The reference, if the images are large enough."""
        assert reference is not None
        height, width = images.shape[-2:]
        if min(height, width) - 2 * self.crop_border < self.minimum_side:
            cropped = f" of which {self.crop_border} are cut off at each side," if self.crop_border else ""
            raise UnscorableImageError(
                f"{self.name}: the images are {width}x{height} pixels,{cropped} but both sides must be at least "
                f"{self.minimum_side}.",
                range(len(images)),
            )
        return reference


class Psnr(_Fidelity):
    """Peak signal-to-noise ratio in dB on [0, 1]; see :func:`octosr.metrics.functional.psnr`.

    An image identical to its reference scores ``inf``, and so does then the mean.

    >>> import torch
    >>> metric = Psnr()
    >>> metric.update(torch.zeros(2, 3, 8, 8), torch.arange(2), torch.full((2, 3, 8, 8), 0.1))
    >>> round(float(metric.compute()), 4)
    20.0
    """

    default_name = "psnr"

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return self._compared | {
            "implementation": "torchmetrics.functional.image.peak_signal_noise_ratio",
            "version": importlib.metadata.version("torchmetrics"),
        }

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        target = self._checked(images, reference)
        return fidelity.psnr(images, target, color_space=self.color_space, crop_border=self.crop_border)


class Ssim(_Fidelity):
    """Structural similarity on [0, 1]; see :func:`octosr.metrics.functional.ssim`.

    >>> import torch
    >>> metric = Ssim()
    >>> images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> metric.update(images, torch.arange(2), images)
    >>> round(float(metric.compute()), 6)
    1.0
    """

    default_name = "ssim"
    minimum_side = similarity.SSIM_WINDOW

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return self._compared | {
            "implementation": "octosr.metrics.functional.ssim",
            "version": 1,
            "window": similarity.SSIM_WINDOW,
            "sigma": similarity.SSIM_SIGMA,
        }

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        target = self._checked(images, reference)
        return similarity.ssim(images, target, color_space=self.color_space, crop_border=self.crop_border)


class MsSsim(_Fidelity):
    """Multi-scale structural similarity on [0, 1]; see :func:`octosr.metrics.functional.ms_ssim`.

    >>> import torch
    >>> metric = MsSsim()
    >>> images = torch.rand(1, 3, 176, 176, generator=torch.Generator().manual_seed(0))
    >>> metric.update(images, torch.arange(1), images)
    >>> round(float(metric.compute()), 6)
    1.0
    """

    default_name = "ms_ssim"
    minimum_side = similarity.MS_SSIM_SIDE

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return self._compared | {
            "implementation": "octosr.metrics.functional.ms_ssim",
            "version": 1,
            "window": similarity.SSIM_WINDOW,
            "sigma": similarity.SSIM_SIGMA,
            "scales": len(similarity.MS_SSIM_WEIGHTS),
        }

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        target = self._checked(images, reference)
        return similarity.ms_ssim(images, target, color_space=self.color_space, crop_border=self.crop_border)


class LrConsistency(ImageMetric):
    """PSNR in dB to the LR input after shrinking back; see :func:`octosr.metrics.functional.lr_consistency`.

    >>> import torch
    >>> metric = LrConsistency()
    >>> metric.update(torch.full((1, 3, 16, 16), 0.6), torch.arange(1), torch.full((1, 3, 2, 2), 0.5))
    >>> round(float(metric.compute()), 4)
    20.0
    """

    higher_is_better = True
    compares_with = "lr"
    default_name = "lr_consistency"

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": "octosr.metrics.functional.lr_consistency",
            "version": 1,
            "kernel": "antialiased bicubic, a = -0.5, clamped, not rounded",
            "color_space": "rgb",
            "data_range": 1.0,
            "crop_border": 0,
        }

    def _check_reference(self, images: Tensor, reference: Tensor) -> None:
        (height, width), (h, w) = images.shape[-2:], reference.shape[-2:]
        fits = height % h == 0 and width % w == 0 and height // h == width // w >= 2
        if len(images) != len(reference) or not fits:
            raise UnscorableImageError(
                f"{self.name}: the images are {tuple(images.shape)} and their LR images {tuple(reference.shape)}; "
                "both sides must be the same whole multiple, at least 2, of those of the LR image.",
                range(len(images)),
            )

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        assert reference is not None
        return fidelity.lr_consistency(images, reference)
