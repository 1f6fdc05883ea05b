"""FastGAN's networks: sizes, shapes, and that what is rewritten equals its plain form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm

from octosr.degradation.random import SampleRandom
from octosr.techniques.fastgan.augment import augment, shifts, translate, translate_by_gather
from octosr.techniques.fastgan.discriminator import Discriminator, crop_quadrant
from octosr.techniques.fastgan.draws import noise_maps
from octosr.techniques.fastgan.generator import Generator, small_side
from octosr.techniques.fastgan.layers import SpectralConv, UpBlock, follow_spectra
from octosr.techniques.fastgan.losses import hinge
from octosr.techniques.fastgan.reconstruction import AbsoluteDifference, reconstruction_targets


@pytest.mark.parametrize(
    ("resolution", "generator", "discriminator"),
    [(256, 29_127_846, 11_526_160), (512, 29_174_392, 11_526_496), (1024, 29_176_512, 11_528_192)],
)
def test_parameters_are_as_many_as_published(resolution: int, generator: int, discriminator: int) -> None:
    with torch.device("meta"):
        networks = (Generator(resolution), Discriminator(resolution))
    assert tuple(sum(p.numel() for p in n.parameters()) for n in networks) == (generator, discriminator)


@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512, 1024])
def test_shapes_at_every_stage(resolution: int) -> None:
    generator, discriminator = Generator(resolution, 8, 16), Discriminator(resolution, 8)
    noise = noise_maps(SampleRandom(0), torch.arange(2), generator.noise_sides, "x", torch.float32)
    z = torch.randn(2, 16)
    features = generator.features(z, noise)
    multiples = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25, 1024: 0.125}
    assert {side: tuple(x.shape) for side, x in features.items()} == {
        side: (2, int(8 * m), side, side) for side, m in multiples.items() if side <= resolution
    }
    big, small = generator(z, noise)
    side = small_side(resolution)
    assert (big.shape[1:], small.shape[1:]) == ((3, resolution, resolution), (3, side, side))
    assert [x.shape[-1] for x in discriminator.features(big, small)[-3:]] == [16, 8, 8]
    logits, made = discriminator(big, small, 3)
    assert logits.shape == (2, 50)
    assert made is not None
    assert {tuple(x.shape) for x in made} == {(2, 3, side, side)}
    assert discriminator(big, small)[1] is None


def test_tanh_is_everywhere_unless_the_quirk_is_asked_for() -> None:
    assert [Generator(r, 1, 1).bounded for r in (64, 256, 1024)] == [True] * 3
    assert [Generator(r, 1, 1, quirks=True).bounded for r in (256, 512, 1024)] == [False, False, True]


@pytest.mark.parametrize("transposed", [False, True])
def test_spectral_norm_is_torchs(transposed: bool) -> None:
    torch.manual_seed(0)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    plain = spectral_norm(kind(5, 6, 4, 2, 1, bias=False)).double()
    ours = SpectralConv(5, 6, 4, stride=2, padding=1, transposed=transposed).double()
    with torch.no_grad():
        ours.weight.copy_(plain.weight_orig)
        ours.u.copy_(plain.weight_u)
        ours.v.copy_(plain.weight_v)
    x = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    for _ in range(2):
        ours.follow()
        expected, found = plain(x), ours(x)
        assert torch.allclose(found, expected, atol=1e-10, rtol=0)
        assert torch.equal(ours(x), found)  # a pass changes nothing
        first = torch.autograd.grad(expected.sin().sum(), plain.weight_orig)[0]
        assert torch.allclose(torch.autograd.grad(found.sin().sum(), ours.weight)[0], first, atol=1e-10, rtol=0)


def test_power_iteration_finds_the_largest_singular_value() -> None:
    layer = SpectralConv(3, 4, 3).double()
    follow_spectra(layer, 200)
    assert torch.linalg.matrix_norm(layer.normed().flatten(1), 2).item() == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("side", [7, 16])
def test_the_folded_convolution_equals_enlarging_first(side: int) -> None:
    """Forward, and gradients of input and weight through sigma of the 3x3 weight."""
    torch.manual_seed(0)
    block = UpBlock(6, 4).double()
    x = torch.randn(2, 6, 5, side, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), block.conv.normed(), padding=1)
    ours = block.conv(x)
    assert torch.allclose(ours, plain, atol=1e-10, rtol=0)
    inputs = (x, block.conv.weight)
    for one, two in zip(torch.autograd.grad(ours.sin().sum(), inputs), torch.autograd.grad(plain.sin().sum(), inputs),
                        strict=True):  # fmt: skip
        assert torch.allclose(one, two, atol=1e-10, rtol=0)


def test_augmentation_is_the_formula_image_by_image() -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    numbers = torch.rand(3, 5, dtype=torch.float64)
    numbers[0, 3:], numbers[1, 3:] = 0.0, 0.999
    found = augment(images, numbers)
    assert shifts(numbers[:, 3:], 16)[:2].tolist() == [[-2, -2], [2, 2]]
    rows = []
    for x, n in zip(images, numbers, strict=True):
        x = x + n[0] - 0.5
        mean = x.mean(0, keepdim=True)
        x = (x - mean) * 2 * n[1] + mean
        x = (x - x.mean()) * (n[2] + 0.5) + x.mean()
        down, right = shifts(n[None, 3:], 16)[0].tolist()
        big = F.pad(x, (2, 2, 2, 2))
        rows.append(big[:, 2 + down : 18 + down, 2 + right : 18 + right])
    expected = torch.stack(rows)
    assert torch.allclose(found, expected, atol=1e-10, rtol=0)
    one, two = (torch.autograd.grad(x.sin().sum(), images)[0] for x in (found, expected))
    assert torch.allclose(one, two, atol=1e-10, rtol=0)


def test_shifts_by_gather_are_shifts_by_slices() -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    offset = torch.tensor([[0, 0], [2, -1], [-2, 1], [7, -7]])
    one, two = translate(images, offset), translate_by_gather(images, offset)
    assert torch.equal(one, two)
    assert torch.equal(*(torch.autograd.grad(x.sin().sum(), images)[0] for x in (one, two)))
    assert torch.equal(one[1, :, 0, 1], images[1, :, 2, 0])
    assert not one[1, :, 6:].any()


def test_all_shifts_are_equally_likely() -> None:
    numbers = ((torch.arange(1700, dtype=torch.float64) + 0.5) / 1700)[:, None].expand(-1, 2)
    assert torch.bincount(shifts(numbers, 64)[:, 0] + 8).tolist() == [100] * 17


def test_hinge_by_hand() -> None:
    logits, margins = torch.tensor([[0.5, 2.0], [-1.0, 0.0]]), torch.tensor([[0.0, 0.5], [1.0, 0.0]])
    assert hinge(logits, margins, real=True).item() == pytest.approx((0.3 + 0 + 2.0 + 0.8) / 4)
    assert hinge(logits, margins, real=False).item() == pytest.approx((1.3 + 2.9 + 0 + 0.8) / 4)


def test_reconstructions_are_compared_with_the_whole_and_its_quarter() -> None:
    big = torch.arange(64.0).view(1, 1, 8, 8).expand(2, 3, 8, 8)
    assert crop_quadrant(big, 1)[0, 0, 0].tolist() == [4, 5, 6, 7]
    assert crop_quadrant(big, 2)[0, 0, 0].tolist() == [32, 33, 34, 35]
    whole, part = reconstruction_targets(big, 1, 4)
    assert whole[0, 0, 1].tolist() == [16, 18, 20, 22]
    assert torch.equal(part, big[:, :, :4, 4:])
    loss = AbsoluteDifference()((whole + 1, whole - 2, part), (whole, part))
    assert loss.tolist() == [3.0, 3.0]


def test_noise_is_standard_normal_and_a_matter_of_the_image() -> None:
    maps = noise_maps(SampleRandom(3), torch.arange(8), [64, 8], "x", torch.float64)
    assert maps[0].mean().item() == pytest.approx(0, abs=0.02)
    assert maps[0].std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(noise_maps(SampleRandom(3), torch.tensor([5]), [64, 8], "x", torch.float64)[1], maps[1][5:6])
