"""Sharpness as metrics, each named for what it is: RMS contrast, variance of the Laplacian, gradient energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional import sharpness

MEASURES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "rms_contrast": sharpness.rms_contrast,
    "laplacian_variance": sharpness.laplacian_variance,
    "tenengrad": sharpness.tenengrad,
}


class _Sharpness(ImageMetric):
    """A measure of the 8-bit grey image; describes an image without judging it, hence without a direction."""

    higher_is_better = None
    minimum_side: ClassVar[int] = 2

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": f"octosr.metrics.functional.{self.default_name}",
            "version": 1,
            "color_space": "8-bit grey as OpenCV's BGR2GRAY",
            "crop_border": 0,
        }

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        height, width = images.shape[-2:]
        if min(height, width) < self.minimum_side:
            raise UnscorableImageError(
                f"{self.name}: the images are {width}x{height} pixels, but both sides must be at least "
                f"{self.minimum_side}.",
                range(len(images)),
            )
        return MEASURES[self.default_name](images)


class RmsContrast(_Sharpness):
    """Standard deviation of the 8-bit grey image; see :func:`octosr.metrics.functional.rms_contrast`.

    >>> import torch
    >>> metric = RmsContrast()
    >>> metric.update(torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2).expand(2, 3, 4, 2), torch.arange(2))
    >>> float(metric.compute())
    127.5
    """

    default_name = "rms_contrast"
    minimum_side = 1


class LaplacianVariance(_Sharpness):
    """Variance of the Laplacian; see :func:`octosr.metrics.functional.laplacian_variance`.

    >>> import torch
    >>> metric = LaplacianVariance()
    >>> metric.update(torch.full((2, 3, 8, 8), 0.5), torch.arange(2))
    >>> float(metric.compute())
    0.0
    """

    default_name = "laplacian_variance"


class Tenengrad(_Sharpness):
    """Mean squared Sobel gradient; see :func:`octosr.metrics.functional.tenengrad`.

    >>> import torch
    >>> metric = Tenengrad()
    >>> metric.update((torch.arange(5) / 255).expand(2, 3, 5, 5), torch.arange(2))
    >>> round(float(metric.compute()), 6)
    38.4
    """

    default_name = "tenengrad"
