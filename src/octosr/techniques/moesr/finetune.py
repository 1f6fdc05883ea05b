"""Fine-tuning of the chosen experts on the images themselves, all images of a batch at once.

The losses are DualSR's cycles (Emad, Peemen & Corporaal, WACV 2021) with the kernel held fixed: x is a small crop of
the LR image, y a large one that stands in for an HR image, U the expert, D_k blurring and shrinking with the kernel.

* forward cycle: D_k(U(x)) is x;
* backward cycle: U(D_k(y)) is y, and every level of U makes the reduction of y that belongs there;
* masked interpolation: where bicubic interpolation sees no edge, U(x) is the interpolation.

The weights of the images' experts are stacked, so that one grouped convolution a layer serves them all. No image's
loss depends on another's weights and Adam treats every number by itself: the result is that of one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from octosr.cores import map_on_cores
from octosr.errors import ConfigError
from octosr.nn import chain
from octosr.techniques.moesr.bank import Stack
from octosr.techniques.moesr.plan import Block, Plan, crop_sizes, one_cycle
from octosr.techniques.moesr.stage import MoESRStage
from octosr.techniques.presets import from_preset

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"steps": 1000, "crop": 128, "max_rate": 1e-5, "tolerance": None},
    "fast": {"steps": 200, "crop": 64, "max_rate": 5e-5, "tolerance": 0.01},
}


@dataclass(frozen=True)
class FineTuning:
    """How to fine-tune.

    Attributes:
        steps: optimiser steps; 0: none.
        crop: side of the large crops in LR pixels, reduced where an image is smaller.
        max_rate: the highest learning rate of the one-cycle schedule.
        tolerance: an image is done when the mean loss of a block of steps is not lower than the block's before by
            this share; None: never before ``steps``.
        block: steps whose crops are prepared together.
        div_factor: the schedule begins at ``max_rate / div_factor``.
        beta1: of Adam. The public code says 0.5, but its schedule cycles it between 0.95 and 0.85; ``official_quirks``
            does so.
        cycle: weight of the cycle losses.
        interpolation: weight of the masked interpolation.
        real: the input is a photograph and no synthetic reduction: noise is added to D_k(y), and no rim is left out.
        noise: its standard deviation.
        official_quirks: crops and schedule as the public code has them.
        seed: of the crops and the noise.
    """

    steps: int = 1000
    crop: int = 128
    max_rate: float = 1e-5
    tolerance: float | None = None
    block: int = 25
    div_factor: float = 10.0
    beta1: float = 0.5
    cycle: float = 5.0
    interpolation: float = 1.0
    real: bool = False
    noise: float = 0.04
    official_quirks: bool = False
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any], **fixed: Any) -> FineTuning:
        """From a preset (``preset``: fast or paper) and what differs from it; None stands for the preset's value.

        Raises:
            ConfigError: an unknown preset or setting, or a value that makes no sense.
        """
        made = from_preset(cls, "technique.finetune", PRESETS, settings, **fixed)
        if made.steps < 0 or made.block < 1 or made.crop < 1 or min(made.max_rate, made.div_factor) <= 0:
            raise ConfigError(f"technique.finetune makes no sense: {made}")
        return made


def fine_tune(stage: MoESRStage, lr: Tensor, parameters: Tensor, settings: FineTuning) -> Tensor:
    """Choose, fine-tune and apply an expert for every image.

    Args:
        stage: the experts.
        lr: (B, 3, h, w) in [0, 1], at least ``stage.smallest_side`` a side.
        parameters: (B, 3), the kernel of each image; the losses use it as it is, not the grid's nearest.
        settings: how.

    Returns:
        (B, 3, s*h, s*w), not clamped.
    """
    return enlarge_with(tuned_experts(stage, lr, parameters, settings), lr)


def tuned_experts(stage: MoESRStage, lr: Tensor, parameters: Tensor, settings: FineTuning) -> Stack:
    """The network of every image, chosen and fine-tuned; arguments as for :func:`fine_tune`."""
    # Single precision even in mixed-precision runs: steps of 1e-5 vanish in half precision.
    with torch.autocast(lr.device.type, enabled=False):
        return _tuned(stage, lr, parameters, settings)


def enlarge_with(stack: Stack, lr: Tensor) -> Tensor:
    """Enlarge images (B, 3, h, w), each by its network, or all by one; (B, 3, s*h, s*w), not clamped."""
    single = len(stack.biases[0][0]) == 1

    def enlarge(n: int) -> Tensor:
        own = stack if single else stack.map(lambda t: t[n : n + 1])
        return own.enlarge(lr[None, n : n + 1])[-1][0]

    # One by one: the widest layer of a 1024 x 1024 image alone takes 256 MB.
    with torch.autocast(lr.device.type, enabled=False):
        return torch.cat(map_on_cores(enlarge, range(len(lr)), lr.device))


def _tuned(stage: MoESRStage, lr: Tensor, parameters: Tensor, settings: FineTuning) -> Stack:
    experts, symmetries = stage.grid.choose(parameters, settings.official_quirks)
    stack = stage.bank.turned_stack(experts, symmetries, settings.official_quirks)
    return tune_stack(stage, stack, lr, parameters, settings) if settings.steps else stack


def tune_stack(stage: MoESRStage, stack: Stack, lr: Tensor, parameters: Tensor, settings: FineTuning) -> Stack:
    """Fine-tune the network of each image; a new stack."""
    parts = 1
    if lr.device.type == "cpu":
        # Fast convolutions run one network at a time: then an image's maps alone are in the cache.
        fast = stack.winograd and chain.suits(lr, stack.weights[0])
        parts = len(lr) if fast else min(torch.get_num_threads(), len(lr))
    shares = torch.arange(len(lr), device=lr.device).tensor_split(parts)
    tuned = map_on_cores(
        lambda share: _Tuner(stage, stack.map(lambda t: t[share]), lr[share], parameters[share], settings).run(),
        shares,
        lr.device,
    )
    columns = zip(*(part.tensors() for part in tuned), strict=True)
    return stack.like([torch.cat(column) for column in columns])


class _Tuner:
    """The optimisation of some images."""

    def __init__(self, stage: MoESRStage, stack: Stack, lr: Tensor, parameters: Tensor, settings: FineTuning) -> None:
        self.stage, self.settings = stage, settings
        self.sizes = crop_sizes(lr.shape[-2:], stage, settings.crop, settings.real, settings.official_quirks)
        self.plan = Plan(stage, lr, parameters, self.sizes, settings)
        self.stack = stack.map(lambda t: t.detach().clone().requires_grad_())
        self.final = stack.map(lambda t: t.detach().clone())
        self.places = torch.arange(len(lr), device=lr.device)  # of the images still optimised
        self.optimizer = self._adam()

    def _adam(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.stack.tensors(), betas=(self.settings.beta1, 0.999), fused=True)

    def run(self) -> Stack:
        """All steps, or until every image is done."""
        settings = self.settings
        rates, momenta = one_cycle(settings.steps, settings.max_rate, settings.div_factor)
        before: Tensor | None = None
        for start in range(0, settings.steps, settings.block):
            steps = range(start, min(start + settings.block, settings.steps))
            with torch.no_grad():
                block = self.plan.block(steps)
            total = block.x.new_zeros(len(self.places))
            for number, step in enumerate(steps):
                group = self.optimizer.param_groups[0]
                group["lr"] = rates[step]
                if settings.official_quirks:
                    group["betas"] = (momenta[step], 0.999)
                total += self._step(block, number)
            mean = total / len(steps)
            if settings.tolerance is not None and before is not None:
                keep = mean < before * (1 - settings.tolerance)
                self._retire(~keep)
                mean = mean[keep]
            before = mean
            if not len(self.places):
                break
        self._retire(torch.ones(len(self.places), dtype=torch.bool, device=self.places.device))
        return self.final

    def _step(self, block: Block, number: int) -> Tensor:
        """One step of Adam; the loss of each image."""
        with torch.enable_grad():
            losses = block.losses(self.stage, self.stack, number, self.settings)
            self.optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()
        self.optimizer.step()
        return losses.detach()

    def _retire(self, done: Tensor) -> None:
        """Take images out of the optimisation and keep their weights."""
        if not bool(done.any()):
            return
        with torch.no_grad():
            for final, tensor in zip(self.final.tensors(), self.stack.tensors(), strict=True):
                final[self.places[done]] = tensor[done]
        state = [self.optimizer.state[t] for t in self.stack.tensors()]
        keep = ~done
        self.places, self.plan = self.places[keep], self.plan.subset(keep)
        self.stack = self.stack.map(lambda t: t.detach()[keep].clone().requires_grad_())
        self.optimizer = self._adam()
        for tensor, old in zip(self.stack.tensors(), state, strict=True):
            self.optimizer.state[tensor] = {
                key: value if value.ndim == 0 else value[keep] for key, value in old.items()
            }
