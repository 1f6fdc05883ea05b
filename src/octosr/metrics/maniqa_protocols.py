"""The ways to score an image of any size with a network that sees 224x224 pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from octosr.metrics.base import Definition
from octosr.metrics.checks import UnscorableImageError
from octosr.metrics.functional.maniqa import (
    CROP,
    CROPS,
    OFFICIAL_SEED,
    Position,
    enlarged,
    mean_score,
    official_positions,
    pooled_score,
    study_resized,
    uniform_positions,
)


class Protocol(NamedTuple):
    """What happens to an image before and after the network.

    Attributes:
        resized: to 224x224 first, as the study did.
        enlarged: to at least 225 pixels where smaller, as pyiqa does.
        positions: crops for a height and a width.
        pool: from the sums of the crops and how often each counts to the score.
        crops: their number, coinciding ones included.
        positions_are: in words, for the definition.
        pooling: in words, for the definition.
        smallest: shortest side in pixels that can be scored.
    """

    resized: bool
    enlarged: bool
    positions: Callable[[int, int], list[Position]]
    pool: Callable[[Tensor, Sequence[int]], Tensor]
    crops: int
    positions_are: str
    pooling: str
    smallest: int = 1

    @property
    def definition(self) -> Definition:
        """The protocol in plain values."""
        return {
            "resize": f"8 bits, Pillow bicubic to {CROP}x{CROP}" if self.resized else "none",
            "enlargement": f"shorter side up to {CROP} to {CROP + 1}, bilinear" if self.enlarged else "none",
            "crops": self.crops,
            "crop_positions": self.positions_are,
            "pooling": self.pooling,
        }

    def prepare(self, images: Tensor, name: str) -> Tensor:
        """Images as the crops are cut from them.

        Args:
            images: float32 RGB in [0, 1], (B, 3, H, W).
            name: who asks, for the message.

        Returns:
            float32 in [-1, 1], (B, 3, H', W').

        Raises:
            UnscorableImageError: the images are too small for this protocol.
        """
        height, width = images.shape[2:]
        if min(height, width) < self.smallest:
            raise UnscorableImageError(
                f"{name}: random crops of {CROP}x{CROP} need sides of at least {self.smallest} pixels, but the "
                f"image is {width}x{height}. Small images can be scored with metrics.{name}.protocol=study or pyiqa.",
                range(len(images)),
            )
        images = ((study_resized(images) if self.resized else images) - 0.5) / 0.5
        return enlarged(images) if self.enlarged else images


def _whole(height: int, width: int) -> list[Position]:
    return [(0, 0)]


_POOLED = "sum(wf)/(sum(w)+1e-8) over the patches of all crops"
_MEAN = "mean over crops of sum(wf)/sum(w)"
PROTOCOLS: Mapping[str, Protocol] = {
    "study": Protocol(True, True, uniform_positions, pooled_score, CROPS, "uniform grid of pyiqa", _POOLED),
    "study_official": Protocol(True, False, _whole, mean_score, 1, "whole image", _MEAN),
    "pyiqa": Protocol(False, True, uniform_positions, pooled_score, CROPS, "uniform grid of pyiqa", _POOLED),
    "official": Protocol(
        False,
        False,
        official_positions,
        mean_score,
        CROPS,
        f"random, NumPy's legacy generator with seed {OFFICIAL_SEED} for each image, top then left",
        _MEAN,
        smallest=CROP + 1,
    ),
}
"""See :class:`octosr.metrics.maniqa.Maniqa`."""
