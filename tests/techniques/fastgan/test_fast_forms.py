"""What makes FastGAN fast on CPUs changes no number: whole networks against their plain forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.random import SampleRandom
from octosr.nn import convolution
from octosr.techniques.fastgan import enlarging, layers
from octosr.techniques.fastgan.discriminator import Discriminator, crop_quadrant
from octosr.techniques.fastgan.draws import noise_maps
from octosr.techniques.fastgan.generator import Generator

MODULES = (layers, enlarging, convolution)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        monkeypatch.setattr(module, "suits", lambda images: False)


def passes(generator: Generator, discriminator: Discriminator) -> list[Tensor]:
    """Images, scores, reconstructions, and the gradients of all parameters of both networks, in float64."""
    ids = torch.arange(4)
    noise = noise_maps(SampleRandom(0), ids, generator.noise_sides, "x", torch.float64)
    pair = generator(SampleRandom(1).normal(ids, "z", (8,)), noise)
    logits, made = discriminator(*pair, torch.tensor(2))
    assert made is not None
    loss = sum((x.sin() * 3).sum() for x in (*pair, logits, *made))
    parameters = [*generator.parameters(), *discriminator.parameters()]
    return [x.detach() for x in (*pair, logits, *made, *torch.autograd.grad(loss, parameters))]


def test_both_networks_equal_their_plain_forms_with_all_gradients(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    torch.manual_seed(0)
    generator, discriminator = Generator(64, 4, 8).double(), Discriminator(64, 4).double()
    for network in (generator, discriminator):
        for layer in network.modules():
            if isinstance(layer, layers.Noise):
                torch.nn.init.ones_(layer.strength)
    used: list[str] = []

    def spied(module: object, name: str) -> None:
        inner = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *inputs: (used.append(name), inner(*inputs))[1])

    for module, least in ((enlarging, "LEAST_SIDE"), (convolution, "LEAST_BLOCKS")):
        monkeypatch.setattr(module, "LEAST_CHANNELS", 1)
        monkeypatch.setattr(module, least, 1)
    spied(enlarging, "doubling_conv")
    spied(convolution, "conv3x3")
    spied(layers._Gate, "apply")
    found = passes(generator, discriminator)
    assert min(used.count(name) for name in ("doubling_conv", "conv3x3", "apply")) > 5
    used.clear()
    request.getfixturevalue("plain")
    expected = passes(generator, discriminator)
    assert not used
    for one, two in zip(found, expected, strict=True):
        assert float((one - two).norm()) < 1e-10 * max(float(two.norm()), 1)


@pytest.mark.parametrize("numbers", [8, 2**16])
def test_the_gate_is_torchs_glu_with_its_gradient(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    monkeypatch.setattr(layers, "_GATE_NUMBERS", numbers)
    torch.manual_seed(0)
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64).to(memory_format=torch.channels_last).requires_grad_()
    found, expected = layers.gate(x), F.glu(x, dim=1)
    assert torch.equal(found, expected)
    for layout in (torch.channels_last, torch.contiguous_format):
        gradient = torch.randn_like(expected, memory_format=layout)
        one, two = (torch.autograd.grad(y, x, gradient, retain_graph=True)[0] for y in (found, expected))
        torch.testing.assert_close(one, two, rtol=1e-13, atol=1e-13)


def test_the_quadrant_may_be_a_tensor() -> None:
    x = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    square = F.pad(x, (0, 0, 0, 2))
    for quadrant in range(4):
        assert torch.equal(crop_quadrant(square, torch.tensor(quadrant)), crop_quadrant(square, quadrant))
