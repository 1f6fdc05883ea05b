"""Small MoESRs of random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from octosr.techniques.moesr.module import MoESR
from octosr.techniques.moesr.stage import MoESRStage


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
