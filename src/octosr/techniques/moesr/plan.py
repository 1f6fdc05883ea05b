"""Which crops are fine-tuned on, and everything about them that does not depend on the network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from octosr.degradation.aligned import strided_blur, trim
from octosr.degradation.random import SampleRandom
from octosr.degradation.rounding import quantise
from octosr.nn.crops import centre_probabilities, corners, cut, gradient_maps
from octosr.techniques.moesr.bank import Stack
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.stage import SMALLEST_REST, MoESRStage
from octosr.techniques.moesr.training import sobel_magnitude

if TYPE_CHECKING:
    from octosr.techniques.moesr.finetune import FineTuning

_RIM, _SHAVED_ABOVE = 10, 160
_TURN_PROBABILITY = 0.4
_OFFICIAL_SEED = 100


class CropSizes(NamedTuple):
    """Sides in LR pixels: of the rim that is left out, of the image that crops are from, of the two kinds of crops.

    ``backward`` says whether enough is left of a large crop after reduction for the backward cycle.
    """

    rim: int
    height: int
    width: int
    large: int
    small: int
    backward: bool


def crop_sizes(side: Sequence[int], stage: MoESRStage, crop: int, real: bool, official_quirks: bool) -> CropSizes:
    """Sizes for images of a height and width.

    As published: 10 pixels are left out around synthetic images with both sides above 160, sides are cut to multiples
    of the scale, small crops have the side of large ones over the scale. Ours: an image that is smaller than the crops
    has smaller ones, small crops keep at least 8 pixels after the kernel's rim, and the backward cycle
    is left out where fewer are left of large ones.
    """
    scale = stage.scale
    rim = _RIM if not real and min(side) > _SHAVED_ABOVE else 0
    height, width = ((length - 2 * rim) // scale * scale for length in side)
    large = min(crop, height, width) // scale * scale
    small = large // scale
    if not official_quirks:
        small = min(max(small, 2 * stage.margin + SMALLEST_REST), height, width)
    backward = official_quirks or large // scale - 2 * stage.margin >= SMALLEST_REST
    return CropSizes(rim, height, width, large, small, backward)


def one_cycle(steps: int, max_rate: float, div_factor: float) -> tuple[list[float], list[float]]:
    """Learning rate and first beta of every step of PyTorch's one-cycle schedule at its defaults."""
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([parameter], lr=max_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_rate, total_steps=steps, div_factor=div_factor)
    rates, momenta = [], []
    for step in range(steps):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        momenta.append(float(optimizer.param_groups[0]["betas"][0]))
        optimizer.step()
        if step < steps - 1:
            schedule.step()
    return rates, momenta


class Block(NamedTuple):
    """The constants of T steps for N images; the losses of a step.

    x (N, T, 3, a, a), ``mask`` and ``smooth`` (mask times bicubic enlargement) (N, T, 3, sa, sa), the reduced large
    crops (N, T, 3, b, b), what each level should make of them, and the kernels (N, K, K).
    """

    x: Tensor
    mask: Tensor
    smooth: Tensor
    reduced: Tensor | None
    wanted: list[Tensor]
    kernels: Tensor

    def losses(self, stage: MoESRStage, stack: Stack, step: int, settings: FineTuning) -> Tensor:
        """The total loss of each image at step number ``step`` of this block, (N,)."""
        x = self.x[:, step]
        inputs = [x[:, None]] if self.reduced is None else [x[:, None], self.reduced[:, step, None]]
        made = stack.enlarge_all(inputs)
        enlarged = made[-1][0][:, 0]
        restored = strided_blur(enlarged, self.kernels, stage.scale)
        cycle = _l1(restored, trim(x, restored))
        if self.reduced is not None:
            for (_, image), wanted in zip(made, self.wanted, strict=True):
                cycle = cycle + _l1(image[:, 0], trim(wanted[:, step], image))
        smooth = _l1(self.mask[:, step] * enlarged, self.smooth[:, step])
        return settings.cycle * cycle + settings.interpolation * smooth


class Plan:
    """The crops of all steps. Random numbers depend on seed and step alone, so an image's crops on no other image."""

    def __init__(
        self, stage: MoESRStage, lr: Tensor, parameters: Tensor, sizes: CropSizes, settings: FineTuning
    ) -> None:
        self.stage, self.sizes, self.settings = stage, sizes, settings
        rim = sizes.rim
        self.images = lr[..., rim : rim + sizes.height, rim : rim + sizes.width]
        self.kernels = [stage.kernels(parameters, level).to(lr.dtype) for level in range(stage.bank.levels)]
        official_side = sizes.large // stage.scale
        probabilities = centre_probabilities(gradient_maps(self.images), official_side)
        if settings.official_quirks:
            draws = [_official_draws(p.flatten().cpu().numpy(), settings.steps) for p in probabilities]
            centres = torch.stack([torch.from_numpy(c) for c, _ in draws]).to(lr.device)
            self.turned = torch.stack([torch.from_numpy(t) for _, t in draws]).to(lr.device)
        else:
            steps = torch.arange(settings.steps, device=lr.device)
            uniform = SampleRandom(settings.seed).uniform(steps, "moesr/crops", (4,))
            cumulated = probabilities.flatten(1).cumsum(1)
            wanted = (uniform[:, :2].flatten() * cumulated[:, -1:]).contiguous()
            centres = torch.searchsorted(cumulated, wanted, right=True).clamp_max(cumulated.shape[1] - 1)
            centres = centres.unflatten(1, (-1, 2))
            self.turned = (uniform[:, 2:] < _TURN_PROBABILITY).expand(len(lr), -1, -1)
        sides = (sizes.large, sizes.small)
        self.corners = [corners(centres[..., k], side, sizes.height, sizes.width) for k, side in enumerate(sides)]

    def subset(self, keep: Tensor) -> Plan:
        """The plan of some of the images."""
        plan = Plan.__new__(Plan)
        plan.stage, plan.sizes, plan.settings = self.stage, self.sizes, self.settings
        plan.images, plan.turned = self.images[keep], self.turned[keep]
        plan.kernels, plan.corners = [k[keep] for k in self.kernels], [c[keep] for c in self.corners]
        return plan

    def crops(self, steps: range) -> tuple[Tensor, Tensor]:
        """Large (N, T, 3, C, C) and small (N, T, 3, a, a) crops of some steps, turned by 180 degrees now and then.

        Only this turn leaves every Gaussian kernel as it is.
        """
        part = slice(steps.start, steps.stop)
        found = []
        for kind, side in enumerate((self.sizes.large, self.sizes.small)):
            crop = cut(self.images, self.corners[kind][:, part], side)
            turned = self.turned[:, part, kind, None, None, None]
            found.append(torch.where(turned, crop.flip(-2, -1), crop))
        return found[0], found[1]

    def block(self, steps: range) -> Block:
        """Everything about some steps that stays the same whatever the network does."""
        y, x = self.crops(steps)
        scale = self.stage.scale
        enlarged = bicubic(x.flatten(0, 1), scale)
        mask = 1 - sobel_magnitude(enlarged).clamp(0, 1)
        reduced, wanted = None, []
        if self.sizes.backward:
            reduced = self._reduce(y, 0)
            if self.settings.real:
                noise = SampleRandom(self.settings.seed).normal(
                    torch.arange(steps.start, steps.stop, device=x.device), "moesr/noise", tuple(reduced.shape[2:])
                )
                reduced = reduced + self.settings.noise * noise.to(reduced.dtype)
            reduced = quantise(reduced)
            wanted = [*(self._reduce(y, level) for level in range(1, self.stage.bank.levels)), y]
        shape = x.shape[:2]
        return Block(
            x, mask.unflatten(0, shape), (mask * enlarged).unflatten(0, shape), reduced, wanted, self.kernels[0]
        )

    def _reduce(self, y: Tensor, levels_done: int) -> Tensor:
        shrunk = strided_blur(y.flatten(1, 2), self.kernels[levels_done], self.stage.scale >> levels_done)
        return shrunk.unflatten(1, y.shape[1:3])


def _l1(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().flatten(1).mean(1)


def _official_draws(probabilities: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (T, 2) and turns (T, 2) as the public code draws them, from NumPy's old generator with seed 100."""
    random = np.random.RandomState(_OFFICIAL_SEED)
    centres = [random.choice(len(probabilities), steps, p=probabilities) for _ in range(2)]
    turned = random.rand(steps, 2) < _TURN_PROBABILITY
    return np.stack(centres, 1), turned
