"""Gradient descent on kernels: those that the discriminator finds least wrong, for all images of a batch together.

The loss of an image is the mean |error| that the discriminator predicts over all its pieces, less a weight times
(sigma_1 + sigma_2): the error says little about a blur that is a bit too wide, and a wide one makes sharp images.
One step a sweep, where the public code makes one a patch. No image's loss depends on another's kernel and Adam treats
every number by itself: the result is that of one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from octosr.techniques.blindsr.errors import error_gradients
from octosr.techniques.blindsr.patches import Pieces
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.shapes import to_parameters, to_shapes
from octosr.techniques.blindsr.stage import BlindSRStage


def refine(
    stage: BlindSRStage,
    pieces: Pieces,
    parameters: Tensor,
    size: tuple[int, int],
    settings: Search,
    penalty: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Improve the kernels of images.

    Args:
        stage: the networks, ``errors.frozen``.
        pieces: of N images.
        parameters: (N, 3), a kernel an image; or (N, 3, gy, gx), a map of kernels.
        size: height and width of the LR images.
        settings: steps, rate, sharpness, tolerance.
        penalty: more to add to the loss: shapes (n, 3, ...) to (n,).

    Returns:
        The best that was found, ``parameters`` included, of their shape and in float64.
    """
    return _Refiner(stage, pieces, parameters, size, settings, penalty).run()


class _Refiner:
    """The optimisation of some images."""

    def __init__(
        self,
        stage: BlindSRStage,
        pieces: Pieces,
        parameters: Tensor,
        size: tuple[int, int],
        settings: Search,
        penalty: Callable[[Tensor], Tensor] | None,
    ) -> None:
        self.stage, self.pieces, self.size, self.settings, self.penalty = stage, pieces, size, settings, penalty
        shapes = to_shapes(parameters.double().movedim(1, -1), stage.space).movedim(-1, 1)
        self.shapes = shapes.detach().clone().requires_grad_()
        self.places = torch.arange(len(shapes), device=shapes.device)  # of the images still optimised
        self.best = shapes.detach().clone()
        self.lowest = shapes.new_full((len(shapes),), float("inf"))
        self.optimizer = self._adam()

    def _adam(self) -> torch.optim.Adam:
        # A cell of a map has a thousandth of the image's derivative: far above this eps, not above the default.
        return torch.optim.Adam([self.shapes], lr=self.settings.rate, eps=1e-12)

    def run(self) -> Tensor:
        """All steps, or until every image is done."""
        settings = self.settings
        before: Tensor | None = None
        for step in range(settings.steps + 1):
            errors = self._evaluate()
            if settings.tolerance > 0 and step % settings.block == 0:
                lowest = self.lowest[self.places]
                if before is not None:
                    keep = before - lowest > settings.tolerance * errors
                    self._retire(keep)
                    lowest = lowest[keep]
                before = lowest
            if not len(self.places):
                break
            if step < settings.steps:
                self._step(step)
        return self._parameters(self.best).movedim(-1, 1)

    def _parameters(self, shapes: Tensor) -> Tensor:
        """(n, 3, ...) to (n, ..., 3)."""
        return to_parameters(shapes.movedim(1, -1), self.stage.space)

    def _evaluate(self) -> Tensor:
        """Losses and gradients of the kernels as they are; keeps the best; the errors alone, (n,)."""
        with torch.enable_grad():
            parameters = self._parameters(self.shapes)
            codes = self.stage.encode(parameters)
            if codes.ndim > 2:
                codes = codes.movedim(-1, 1)
        errors, gradients = error_gradients(self.stage, self.pieces, codes.detach(), self.size)
        with torch.enable_grad():
            rest = -self.settings.sharpness * parameters[..., :2].sum(-1).reshape(len(errors), -1).mean(1)
            if self.penalty is not None:
                rest = rest + self.penalty(self.shapes)
            # The errors' own graph is gone piece by piece; this has their gradient.
            self.optimizer.zero_grad(set_to_none=True)
            ((codes * gradients).sum() + rest.sum()).backward()
        losses = (errors + rest).detach()
        better = losses < self.lowest[self.places]
        self.lowest[self.places] = torch.where(better, losses, self.lowest[self.places])
        self.best[self.places[better]] = self.shapes.detach()[better]
        return errors

    def _step(self, step: int) -> None:
        """One step of Adam; the rate falls to a tenth along a line."""
        self.optimizer.param_groups[0]["lr"] = self.settings.rate * (1 - 0.9 * step / self.settings.steps)
        self.optimizer.step()

    def _retire(self, keep: Tensor) -> None:
        """Go on with some of the images only."""
        if bool(keep.all()):
            return
        state, gradient = self.optimizer.state[self.shapes], self.shapes.grad
        self.places, self.pieces = self.places[keep], self.pieces.of(keep)
        self.shapes = self.shapes.detach()[keep].clone().requires_grad_()
        self.shapes.grad = gradient[keep] if gradient is not None else None
        self.optimizer = self._adam()
        self.optimizer.state[self.shapes] = {
            key: value if value.ndim == 0 else value[keep] for key, value in state.items()
        }
