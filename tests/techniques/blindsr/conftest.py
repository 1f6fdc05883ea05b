"""Small BlindSR stages of random weights, and what their discriminators say of one kernel, plainly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.network import Sizes
from octosr.techniques.blindsr.stage import BlindSRStage


@pytest.fixture
def small_stage() -> Callable[..., BlindSRStage]:
    """``small_stage(scale, published)``: random weights for which kernels make a visible difference."""

    def make(scale: int = 2, published: bool = False, **changes: Any) -> BlindSRStage:
        torch.manual_seed(scale)
        space = KernelSpace.published(scale) if published else KernelSpace.standard(scale)
        sizes = {"code": 5, "features": 8, "growth": 4, "layers": 2, "blocks": 1}
        stage = BlindSRStage(space, Sizes(**(sizes | changes)))
        for module in stage.modules():  # PyTorch's own initialisation: codes are not drowned by images
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.reset_parameters()
        with torch.no_grad():
            stage.generator.encoder.weight.mul_(10)
            stage.discriminator.last.weight.mul_(3)
        return stage

    return make


@pytest.fixture
def predicted_error() -> Callable[..., Tensor]:
    """``predicted_error(stage, lr, enlarged, parameters)``: |D| of one kernel on one image, mean over colours.

    (3, h, w), (3, s*h, s*w), (3,) to (s*h, s*w); differentiable by the kernel.
    """

    def judge(stage: BlindSRStage, lr: Tensor, enlarged: Tensor, parameters: Tensor) -> Tensor:
        codes = stage.generator.encode(stage.space.kernels(parameters)[None])
        made = stage.generator(lr[None], enlarged[None], codes)
        return stage.discriminator(lr[None], made.features, made.codes)[0].abs().mean(0)

    return judge
