"""An iteration of FastGAN or APA in its straight form, on the networks of a technique; for ``generative_gpu.py``."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from apa_train_step import Implementation
from fastgan_train_step import Straight, inputs
from torch import nn

from octosr.techniques.fastgan.module import FastGAN


def straight_step(technique: Any, lpips: nn.Module, batch: int, device: torch.device) -> Callable[[int], None]:
    """A function that does iteration n, with the copies that it trains on the device.

    Args:
        technique: whose networks are copied.
        lpips: FastGAN's reconstruction loss.
        batch: images an iteration.
        device: where it is done.
    """
    return (
        _fastgan(technique, lpips, batch, device) if isinstance(technique, FastGAN) else _apa(technique, batch, device)
    )


def _fastgan(technique: FastGAN, lpips: nn.Module, batch: int, device: torch.device) -> Callable[[int], None]:
    generator, discriminator = (copy.deepcopy(n).to(device) for n in (technique.generator, technique.discriminator))
    form = Straight(generator, discriminator, lpips.to(device))
    return lambda number: _ignore(form.step(inputs(generator, batch), number % 4))


def _apa(technique: Any, batch: int, device: torch.device) -> Callable[[int], None]:
    networks = (copy.deepcopy(n).to(device) for n in (technique.generator, technique.discriminator))
    form = Implementation(*networks, "scaled", torch.contiguous_format)
    average = [p.detach().clone() for p in form.generator.parameters()]
    side, latent = technique.resolution, len(technique.generator.mapping.w_average)
    real = torch.rand(batch, 3, side, side, device=device) * 2 - 1

    def step(number: int) -> None:
        for phase, interval in technique.intervals.items():
            if number % interval == 0:
                z = torch.randn(batch, latent, device=device)
                noise = torch.randn(batch, form.generator.synthesis.noise_numbers, device=device)
                form.phase(phase, z, noise, real, torch.randn_like(real))
        for mean, parameter in zip(average, form.generator.parameters(), strict=True):
            mean.copy_(parameter.detach().lerp(mean, 0.998))

    return step


def _ignore(value: object) -> None:
    """A step's losses are not looked at."""
