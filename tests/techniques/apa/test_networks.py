"""StyleGAN2's networks: sizes, shapes at every stage, and a slow float64 form of the same."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.errors import ConfigError
from octosr.techniques.apa.discriminator import Block, Discriminator, EqualConv, minibatch_deviation
from octosr.techniques.apa.layers import sides
from octosr.techniques.apa.synthesis import Generator, StyledConv, Synthesis


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("resolution", "width", "layers", "mapping", "synthesis", "discriminator"),
    [
        (1024, 1.0, 2, 525_312, 28_268_812, 29_012_513),
        (1024, 1.0, 8, 2_101_248, 28_268_812, 29_012_513),
        (256, 0.5, 8, 2_101_248, 22_666_210, 24_001_089),
    ],
)
def test_parameter_counts_are_the_published_ones(
    resolution: int, width: float, layers: int, mapping: int, synthesis: int, discriminator: int
) -> None:
    with torch.device("meta"):
        generator, judge = Generator(resolution, width, layers), Discriminator(resolution, width, 4)
    assert (count(generator.mapping), count(generator.synthesis), count(judge)) == (mapping, synthesis, discriminator)
    assert generator.synthesis.styles == 2 * int(math.log2(resolution)) - 2


@pytest.mark.parametrize("resolution", [256, 512, 1024])
def test_shapes_at_every_stage(resolution: int) -> None:
    seen: list[tuple[int, ...]] = []
    with torch.device("meta"):
        generator, judge = Generator(resolution, 1.0, 2), Discriminator(resolution, 1.0, 4)
        for module in (*generator.synthesis.convs, *judge.blocks):
            module.register_forward_hook(lambda module, args, out: seen.append(tuple(out.shape[1:])))
        images = generator(torch.zeros(2, 512))
        assert images.shape == (2, 3, resolution, resolution)
        assert judge(images).shape == (2,)
    table = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
    up = [(table[side], side, side) for side in sides(resolution) for _ in range(1 if side == 4 else 2)]
    down = [(table[side // 2], side // 2, side // 2) for side in reversed(sides(resolution)[1:])]
    assert seen == up + down


def grouped_conv(x: Tensor, weight: Tensor, styles: Tensor, up: bool) -> Tensor:
    """A modulated convolution with weights made for each image, and the filter applied by itself."""
    count, outputs = len(x), len(weight)
    w = weight[None] * styles[:, None, :, None, None]
    w = w * (w.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    if up:
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
        out = torch.cat([F.conv_transpose2d(x[i : i + 1], w[i].transpose(0, 1), stride=2) for i in range(count)])
        kernel = (taps[:, None] * taps / 16).expand(outputs, 1, 4, 4)
        return F.conv2d(out, kernel, padding=1, groups=outputs)
    return F.conv2d(x.flatten(0, 1)[None], w.flatten(0, 1), padding=1, groups=count)[0].unflatten(0, (count, outputs))


def plain_synthesis(network: Synthesis, ws: Tensor, noise: Tensor) -> Tensor:
    """The synthesis network step by step as it is published."""
    noises = iter(noise.split([conv.side**2 for conv in network.convs], 1))  # type: ignore[misc, union-attr]
    x, image = network.constant.expand(len(ws), -1, -1, -1), None
    for index, conv in enumerate(network.convs):
        assert isinstance(conv, StyledConv)
        x = grouped_conv(x, conv.weight, conv.affine(ws[:, index]), conv.up)
        x = x + next(noises).view(-1, 1, conv.side, conv.side) * conv.noise_strength + conv.bias[:, None, None]
        x = (F.leaky_relu(x, 0.2) * math.sqrt(2)).clamp(-256, 256)
        if index % 2 == 0:
            colours = network.colours[index // 2]
            styles = colours.affine(ws[:, index + 1]) / math.sqrt(x.shape[1])
            rgb = torch.einsum("oi,ni,nihw->nohw", colours.weight[:, :, 0, 0], styles, x) + colours.bias[:, None, None]
            if image is not None:
                spread = torch.zeros(*image.shape[:2], 2 * image.shape[2], 2 * image.shape[3], dtype=x.dtype)
                spread[..., ::2, ::2] = image
                taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
                kernel = (taps[:, None] * taps / 16).expand(3, 1, 4, 4)
                image = F.conv2d(F.pad(spread, (2, 1, 2, 1)), kernel, groups=3)
            image = rgb if image is None else image + rgb
    assert image is not None
    return image


def plain_score(network: Discriminator, images: Tensor) -> Tensor:
    """The discriminator step by step as it is published."""

    def conv(layer: EqualConv, x: Tensor, gain: float = 1.0, stride: int = 1) -> Tensor:
        size = layer.weight.shape[-1]
        weight = layer.weight / math.sqrt(layer.weight[0].numel())
        if layer.down:
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
            kernel = (taps[:, None] * taps / 64).expand(x.shape[1], 1, 4, 4)
            x = F.conv2d(x, kernel, padding=2 if size == 3 else 1, groups=x.shape[1])
        out = F.conv2d(x, weight, stride=2 if layer.down else 1, padding=0 if layer.down else size // 2)
        if layer.bias is None:
            return out * gain
        out = F.leaky_relu(out + layer.bias[:, None, None], 0.2) * math.sqrt(2) * gain
        return out.clamp(-256 * gain, 256 * gain)

    x = conv(network.from_colours, images)
    for block in network.blocks:
        assert isinstance(block, Block)
        half = math.sqrt(0.5)
        x = conv(block.conv1, conv(block.conv0, x), half) + conv(block.skip, x, half)
    groups = [x[i :: len(x) // 2] for i in range(len(x) // 2)]  # groups of two: images i and i + N/2
    spread = [((g - g.mean(0)).square().mean(0) + 1e-8).sqrt().mean() for g in groups] * 2
    x = torch.cat((x, torch.stack(spread)[:, None, None, None].expand(-1, 1, 4, 4)), 1)
    x = conv(network.conv, x).flatten(1)
    hidden = F.leaky_relu(x @ network.hidden.weight.T / math.sqrt(x.shape[1]) + network.hidden.bias, 0.2) * math.sqrt(2)
    return (hidden @ network.out.weight.T / math.sqrt(hidden.shape[1]) + network.out.bias)[:, 0]


def randomise(module: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_networks_equal_their_slow_form_forwards_and_backwards(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    generator = Generator(32, 1 / 64, 2, latent=8).double().to(memory_format=layout)  # type: ignore[call-overload]
    judge = Discriminator(32, 1 / 64, group=2).double().to(memory_format=layout)  # type: ignore[call-overload]
    randomise(generator)
    randomise(judge)
    ws = torch.randn(4, generator.synthesis.styles, 8, dtype=torch.float64)
    noise = torch.randn(4, generator.synthesis.noise_numbers, dtype=torch.float64)
    parameters = [*generator.synthesis.parameters(), *judge.parameters()]
    fast, slow = generator.synthesis(ws, noise), plain_synthesis(generator.synthesis, ws, noise)
    assert torch.allclose(fast, slow, rtol=1e-10, atol=1e-10)
    ours, theirs = judge(fast), plain_score(judge, slow)
    assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    for one, two in zip(
        torch.autograd.grad(ours.sum(), parameters), torch.autograd.grad(theirs.sum(), parameters), strict=True
    ):
        assert torch.allclose(one, two, rtol=1e-9, atol=1e-9 * float(two.abs().max() + 1))


def test_the_minibatch_deviation_needs_whole_groups() -> None:
    x = torch.randn(6, 3, 4, 4)
    assert minibatch_deviation(x, 3).shape == (6, 4, 4, 4)
    with pytest.raises(ConfigError, match="groups of 4 images, but got 6"):
        minibatch_deviation(x, 4)


def test_truncation_pulls_to_the_average() -> None:
    torch.manual_seed(0)
    generator = Generator(8, 1 / 256, 2, latent=8)
    generator.mapping.track(torch.ones(8) * 100)
    assert torch.allclose(generator.mapping.w_average, torch.full((8,), 0.5))
    z = torch.randn(3, 8)
    assert torch.allclose(generator.styles(z, psi=0.0), generator.mapping.w_average.expand(3, 4, 8))
    half = (generator.mapping(z) + generator.mapping.w_average) / 2
    assert torch.allclose(generator.styles(z, psi=0.5)[:, 2], half)


def test_low_precision_is_kept_to_the_highest_resolutions() -> None:
    torch.manual_seed(0)
    generator, judge = Generator(64, 1 / 64, 2, latent=8), Discriminator(64, 1 / 64, group=2)
    kinds: dict[int, torch.dtype] = {}
    for conv in generator.synthesis.convs:
        conv.register_forward_hook(lambda module, args, out: kinds.__setitem__(module.side, out.dtype))
    z = torch.randn(2, 8)
    full, scores = generator(z), judge(generator(z))
    with torch.autocast("cpu", torch.bfloat16):
        low = generator(z)
        low_scores = judge(full)
    assert kinds == {4: torch.float32} | dict.fromkeys((8, 16, 32, 64), torch.bfloat16)
    assert low.dtype == low_scores.dtype == torch.float32
    assert 0 < float((low - full).abs().max()) < 0.05 * float(full.abs().max())
    assert torch.allclose(low_scores, scores, atol=0.05)
