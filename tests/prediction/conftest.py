"""Tiny techniques of random weights, and both ways to run them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from octosr.degradation.pipeline import Degradation
from octosr.prediction.tiling import ArraySource, ListSink, upscale
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.dan.module import DAN
from octosr.techniques.moesr.module import MoESR


def moesr(finetune_steps: int = 2) -> MoESR:
    sizes = {"features": 3, "layers": 3, "ise_features": 2, "kernel_sizes": {2: 13, 4: 33}}
    finetune = {"steps": finetune_steps, "crop": 16}
    technique = MoESR(name="moesr", stages=(2, 4), finetune=finetune, gate_crop=25, **sizes)
    for stage in technique.all_stages():
        for steps in (stage.expert_steps, stage.ise_steps, stage.ken_steps):
            steps.fill_(1)
        for weight in stage.bank.weights:
            weight.data.mul_(3)
    return technique


def blindsr(**search: object) -> BlindSR:
    settings = {"levels": 2, "angles": 1, "steps": 1, "crop": 0} | search
    sizes = {"code": 3, "features": 4, "growth": 2, "layers": 2, "blocks": 1}
    technique = BlindSR(name="blindsr", stages=(2, 2), search=settings, **sizes)
    for stage in technique.all_stages():
        stage.generator_steps.fill_(1)
        stage.discriminator_steps.fill_(1)
        for module in stage.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.reset_parameters()
    return technique


def dan(version: int = 2, features: int = 48) -> DAN:
    """48 features: wide enough for the fast convolutions."""
    degradation = Degradation(kind="isotropic", sigma={2: (0.5, 2.0), 4: (0.5, 2.0)}, kernel_size={2: 5, 4: 5}, seed=3)
    sizes = {"features": features, "blocks": 1, "estimator_features": 4, "estimator_blocks": 1, "iterations": 2}
    technique = DAN(
        name="dan",
        degradation=degradation,
        version=version,
        pca_components={2: 3, 4: 3},
        groups=2,
        bicubic_skip=True,
        **sizes,
    )
    for network in technique.networks():
        network.set_pca_basis(torch.linalg.qr(torch.randn(25, 3))[0])
        network.restorer.upscale[-1].reset_parameters()
    return technique


MAKERS: dict[str, Callable[[], SingleImageTechnique]] = {
    "moesr": moesr,
    "blindsr": blindsr,
    "blindsr-spatial": lambda: blindsr(spatial=True, cell=8, window=8),
    "dan": dan,
}


@pytest.fixture
def make() -> Callable[..., SingleImageTechnique]:
    """``make("dan", version=1)``."""

    def build(name: str, **changes: object) -> SingleImageTechnique:
        torch.manual_seed(0)
        return MAKERS[name](**changes)

    return build


@pytest.fixture
def image() -> Callable[[int, int], Tensor]:
    """``image(height, width)``, noise: every pixel counts."""
    return lambda height, width: torch.rand(3, height, width, generator=torch.Generator().manual_seed(height * width))


def tiled(technique: SingleImageTechnique, lr: Tensor, **settings: object) -> Tensor:
    sink = ListSink()
    upscale(technique, ArraySource(lr), sink, **settings)  # type: ignore[arg-type]
    return sink.image()


@pytest.fixture(name="tiled")
def tiled_fixture() -> Callable[..., Tensor]:
    """``tiled(technique, lr, tile=16)``: the enlarged image."""
    return tiled
