"""A metric that cannot be computed here, where it would not apply either."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from octosr.metrics.base import Definition, ImageMetric


class Inapplicable(ImageMetric):
    """Stands for a metric that compares with a reference, beside images that were generated and have none.

    Its column says "not applicable" whether or not the metric's network is on this machine; it is never asked for a
    score.

    Args:
        name: of the metric.
        compares_with: what it would compare with.
        higher_is_better: its direction.
    """

    default_name = "inapplicable"

    def __init__(self, name: str, compares_with: Literal["hr", "lr"], higher_is_better: bool | None) -> None:
        super().__init__(name)
        self.compares_with = compares_with
        self._higher = higher_is_better

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """The metric's direction."""
        return self._higher

    @property
    def definition(self) -> Definition:
        """Nothing that determines a value."""
        return {"implementation": "none", "reason": "it compares images with references that these cannot have"}

    def _score(self, images: Tensor, reference: Tensor | None) -> Tensor:
        raise NotImplementedError(f"{self.name} does not apply to generated images.")
