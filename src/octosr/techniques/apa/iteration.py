"""One iteration: the losses of its phases go backwards, micro-batch by micro-batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from octosr.techniques.apa.losses import path_penalty
from octosr.techniques.apa.phases import Part, Phases

PATH_DECAY = 0.01
"""Part of the moving average of path lengths that is a step's mean."""


@dataclass
class Iteration:
    """What the phases of one iteration share.

    Attributes:
        phases: the networks and the losses of a micro-batch.
        weights: of the regularisers, by phase, with their intervals multiplied in.
        path_average: the moving average of path lengths, (); changed in place.
        backward: adds a loss's gradients to those that are there.
        mean_over_processes: replaces a tensor by its mean over the processes.
        seen: takes what is to be logged.
        pseudo: the pseudo samples of this iteration, one tensor a micro-batch.
    """

    phases: Phases
    weights: Mapping[str, float]
    path_average: Tensor
    backward: Callable[[Tensor], None]
    mean_over_processes: Callable[[Tensor], None]
    seen: dict[str, Tensor]
    pseudo: list[Tensor] = field(default_factory=list)

    def run(self, phase: str, parts: Sequence[Part], cut: int) -> None:
        """One phase without the optimiser's step.

        Args:
            phase: ``Gmain``, ``Greg``, ``Dmain`` or ``Dreg``; the first one comes before the D phases.
            parts: the micro-batches, the same in all phases.
            cut: see :class:`~octosr.techniques.apa.phases.Phases`.
        """
        self.phases.begin(cut)
        {"Gmain": self._g_main, "Greg": self._g_reg, "Dmain": self._d_main, "Dreg": self._d_reg}[phase](parts)
        self.phases.end()

    def _add(self, losses: Tensor, parts: Sequence[Part], weight: float = 1.0) -> Tensor:
        """Backwards the part of these images (n,) in the mean over all; gives their losses without gradient."""
        self.backward(losses.sum() * (weight / sum(len(part.real) for part in parts)))
        return losses.detach()

    def _g_main(self, parts: Sequence[Part]) -> None:
        losses = []
        for part in parts:
            loss, images = self.phases.g_main(part)
            self.pseudo.append(images)
            losses.append(self._add(loss, parts))
        self.seen["loss_g"] = torch.cat(losses).mean()

    def _g_reg(self, parts: Sequence[Part]) -> None:
        alone = len(parts) == 1
        # The penalty is about the mean over all images, so with micro-batches the lengths are measured beforehand.
        lengths = [self.phases.path_lengths(part, create_graph=alone) for part in parts]
        together = torch.cat([length.detach() for length in lengths])
        mean = together.double().mean()  # the same however the images are shared out
        self.mean_over_processes(mean)
        mean = mean.to(together.dtype)
        self.path_average.lerp_(mean, PATH_DECAY)
        penalty = torch.zeros_like(mean)
        if not alone:
            self.phases.begin(self.phases.cut)
        for part, length in zip(parts, lengths, strict=True):
            measured = length if alone else self.phases.path_lengths(part, create_graph=True)
            share = path_penalty(measured, mean, self.path_average, PATH_DECAY) * (len(length) / sum(map(len, lengths)))
            self.backward(share * self.weights["Greg"])
            penalty += share.detach()
        self.seen |= {"pl": penalty, "pl_mean": self.path_average.clone()}

    def _d_main(self, parts: Sequence[Part]) -> None:
        losses = []
        for part, images in zip(parts, self.pseudo, strict=True):
            # One goes backwards before the other goes forwards, so that one set of feature maps is kept at a time.
            fake = self._add(self.phases.d_fake(part), parts)
            losses.append(fake + self._add(self.phases.d_real(part, images), parts))
        self.seen["loss_d"] = torch.cat(losses).mean()

    def _d_reg(self, parts: Sequence[Part]) -> None:
        penalties = [
            self._add(self.phases.r1(part, images), parts, self.weights["Dreg"])
            for part, images in zip(parts, self.pseudo, strict=True)
        ]
        self.seen["r1"] = torch.cat(penalties).mean()
