"""ADA's bgc augmentation: identity, exact moves, frequencies, colours, second derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from octosr.degradation.random import SampleRandom
from octosr.techniques.apa import transforms
from octosr.techniques.apa.augment import Augmentation, margins, recolour
from octosr.techniques.apa.draws import Draws


def draws(count: int, start: int = 0) -> Draws:
    return Draws(SampleRandom(3), torch.arange(start, start + count), "Dmain", torch.float64)


def smooth(count: int, side: int) -> Tensor:
    x = torch.linspace(0, 2 * math.pi, side, dtype=torch.float64)
    rows = [torch.sin(x * (i + 1) / 2 + i)[:, None] * torch.cos(x + i)[None] for i in range(3 * count)]
    return torch.stack(rows).view(count, 3, side, side)


def test_nothing_happens_where_p_is_0() -> None:
    images = smooth(4, 16)
    assert torch.equal(Augmentation()(images, torch.tensor(0.0), draws(4), "real"), images)


def test_moves_and_turns_by_whole_pixels_bring_whole_pixels() -> None:
    """But for what the bilinear step smooths, and, turned, for what the filter lacks in symmetry."""
    augment, images = Augmentation(), smooth(2, 32)
    moved = augment.resample(images, transforms.shift(3.0, -2.0).expand(2, 3, 3))
    assert torch.allclose(moved[..., 4:-4, 4:-4], images[..., 2:-6, 7:-1], atol=1e-3)
    turned = augment.resample(images, transforms.turn(torch.tensor([math.pi / 2] * 2, dtype=torch.float64)))
    assert torch.allclose(turned[..., 2:-2, 2:-2], images.rot90(1, (2, 3))[..., 2:-2, 2:-2], atol=0.05)
    mirrored = augment.resample(images, transforms.scale(-1.0, 1.0).expand(2, 3, 3))
    assert torch.allclose(mirrored, images.flip(3), atol=0.05)


def test_an_images_result_depends_on_itself_alone() -> None:
    augment, images = Augmentation(), smooth(6, 16)
    whole = augment(images, torch.tensor(0.7), draws(6), "real")
    parts = torch.cat([augment(images[i : i + 2], torch.tensor(0.7), draws(2, i), "real") for i in (0, 2, 4)])
    assert torch.allclose(whole, parts, atol=1e-10)
    assert not torch.allclose(whole, augment(images, torch.tensor(0.7), draws(6), "fake"))


def test_margins_reach_as_far_as_the_images_corners_do() -> None:
    eye = torch.eye(3, dtype=torch.float64)[None]
    assert margins(eye, 33, 17) == (6, 6, 6, 6)
    assert margins(transforms.shift(4.0, -3.0)[None], 33, 17) == (2, 10, 9, 3)
    assert margins(transforms.scale(9.0, 9.0)[None], 33, 17) == (32, 32, 16, 16)


def test_each_transformation_happens_as_often_as_asked() -> None:
    count, p = 4000, 0.3
    chances = transforms.Chances(draws(count), "real", p)
    assert float((chances.normal("size") != 0).double().mean()) == pytest.approx(p, abs=0.03)
    upright = transforms.geometry(chances, 16, 16, rotate=False)
    assert not upright[:, 0, 1].any()
    assert float((upright[:, 0, 0] < 0).double().mean()) == pytest.approx(p / 2, abs=0.03)
    free = transforms.geometry(chances, 16, 16, rotate=True)
    angle = torch.atan2(free[:, 1, 0], free[:, 0, 0].abs())
    quarter = (angle / (math.pi / 2) - (angle / (math.pi / 2)).round()).abs() > 1e-9
    assert float(quarter.double().mean()) == pytest.approx(p, abs=0.04)  # one of the two rotations


def test_colours_do_what_their_names_say() -> None:
    images = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    grey = images.mean(1, keepdim=True)
    count = 2000
    matrices = transforms.colours(transforms.Chances(draws(count), "real", 1.0))
    assert torch.allclose(matrices[:, :3, :3] @ torch.ones(3, dtype=torch.float64), matrices[:, :3, :3].sum(2))
    # Greys stay grey: the rows of every matrix have the same sum, and the same constant.
    sums = matrices[:, :3, :3].sum(2)
    assert torch.allclose(sums, sums[:, :1].expand(-1, 3))
    assert torch.allclose(matrices[:, :3, 3], matrices[:, :1, 3].expand(-1, 3))
    flips = float((sums[:, 0] < 0).double().mean())
    assert flips == pytest.approx(0.5, abs=0.05)
    contrast = torch.log2(sums[:, 0].abs())
    assert float(contrast.std()) == pytest.approx(transforms.CONTRAST, rel=0.1)
    desaturate = torch.zeros(1, 4, 4, dtype=torch.float64)
    desaturate[0, :3, :3], desaturate[0, 3, 3] = 1 / 3, 1.0
    assert torch.allclose(recolour(images, desaturate), grey.expand(-1, 3, -1, -1))


def test_r1_can_look_through_it() -> None:
    augment, images = Augmentation(), smooth(2, 8).requires_grad_()
    p = torch.tensor(1.0)
    squares = lambda x: augment(x, p, draws(2), "real").square()  # noqa: E731
    assert torch.autograd.gradcheck(squares, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(squares, images, fast_mode=True)
