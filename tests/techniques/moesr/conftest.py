"""Small MoESRs and images with something in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from octosr.techniques.moesr.module import MoESR
from octosr.techniques.moesr.stage import MoESRStage


@pytest.fixture
def smooth_images() -> Callable[..., Tensor]:
    """``smooth_images(count, height, width, seed)``, see below."""
    return _smooth_images


def _smooth_images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Random pictures with edges and flat parts, 8-bit values, (count, 3, height, width)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, height // 4 + 2, width // 4 + 2, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    images = torch.where(images > 0.6, images, images * 0.5)
    return images.mul(255).round().div(255)


@pytest.fixture
def make_stage() -> Callable[..., MoESRStage]:
    """``make_stage(scale)``: random weights whose experts differ visibly from bicubic."""

    def make(scale: int = 2, **changes: Any) -> MoESRStage:
        torch.manual_seed(scale)
        sizes = {"features": 4, "layers": 3, "ise_features": 3, "kernel_size": {2: 13, 4: 33, 8: 33}[scale]}
        stage = MoESRStage(scale, **(sizes | {"kernel_code": "matrix"} | changes))
        with torch.no_grad():
            for weight in stage.bank.weights[stage.bank.layers - 1 :: stage.bank.layers]:
                weight.mul_(10)
        return stage

    return make


@pytest.fixture
def make_moesr() -> Callable[..., MoESR]:
    """``make_moesr(...)``: a tiny technique."""

    def make(**changes: Any) -> MoESR:
        torch.manual_seed(0)
        settings: dict[str, Any] = {
            "name": "moesr",
            "stages": (2,),
            "features": 4,
            "layers": 3,
            "ise_features": 3,
            "expert_steps": 4,
            "warm_steps": 2,
            "ise_steps": 2,
            "ken_steps": 4,
            "ken_every": 2,
            "ken_pairs": 32,
            "ken_batch": 8,
            "lr_patch": 16,
            "finetune": {"steps": 2},
        }
        return MoESR(**(settings | changes))

    return make
