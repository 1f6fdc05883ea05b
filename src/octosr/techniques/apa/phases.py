"""The four phases of an iteration: what is computed, loss by loss, for one micro-batch.

``Gmain``, ``Greg`` (path lengths, every 4th iteration), ``Dmain``, ``Dreg`` (R1, every 16th): in this order, each
with latents of its own and a step of its network's optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from octosr.degradation.random import SampleRandom
from octosr.techniques.apa.augment import Augmentation
from octosr.techniques.apa.controller import PseudoAugmentation
from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.draws import Draws
from octosr.techniques.apa.losses import logistic, path_lengths, r1_penalty
from octosr.techniques.apa.synthesis import Generator

Network = Callable[..., Tensor]


class Part(NamedTuple):
    """One micro-batch: ``real`` (n, 3, R, R) in [-1, 1], and the random numbers of its images in this phase."""

    real: Tensor
    draws: Draws

    @classmethod
    def of(cls, batch: Mapping[str, Tensor], random: SampleRandom, phase: str, dtype: torch.dtype) -> Part:
        """From ``hr`` (n, 3, R, R) in [0, 1] and ``sample_id`` (n,), with the random numbers of a phase."""
        return cls(batch["hr"].to(dtype) * 2 - 1, Draws(random, batch["sample_id"], phase, dtype))


@dataclass
class Phases:
    """The networks and what happens between them.

    Attributes:
        generator: trained in the G phases.
        discriminator: trained in the D phases.
        pseudo: the controller of pseudo samples.
        augment: of everything the discriminator sees; None: nothing.
        fast_synthesis: the synthesis network for phases without second derivatives, perhaps compiled.
        fast_score: the discriminator likewise.
        noisy: give the synthesis network noise.
        cut: the layer at which this phase changes to the second latent, see
            :func:`~octosr.techniques.apa.draws.style_cut`.
        w_sum: sum of w over the images of this phase so far, and their number in ``w_count``.
    """

    generator: Generator
    discriminator: Discriminator
    pseudo: PseudoAugmentation
    augment: Augmentation | None
    fast_synthesis: Network
    fast_score: Network
    noisy: bool = True
    cut: int = 0
    w_count: int = 0
    w_sum: Tensor = field(default_factory=lambda: torch.zeros(()))

    def begin(self, cut: int) -> None:
        """Begin a phase."""
        self.cut, self.w_count, self.w_sum = cut, 0, torch.zeros_like(self.generator.mapping.w_average)

    def end(self) -> None:
        """End a phase: the average of w moves by the mean over the phase's images."""
        if self.w_count:
            self.generator.mapping.track(self.w_sum / self.w_count)

    def styles(self, draws: Draws) -> Tensor:
        """w of every layer, (n, styles, latent): of one latent up to the cut, of a second one from there."""
        mapping, layers = self.generator.mapping, self.generator.synthesis.styles
        w = mapping(draws.latents(len(mapping.w_average)))
        self.w_sum = self.w_sum + w.detach().sum(0)
        self.w_count += len(w)
        ws = w[:, None].expand(-1, self.cut, -1)
        if self.cut == layers:
            return ws
        second = mapping(draws.latents(len(mapping.w_average), "second"))
        return torch.cat((ws, second[:, None].expand(-1, layers - self.cut, -1)), 1)

    def noise(self, draws: Draws) -> Tensor:
        """New noise for every layer; or zeros, of which its strengths get no gradient and so stay as they are."""
        numbers = self.generator.synthesis.noise_numbers
        if not self.noisy:
            return torch.zeros(len(draws.ids), numbers, dtype=draws.dtype, device=draws.ids.device)
        return draws.maps((numbers,), "noise")

    def score(self, images: Tensor, draws: Draws, purpose: str, network: Network | None = None) -> Tensor:
        """What the discriminator says to images, augmented if asked for, (n,)."""
        if self.augment is not None:
            images = self.augment(images, self.pseudo.p, draws, purpose)
        return (network or self.fast_score)(images)

    def g_main(self, part: Part) -> tuple[Tensor, Tensor]:
        """Losses (n,) of generated images; and the images themselves, detached: the pseudo samples of the D phases."""
        images = self.fast_synthesis(self.styles(part.draws), self.noise(part.draws))
        return logistic(self.score(images, part.draws, "fake"), real=True), images.detach()

    def path_lengths(self, part: Part, create_graph: bool) -> Tensor:
        """Path lengths of half of the images, at least one, (max(n // 2, 1),)."""
        half = max(len(part.real) // 2, 1)
        draws = Draws(part.draws.random, part.draws.ids[:half], part.draws.phase, part.draws.dtype)
        ws = self.styles(draws)
        if not ws.requires_grad:
            ws = ws.requires_grad_()
        images = self.generator.synthesis(ws, self.noise(draws))
        return path_lengths(images, ws, draws.maps(images.shape[1:], "direction"), create_graph)

    def d_fake(self, part: Part) -> Tensor:
        """Losses (n,) of the discriminator on generated images."""
        with torch.no_grad():
            images = self.fast_synthesis(self.styles(part.draws), self.noise(part.draws))
        return logistic(self.score(images, part.draws, "fake"), real=False)

    def d_real(self, part: Part, pseudo: Tensor) -> Tensor:
        """Losses (n,) on images called real: reals, and pseudo samples in the place of some."""
        images, swapped = self.pseudo.replace(part.real, pseudo, part.draws.chance())
        scores = self.score(images, part.draws, "real")
        self.pseudo.count(scores.detach(), swapped)
        return logistic(scores, real=True)

    def r1(self, part: Part, pseudo: Tensor) -> Tensor:
        """R1 penalties (n,) on images called real, drawn anew; by the image before any augmentation."""
        images, swapped = self.pseudo.replace(part.real, pseudo, part.draws.chance())
        images = images.detach().requires_grad_()
        scores = self.score(images, part.draws, "real", self.discriminator)
        self.pseudo.count(scores.detach(), swapped)
        return r1_penalty(scores, images)
