"""The fast forms of filters, convolutions and activation equal their plain forms, and can be differentiated twice."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.techniques.apa.activation import finish, leaky_clamp
from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.modulated import demodulation, modulated_conv, modulated_rgb
from octosr.techniques.apa.resample import conv_down, conv_up, image_down, image_up
from octosr.techniques.apa.synthesis import Generator

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64)
FILTER = TAPS[:, None] * TAPS / 64


def up_fir_down(x: Tensor, up: int, before: int, after: int, down: int = 1) -> Tensor:
    """Zeros in between, a rim of zeros, the filter (with gain), every so many pixels: the definition."""
    n, c, h, w = x.shape
    spread = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    spread[..., ::up, ::up] = x
    padded = F.pad(spread, (before, after, before, after))
    kernel = (FILTER * up**2).expand(c, 1, 4, 4)
    return F.conv2d(padded, kernel, groups=c)[..., ::down, ::down]


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def same(one: Tensor, two: Tensor) -> None:
    assert one.shape == two.shape
    assert float((one - two).detach().abs().max()) < 1e-10


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_images_are_resampled_as_by_definition() -> None:
    x = double(2, 3, 6, 10)
    same(image_up(x), up_fir_down(x, 2, 2, 1))
    same(image_down(x), up_fir_down(x, 1, 1, 1, down=2))
    transposed = F.conv_transpose2d(x, (4 * FILTER).expand(3, 1, 4, 4), stride=2, padding=1, groups=3)
    same(image_up(x), transposed)


@pytest.mark.parametrize("form", ["plain", "merged", "phases"])
def test_convolutions_that_resample_equal_their_definition(form: str) -> None:
    x, weight, bias = double(2, 5, 6, 8), double(4, 5, 3, 3), double(4)
    full = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    same(conv_up(x, weight, form), F.conv2d(full, (4 * FILTER).expand(4, 1, 4, 4), padding=1, groups=4))  # type: ignore[arg-type]
    smooth = F.conv2d(x, FILTER.expand(5, 1, 4, 4), padding=2, groups=5)
    same(conv_down(x, weight, bias, form), F.conv2d(smooth, weight, bias, stride=2))  # type: ignore[arg-type]


def test_modulation_equals_weights_made_for_each_image() -> None:
    x, weight, styles = double(3, 5, 6, 6), double(4, 5, 3, 3), double(3, 5)
    w = weight[None] * styles[:, None, :, None, None]
    factors = (w.square().sum((2, 3, 4)) + 1e-8).rsqrt()
    same(demodulation(weight, styles), factors)
    w = w * factors[:, :, None, None, None]
    for up in (False, True):
        out, scale = modulated_conv(x, weight, styles, up=up)
        for i in range(3):
            one = conv_up(x[i : i + 1], w[i]) if up else F.conv2d(x[i : i + 1], w[i], padding=1)
            same((out * scale[:, :, None, None])[i : i + 1], one)


def test_float16_does_not_overflow_and_says_the_same() -> None:
    x, weight, styles = torch.randn(2, 64, 4, 4), 100 * torch.randn(8, 64, 3, 3), 300 * torch.randn(2, 64)
    half, half_scale = modulated_conv(x.half(), weight, styles)
    full, full_scale = modulated_conv(x, weight, styles)
    ours = half.float() * half_scale[:, :, None, None]
    theirs = full * full_scale[:, :, None, None]
    assert ours.isfinite().all()
    assert torch.allclose(ours, theirs, atol=0.01 * float(theirs.abs().max()))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_colours_equal_scaled_inputs(layout: torch.memory_format) -> None:
    x, weight, styles = double(2, 5, 4, 6).contiguous(memory_format=layout), double(3, 5), double(2, 5)
    same(modulated_rgb(x, weight, styles), F.conv2d(x * styles[:, :, None, None], weight[:, :, None, None]))


def finish_plain(x: Tensor, scale: Tensor, noise: Tensor, strength: Tensor, bias: Tensor, bound: float) -> Tensor:
    out = x * scale[:, :, None, None] + noise * strength + bias[None, :, None, None]
    return (F.leaky_relu(out, 0.2) * math.sqrt(2)).clamp(-bound, bound)


@pytest.mark.parametrize("bound", [256.0, 1.0])
@pytest.mark.parametrize("maps", [1, 2])
def test_the_activation_equals_its_plain_form_with_both_derivatives(bound: float, maps: int) -> None:
    scale, noise = torch.rand(2, 3, dtype=torch.float64) + 0.5, double(maps, 1, 4, 4)
    inputs = [double(2, 3, 4, 4), scale, double(1)[0], double(3)]
    for value in inputs:
        value.requires_grad_()
    inputs.insert(2, noise)

    def ours(x: Tensor, *rest: Tensor) -> Tensor:
        return finish(x * 1, *rest, bound)  # type: ignore[arg-type, call-arg]

    same(ours(*inputs), finish_plain(*inputs, bound))  # type: ignore[call-arg]
    assert torch.autograd.gradcheck(ours, inputs)
    assert torch.autograd.gradgradcheck(ours, inputs)
    direction = double(2, 3, 4, 4)
    wanted = [inputs[i] for i in (0, 1, 3, 4)]
    second: list[list[Tensor]] = []
    for function in (ours, lambda *values: finish_plain(*values, bound)):
        first = torch.autograd.grad((function(*inputs) * direction).sum(), wanted, create_graph=True)
        # What the scale's gradient depends on: x, and by the mask all others.
        second.append([*first, *torch.autograd.grad(sum(g.square().sum() for g in first), inputs[:2])])
    for one, two in zip(*second, strict=True):
        same(one, two)


def test_twice_differentiable() -> None:
    x, weight = double(1, 2, 4, 4).requires_grad_(), double(3, 2, 3, 3).requires_grad_()
    styles = double(1, 2).requires_grad_()
    functions: list[tuple[Callable[..., Tensor], list[Tensor]]] = [
        (image_up, [x]),
        (image_down, [x]),
        (lambda x: leaky_clamp(x * 1, 1.0), [x]),
        *((lambda x, w, form=form: conv_up(x, w, form), [x, weight]) for form in ("plain", "merged", "phases")),
        *((lambda x, w, form=form: conv_down(x, w, None, form), [x, weight]) for form in ("plain", "merged", "phases")),
        (lambda x, w, s: modulated_rgb(x, w[:, :, 0, 0], s), [x, weight, styles]),
    ]
    for function, inputs in functions:
        assert torch.autograd.gradgradcheck(function, inputs)


def test_the_main_phases_convolutions_equal_the_others() -> None:
    """Wide enough that fast ones are used, at 64 pixels: images, scores and the gradients of both networks."""
    generator, discriminator = Generator(64, 1 / 8, 2, latent=8).double(), Discriminator(64, 1 / 8, 2).double()
    z, noise = double(2, 8), double(2, generator.synthesis.noise_numbers)
    found = []
    for once in (False, True):
        images = generator.synthesis(generator.styles(z), noise, once=once)
        scores = discriminator(images, once=once)
        parameters = [p for network in (generator, discriminator) for p in network.parameters()]
        gradients = torch.autograd.grad(scores.square().sum(), parameters, allow_unused=True)
        found.append([images, scores, *(g for g in gradients if g is not None)])
    assert "Conv3x3" in names_of_graph(scores)
    for one, two in zip(*found, strict=True):
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-9)


def names_of_graph(value: Tensor) -> str:
    """The names of all nodes that lead to a value."""
    nodes, left = set(), [value.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            left += [parent for parent, _ in node.next_functions]
    return " ".join(node.name() for node in nodes)
