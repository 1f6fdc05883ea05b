"""PSNR and SSIM against a reference HR image."""

from __future__ import annotations

import importlib.metadata

from torch import Tensor

from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import fidelity

RGB: Definition = {"color_space": "rgb", "data_range": 1.0, "crop_border": 0}


class Psnr(ImageMetric):
    """Peak signal-to-noise ratio in dB over RGB in [0, 1]; see :func:`octosr.metrics.functional.psnr`.

    An image identical to its reference scores ``inf``, and so does then the mean.

    >>> import torch
    >>> metric = Psnr()
    >>> metric.update(torch.zeros(2, 3, 8, 8), torch.arange(2), torch.full((2, 3, 8, 8), 0.1))
    >>> round(float(metric.compute()), 4)
    20.0
    """

    higher_is_better = True
    compares_with = "hr"
    default_name = "psnr"

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return RGB | {
            "implementation": "torchmetrics.functional.image.peak_signal_noise_ratio",
            "version": importlib.metadata.version("torchmetrics"),
        }

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        assert reference is not None
        return fidelity.psnr(images, reference)


class Ssim(ImageMetric):
    """Structural similarity over RGB in [0, 1]; see :func:`octosr.metrics.functional.ssim`.

    >>> import torch
    >>> metric = Ssim()
    >>> images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> metric.update(images, torch.arange(2), images)
    >>> round(float(metric.compute()), 6)
    1.0
    """

    higher_is_better = True
    compares_with = "hr"
    default_name = "ssim"

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return RGB | {
            "implementation": "octosr.metrics.functional.ssim",
            "version": 1,
            "window": fidelity.SSIM_WINDOW,
            "sigma": fidelity.SSIM_SIGMA,
        }

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        assert reference is not None
        height, width = images.shape[-2:]
        if min(height, width) < fidelity.SSIM_WINDOW:
            raise UnscorableImageError(
                f"{self.name}: the images are {width}x{height} pixels, but the window of SSIM is "
                f"{fidelity.SSIM_WINDOW}x{fidelity.SSIM_WINDOW}.",
                range(len(images)),
            )
        return fidelity.ssim(images, reference)
