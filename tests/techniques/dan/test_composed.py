"""The upsampler as one convolution equals its layers."""

from __future__ import annotations

import pytest
import torch

from octosr.techniques.dan.composed import LEAST, ComposedUpsampler, composed
from octosr.techniques.dan.layers import upsampler, upsampler_reach
from octosr.techniques.dan.network_v2 import build_v2


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(LEAST, LEAST), (9, 14)])
def test_equals_the_layers_up_to_the_border(scale, size) -> None:
    torch.manual_seed(scale)
    layers = upsampler(6, scale).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    with torch.no_grad():
        assert (ComposedUpsampler(layers, scale)(x) - layers(x)).abs().max() < 1e-12
    assert upsampler_reach(scale) == 2


def test_is_used_in_inference_only() -> None:
    layers, lr = upsampler(4, 2), torch.rand(1, 3, LEAST, LEAST)
    assert composed(layers, 2, lr) is None
    with torch.no_grad():
        assert composed(layers, 2, lr) is not None
        assert composed(layers, 2, lr[..., 1:]) is None
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert composed(layers, 2, lr) is None


def test_inference_equals_what_training_sees() -> None:
    torch.manual_seed(0)
    network = build_v2(4, 5, 3, features=8, blocks=1, groups=1, estimator_features=4, estimator_blocks=1, iterations=2)
    network.set_pca_basis(torch.linalg.qr(torch.randn(25, 3))[0])
    lr = torch.rand(1, 3, 12, 16)
    trained = network(lr, final_estimate=False)
    with torch.inference_mode():
        inferred = network(lr, final_estimate=False)
    assert (trained.sr - inferred.sr).abs().max() < 1e-5
