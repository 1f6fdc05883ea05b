"""Pieces and tiles: what they hold, what they count, and that tiles make the whole image exactly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.tiles import blend_published, generate_in_tiles, radius


@pytest.mark.parametrize(("height", "width", "side"), [(20, 31, 8), (8, 31, 8), (5, 40, 8), (6, 7, 200)])
def test_covering_pieces_make_every_pixel_count_the_same(small_stage, smooth_images, height, width, side):
    stage, lr = small_stage(2), smooth_images(2, height, width)
    enlarged = stage.enlarge(lr)
    pieces = patches.covering(lr, enlarged, side)
    counted, weighted = torch.zeros(height, width), 0.0
    p, q = pieces.lr.shape[-2:]
    assert (p, q) == (min(side, height), min(side, width))
    for number, (top, left) in enumerate(pieces.corners[0].tolist()):
        counted[top : top + p, left : left + q] += pieces.weights[number]
        weighted = weighted + (pieces.lr[:, number].mean(1) * pieces.weights[number]).sum((1, 2))
        assert torch.equal(
            pieces.enlarged[1, number], enlarged[1, :, 2 * top : 2 * (top + p), 2 * left : 2 * (left + q)]
        )
    assert torch.allclose(counted, torch.full_like(counted, 1 / (height * width)))
    assert torch.allclose(weighted, lr.mean((1, 2, 3)))
    assert len(pieces.corners[0].unique(dim=0)) == pieces.corners.shape[1]


def test_informative_crops_with_their_enlargement(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(2, 40, 48)
    enlarged = stage.enlarge(lr)
    pieces = patches.informative(lr, enlarged, 12, 3)
    assert pieces.lr.shape == (2, 3, 3, 12, 12)
    assert pieces.weights.sum().item() == pytest.approx(1)
    top, left = pieces.corners[1, 2].tolist()
    assert torch.equal(pieces.enlarged[1, 2], enlarged[1, :, 2 * top : 2 * top + 24, 2 * left : 2 * left + 24])
    assert torch.equal(pieces.lr[1, 2], lr[1, :, top : top + 12, left : left + 12])
    chosen = pieces.of(torch.tensor([1]))
    assert torch.equal(chosen.lr[0], pieces.lr[1])
    assert pieces.only(1).weights.sum().item() == pytest.approx(1)


def test_published_patches_are_those_of_its_description():
    assert patches.published_corners(8, 15, 8) == [(0, 0), (0, 6), (0, 7), (0, 0), (0, 6), (0, 7)]
    assert patches.published_corners(5, 6, 8) == [(0, 0)]


def test_published_blending_is_the_weighted_mean():
    torch.manual_seed(0)
    height, width, side, overlap = 10, 13, 8, 2
    corners = patches.published_corners(height, width, side)
    made = torch.rand(2, len(corners), 3, side, side)
    found = blend_published(made, torch.tensor(corners), (height, width), overlap)
    ramp = [0.1, 1.0, 1, 1, 1, 1, 1.0, 0.1]
    for y, x in [(0, 0), (5, 6), (9, 12), (3, 7)]:
        total, mass = torch.zeros(2, 3), 0.0
        for number, (top, left) in enumerate(corners):
            if top <= y < top + side and left <= x < left + side:
                weight = ramp[y - top] * ramp[x - left]
                total, mass = total + weight * made[:, number, :, y - top, x - left], mass + weight
        assert torch.allclose(found[:, :, y, x], total / mass, atol=1e-6)


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize(("scale", "side"), [(2, 9), (2, 16), (4, 11)])
def test_tiles_are_exact(small_stage, smooth_images, scale, side, maps):
    stage, lr = small_stage(scale, blocks=None).double(), smooth_images(2, 33, 28).double()
    codes = torch.randn(2, 5, 33, 28, dtype=torch.float64) if maps else torch.randn(2, 5, dtype=torch.float64)
    enlarged = stage.enlarge(lr)
    with torch.no_grad():
        whole = stage.generator(lr, enlarged, codes).sr
        tiled = generate_in_tiles(stage.generator, lr, enlarged, codes, side)
    assert (tiled - whole).abs().max() < 1e-12
    assert (whole - enlarged).abs().max() > 1e-2


def test_the_published_generator_sees_22_pixels():
    from octosr.techniques.blindsr.network import Discriminator, Generator, Sizes

    assert radius(Generator(2, 15)) == 22
    # the discriminator is given features from before the generator's last convolution
    assert radius(Generator(2, 15)) - 1 + radius(Discriminator(2)) == 43
    # and no less: what is 22 pixels away counts, what is 23 away does not
    torch.manual_seed(0)
    network = Generator(2, 15, Sizes(code=2, features=6, growth=6, layers=1, blocks=1)).double()
    lr = torch.rand(1, 3, 1, 17, dtype=torch.float64, requires_grad=True)
    enlarged = F.interpolate(lr.detach(), scale_factor=2)
    made = network(lr, enlarged, torch.zeros(1, 2, dtype=torch.float64)).sr[..., 16:18].square().sum()
    (gradient,) = torch.autograd.grad(made, lr)
    reach = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
    assert radius(network) == 3
    assert (reach.min().item(), reach.max().item()) == (8 - 3, 8 + 3)
