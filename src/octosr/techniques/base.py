"""The two families of techniques: one HR image per LR image, and synthesis of new images.

:class:`GenerativeTechnique` is described in :mod:`octosr.techniques.generative`, what both share in
:mod:`octosr.techniques.technique`.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric

from octosr.degradation.pipeline import Degradation
from octosr.degradation.resize import resize
from octosr.errors import ConfigError, TrainingError
from octosr.techniques.generative import GenerativeTechnique
from octosr.techniques.technique import Technique
from octosr.techniques.tiling import UNKNOWN_BLEND, UNKNOWN_HALO, Place, TilePass, Tiling

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GenerativeTechnique", "SingleImageTechnique", "Technique", "psnr_per_image"]


class SingleImageTechnique(Technique):
    """One HR image per LR image: ``super_resolve(lr) -> sr``.

    Args:
        name: see :class:`Technique`.
        stages: the scale factors applied one after the other, ``(2, 4)`` for the study's protocol
            (x2, then x4 on its result) or ``(8,)``.
        degradation: how LR images are made from HR images in training and validation; None for
            techniques that are not trained.
        hr_patch: side in pixels of the HR crops this technique wants to be trained on.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[int] = (8,),
        degradation: Degradation | None = None,
        hr_patch: int = 128,
    ) -> None:
        super().__init__(name)
        self.stages = tuple(int(s) for s in stages)
        self.degradation = degradation
        self.hr_patch = hr_patch
        self.val_psnr = MeanMetric()
        self.val_psnr_bicubic = MeanMetric()

    @property
    def scale(self) -> int:
        """The whole upscaling factor, the product of the stages."""
        return math.prod(self.stages)

    @property
    def batches(self) -> bool:
        """Whether each image of a batch comes out as it would alone, up to the last digits.

        ``predict.py`` then enlarges small images together. False where last digits grow, as in a rounding to 8 bits
        between two networks.
        """
        return True

    @abstractmethod
    def super_resolve(self, lr: Tensor) -> Tensor:
        """Super-resolve a batch.

        Args:
            lr: float RGB in [0, 1], (B, 3, h, w).

        Returns:
            float RGB, (B, 3, scale*h, scale*w); not clamped.
        """

    def at_scale(self, scale: int) -> Self:
        """This technique for a smaller factor: its first stages, the networks being shared with this one.

        Raises:
            ConfigError: no number of its first stages has this factor; the message says which factors there are.
        """
        factors = list(accumulate(self.stages, mul))
        if scale not in factors:
            known = ", ".join(f"x{factor}" for factor in factors)
            raise ConfigError(f"{self.name} enlarges {known} (stages {list(self.stages)}), not x{scale}.")
        cut = self._shallow_copy()
        cut.stages = self.stages[: factors.index(scale) + 1]
        return cut

    def _shallow_copy(self) -> Self:
        """Another module with the same parameters and submodules."""
        copied = copy.copy(self)
        for registry in ("_parameters", "_buffers", "_modules"):
            setattr(copied, registry, dict(getattr(self, registry)))
        return copied

    def tiling(self) -> Tiling | None:
        """How images may be cut into tiles, see :mod:`octosr.techniques.tiling`; None: not at all.

        Unless a technique knows better: as one pass of unknown reach, with tiles that overlap and are blended.
        """
        return Tiling((TilePass(self.scale, UNKNOWN_HALO),), UNKNOWN_BLEND, bound=None)

    def find_context(self, view: Tensor) -> Any:
        """What is found once for an image and holds for all its tiles.

        Args:
            view: the whole image or a part of it, (1, 3, h, w), see ``Tiling.view``.
        """
        return None

    def enlarge_tiles(self, number: int, tiles: Tensor, context: Any, places: Sequence[Place]) -> Tensor:
        """One pass on tiles of the same image; it never sees more than them, zero padding included.

        Args:
            number: of the pass, from 0.
            tiles: float RGB, (B, 3, h, w), each with its halo; for passes after the first what the pass before made.
            context: from :meth:`find_context`.
            places: of the B tiles.

        Returns:
            (B, 3, s*h, s*w), s being the pass's scale; not clamped.
        """
        return self.super_resolve(tiles)

    def forward(self, lr: Tensor) -> Tensor:
        """Same as :meth:`super_resolve`."""
        return self.super_resolve(lr)

    def predict_step(self, batch: dict[str, Any], batch_idx: int = 0) -> dict[str, Any]:
        """Super-resolve one evaluation batch; the image writer stores what this returns."""
        return {"name": batch["name"], "sr": self.super_resolve(batch["lr"])}

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        """PSNR of this technique and of bicubic on the same, fixed degradation of held-out images.

        Args:
            batch: ``hr`` (B, 3, H, W) in [0, 1] with sides divisible by ``scale``, and ``sample_id`` (B,).

        Returns:
            ``lr``, ``sr``, ``bicubic`` and ``hr`` of the batch, for whoever wants to show them.
        """
        if self.degradation is None:
            raise TrainingError(f"{self.name} has no degradation: it cannot be validated against HR images.")
        hr = batch["hr"]
        lr = self.degradation(hr, self.scale, batch["sample_id"]).lr
        sr = self.super_resolve(lr).clamp(0, 1)
        bicubic = resize(lr, (hr.shape[-2], hr.shape[-1])).clamp(0, 1)
        self.val_psnr.update(psnr_per_image(sr, hr))
        self.val_psnr_bicubic.update(psnr_per_image(bicubic, hr))
        return {"lr": lr, "sr": sr, "bicubic": bicubic, "hr": hr}

    def on_validation_epoch_end(self) -> None:
        """Log ``val/psnr`` and ``val/psnr_bicubic``, means over all held-out images and processes."""
        for key, metric in (("val/psnr", self.val_psnr), ("val/psnr_bicubic", self.val_psnr_bicubic)):
            self.log(key, metric.compute(), prog_bar=key == "val/psnr", rank_zero_only=False)
            metric.reset()


def psnr_per_image(images: Tensor, reference: Tensor) -> Tensor:
    """PSNR in dB of each image against its reference, RGB, both (B, 3, H, W) in [0, 1]; returns (B,)."""
    mse = (images.double() - reference.double()).square().flatten(1).mean(1)
    return 10 * torch.log10(1 / mse.clamp_min(1e-12))
