"""Adaptive pseudo augmentation: how often the discriminator is shown a generated image as a real one.

L. Jiang, B. Dai, W. Wu, C. C. Loy, "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data",
NeurIPS 2021. A discriminator that has learnt a small dataset by heart gives every real image a positive score. Then it
is deceived: with probability p an image of the generator takes the place of a real one, and the discriminator is told
that it is real. How sure the discriminator is of reals, the mean sign of their scores, is compared with a target, and
p goes up or down at a constant speed.

A discriminator that separates perfectly gives the pseudo samples a negative score, so the mean sign is 1 - 2p, and p
settles at (1 - target) / 2: at 0.2 for the published target of 0.6.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from octosr.errors import ConfigError


class Signs(NamedTuple):
    """Means over the discriminator's scores since the last change of p: ``shown`` over all that were called real,
    ``real`` over those that are real; () each. Where there were none, 0."""

    shown: Tensor
    real: Tensor


class PseudoAugmentation(nn.Module):
    """The probability p and what it is driven by; all of it in buffers, so that checkpoints hold it.

    Args:
        target: t, the mean sign at which p stays as it is; None: p stays at ``start``.
        kimg: thousands of images shown in which p would go from 0 to 1.
        interval: iterations between two changes.
        start: the first p.
        most: p is never above it (the public code has no bound, and there p may pass 1).

    Attributes:
        p: the probability, ().
        sums: since the last change: sum of signs and count of all scores of images called real, and the same for those
            that were real; (4,).

    Raises:
        ConfigError: a value is out of range.
    """

    p: Tensor
    sums: Tensor

    def __init__(
        self,
        target: float | None = 0.6,
        kimg: float = 500.0,
        interval: int = 4,
        start: float = 0.0,
        most: float = 1.0,
    ) -> None:
        super().__init__()
        if target is not None and not -1 <= target <= 1:
            raise ConfigError(f"technique.apa_target is a mean of signs, from -1 to 1, or null, but is {target}.")
        if kimg <= 0 or interval < 1:
            raise ConfigError(f"technique.apa_kimg and apa_interval must be above 0, but are {kimg} and {interval}.")
        if not 0 <= start <= most <= 1:
            raise ConfigError(f"It must be 0 <= technique.apa_start <= apa_most <= 1, but they are {start} and {most}.")
        self.target, self.kimg, self.interval, self.most = target, float(kimg), int(interval), float(most)
        self.register_buffer("p", torch.tensor(float(start), dtype=torch.float64))
        self.register_buffer("sums", torch.zeros(4, dtype=torch.float64))

    def replace(self, real: Tensor, pseudo: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
        """Put pseudo samples in the place of reals.

        Args:
            real: (N, 3, H, W).
            pseudo: as many images of the generator.
            chance: uniform in [0, 1), (N,).

        Returns:
            The images to be called real, and which of them are pseudo samples, bool (N,).
        """
        swapped = chance < self.p
        return torch.where(swapped[:, None, None, None], pseudo, real), swapped

    @torch.no_grad()
    def count(self, scores: Tensor, swapped: Tensor) -> None:
        """Take note of the scores (N,) of images that were called real, and which of them are pseudo samples."""
        signs = scores.sign().to(self.sums.dtype)
        true = (~swapped).to(self.sums.dtype)
        whole = self.sums.new_full((), len(scores))
        self.sums += torch.stack([signs.sum(), whole, (signs * true).sum(), true.sum()])

    @torch.no_grad()
    def adjust(self, images: int, sums: Tensor | None = None) -> Signs:
        """Change p, and begin to count anew.

        Args:
            images: shown since the last change, by all processes.
            sums: the sum of ``sums`` over all processes; None where there is one.
        """
        total = self.sums if sums is None else sums
        shown, real = (total[::2] / total[1::2].clamp(min=1)).unbind()
        if self.target is not None:
            step = (shown - self.target).sign() * (images / (1000 * self.kimg))
            self.p.copy_((self.p + step).clamp(0, self.most))
        self.sums.zero_()
        return Signs(shown, real)

    def adjust_together(self, images: int, processes: int) -> dict[str, Tensor]:
        """:meth:`adjust` by the scores of all processes; p and the mean signs, by the names they are logged under."""
        sums = self.sums.clone()
        if processes > 1:
            torch.distributed.all_reduce(sums)
        shown, real = self.adjust(images, sums)
        return {"p": self.p.clone(), "lambda_r": shown, "lambda_true": real}
