"""The two networks against slow references in double precision, written from the description alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from octosr.techniques.blindsr.network import (
    DenseBlock,
    Discriminator,
    Generator,
    Sizes,
    channels_to_phases,
    phases_to_channels,
)

SMALL = {"code": 5, "features": 6, "growth": 3, "layers": 3, "blocks": 2}


def count(network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_are_the_published_ones():
    assert count(DenseBlock(64, 16, 5)) == 127_600
    assert count(Generator(2, 15)) == 538_058
    assert count(Discriminator(2)) == 564_620
    assert [len(Generator(s, 15).trunk.blocks) for s in (2, 4, 8)] == [4, 8, 16]


def slow_phases(image, scale):
    """(C, s*h, s*w) to (C*s*s, h, w), one value after the other."""
    channels, height, width = image.shape
    found = torch.zeros(channels * scale**2, height // scale, width // scale, dtype=image.dtype)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                found[c + channels * (x % scale + scale * (y % scale)), y // scale, x // scale] = image[c, y, x]
    return found


@pytest.mark.parametrize("scale", [2, 4])
def test_order_of_the_phases(scale):
    images = torch.rand(2, 3, 3 * scale, 2 * scale)
    found = phases_to_channels(images, scale)
    for image, channels in zip(images, found, strict=True):
        assert torch.equal(slow_phases(image, scale), channels)
    assert torch.equal(channels_to_phases(found, scale), images)


def slow_conv(x, conv):
    """(C, h, w): a sum over taps of shifted images, zeros outside."""
    weight, bias = conv.weight, conv.bias
    half = weight.shape[-1] // 2
    height, width = x.shape[-2:]
    padded = F.pad(x, (half, half, half, half))
    total = bias[:, None, None].expand(-1, height, width).clone()
    for dy in range(weight.shape[-2]):
        for dx in range(weight.shape[-1]):
            total = total + torch.einsum("oc,chw->ohw", weight[:, :, dy, dx],
                                         padded[:, dy : dy + height, dx : dx + width])  # fmt: skip
    return total


def slow_block(x, block):
    """As the public description: 1x1, ReLU, 3x3, concatenate, ReLU over everything; at the end 1x1 and ReLU."""
    seen = x
    for mix, conv in zip(block.mixes, block.convs, strict=True):
        new = slow_conv(slow_conv(seen, mix).clamp_min(0), conv)
        seen = torch.cat((seen, new)).clamp_min(0)
    return slow_conv(seen, block.last).clamp_min(0)


def slow_trunk(x, trunk):
    x = slow_conv(x, trunk.first).clamp_min(0)
    for block in trunk.blocks:
        x = x + slow_block(x, block)
    return x


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("varying", [False, True])
def test_both_networks_are_their_slow_references(scale, varying):
    torch.manual_seed(0)
    generator, discriminator = (
        Generator(scale, 15, Sizes(**SMALL)).double(),
        Discriminator(scale, Sizes(**SMALL)).double(),
    )
    lr = torch.rand(2, 3, 6, 5, dtype=torch.float64)
    enlarged = torch.rand(2, 3, 6 * scale, 5 * scale, dtype=torch.float64)
    kernels = torch.rand(2, 15, 15, dtype=torch.float64)
    encoder = generator.encoder
    codes = torch.stack([encoder.weight @ kernel.flatten() + encoder.bias for kernel in kernels])
    assert torch.allclose(generator.encode(kernels), codes)
    maps = codes[:, :, None, None].expand(-1, -1, 6, 5)
    if varying:
        maps = maps * torch.rand(2, 1, 6, 5, dtype=torch.float64)
        codes = maps
    made = generator(lr, enlarged, codes)
    errors = discriminator(lr, made.features, codes)
    for n in range(2):
        features = slow_trunk(torch.cat((lr[n], slow_phases(enlarged[n], scale), maps[n])), generator.trunk)
        residual = channels_to_phases(slow_conv(features, generator.last)[None], scale)[0]
        assert torch.allclose(made.features[n], features, atol=1e-12)
        assert torch.allclose(made.sr[n], enlarged[n] + residual, atol=1e-12)
        assert torch.equal(made.codes[n], maps[n])
        judged = slow_trunk(torch.cat((lr[n], features, maps[n])), discriminator.trunk)
        expected = channels_to_phases(slow_conv(judged, discriminator.last)[None], scale)[0]
        assert torch.allclose(errors[n], expected, atol=1e-12)


def test_gradients_are_right_through_reused_memory():
    """ReLU works in place: numerical derivatives tell whether anything that is still needed was overwritten."""
    torch.manual_seed(1)
    block = DenseBlock(3, 2, 3).double()
    x = torch.randn(1, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,))
    generator, discriminator = Generator(2, 15, Sizes(**SMALL)).double(), Discriminator(2, Sizes(**SMALL)).double()
    lr, enlarged = torch.rand(1, 3, 3, 4, dtype=torch.float64), torch.rand(1, 3, 6, 8, dtype=torch.float64)

    def judged(codes):
        made = generator(lr, enlarged, codes)
        return made.sr, discriminator(lr, made.features, made.codes)

    assert torch.autograd.gradcheck(judged, (torch.rand(1, 5, dtype=torch.float64, requires_grad=True),))


def test_a_batch_is_what_its_images_are():
    torch.manual_seed(2)
    generator, discriminator = Generator(2, 25), Discriminator(2)
    lr, enlarged, codes = torch.rand(3, 3, 9, 8), torch.rand(3, 3, 18, 16), torch.rand(3, 15)
    with torch.no_grad():
        together = generator(lr, enlarged, codes)
        judged = discriminator(lr, together.features, together.codes)
        for n in range(3):
            alone = generator(lr[n : n + 1], enlarged[n : n + 1], codes[n : n + 1])
            assert torch.allclose(alone.sr[0], together.sr[n], atol=1e-6)
            assert torch.allclose(discriminator(lr[n : n + 1], alone.features, alone.codes)[0], judged[n], atol=1e-6)


def test_receptive_field_is_that_of_the_description():
    """At x2 a pixel sees 22 LR pixels around it in the generator, 43 in the discriminator on top of it."""
    torch.manual_seed(3)
    small = {"code": 2, "features": 4, "growth": 2}
    generator, discriminator = Generator(2, 15, Sizes(**small)).double(), Discriminator(2, Sizes(**small)).double()
    with torch.no_grad():  # everything stays positive, so that no ReLU hides a path
        for parameter in (*generator.parameters(), *discriminator.parameters()):
            parameter.copy_(parameter.abs() + 0.05)
    lr = torch.rand(1, 3, 1, 121, dtype=torch.float64, requires_grad=True)
    made = generator(lr, torch.rand(1, 3, 2, 242, dtype=torch.float64), torch.rand(1, 2, dtype=torch.float64))
    judged = discriminator(lr, made.features, made.codes)
    for image, radius in ((made.sr, 22), (judged, 43)):
        (gradient,) = torch.autograd.grad(image[..., 120:122].sum(), lr, retain_graph=True)
        reached = gradient[0].abs().sum((0, 1)).nonzero().flatten()
        assert (reached.min().item(), reached.max().item()) == (60 - radius, 60 + radius)


def test_signals_keep_their_size_at_the_start_of_training():
    """Features neither fade nor explode through 16 blocks, and the first image is nearly the enlargement."""
    torch.manual_seed(4)
    for scale in (2, 8):
        generator = Generator(scale, 15, Sizes(features=32))
        lr = torch.rand(1, 3, 12, 12)
        enlarged = lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        with torch.no_grad():
            made = generator(lr, enlarged, torch.zeros(1, 15))
        assert 0.1 < made.features.std() < 10
        assert 1e-3 < (made.sr - enlarged).abs().mean() < 0.5
