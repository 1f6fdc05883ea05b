"""The spatially variant search: its parts against plain loops, and two halves with different kernels."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import median_filter as scipy_median

from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.errors import cell_errors, error_map, frozen
from octosr.techniques.blindsr.search import apply, super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.spatial import choose, median_filter, search_map, total_variation, window_weights
from octosr.techniques.blindsr.starts import start_grid


@pytest.mark.parametrize("side", [200, 10])
def test_errors_of_cells_are_means_over_windows(small_stage, smooth_images, side):
    stage, lr = small_stage(2).double(), smooth_images(2, 16, 24).double()
    pieces = patches.covering(lr, stage.enlarge(lr), side)
    starts = start_grid(stage.space, 2, 2)
    rows, columns = window_weights(16, 2, 12, lr), window_weights(24, 3, 12, lr)
    with torch.no_grad():
        codes = stage.encode(starts).expand(2, -1, -1)
        found = cell_errors(stage, pieces, codes, rows, columns)
        assert found.shape == (2, 4, 2, 3)
        # one error map of the whole image; where patches overlap, the mean of theirs
        total, count = torch.zeros(16, 24, dtype=torch.float64), torch.zeros(16, 24)
        p, q = pieces.lr.shape[-2:]
        for number, (top, left) in enumerate(pieces.corners[1].tolist()):
            made = error_map(stage, pieces.lr[1:, number], pieces.enlarged[1:, number], codes[1, 3:])
            total[top : top + p, left : left + q] += made[0]
            count[top : top + p, left : left + q] += 1
    errors = total / count
    # cells are 8 pixels wide, their windows reach 6 to each side of their centres
    for row, (low, high) in enumerate([(0, 10), (6, 16)]):
        for column, (left, right) in enumerate([(0, 10), (6, 18), (14, 24)]):
            expected = errors[low:high, left:right].mean().item()
            assert found[1, 3, row, column].item() == pytest.approx(expected, rel=1e-10)


def test_cells_that_say_nothing_take_what_the_image_says():
    errors = torch.full((1, 3, 1, 3), 1.0)
    errors[0, :, 0, 0] = torch.tensor([0.2, 0.5, 0.9])  # clearly the first
    errors[0, :, 0, 1] = torch.tensor([0.9, 0.5, 0.1])  # clearly the third
    errors[0, :, 0, 2] = torch.tensor([1.0, 1.01, 1.0])  # nothing, and not the second
    assert choose(errors, 0.0)[0, 0].tolist() == [0, 2, 0]
    errors[0, 1] -= 0.1  # the second is best for the whole image
    assert choose(errors, 0.5)[0, 0].tolist() == [0, 2, 1]


def test_median_is_scipys():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 5, 7)
    found = median_filter(maps)
    for n in range(2):
        for c in range(3):
            expected = scipy_median(maps[n, c].numpy(), size=3, mode="nearest")
            assert torch.equal(found[n, c], torch.from_numpy(expected))


def test_total_variation_is_the_mean_step():
    maps = torch.zeros(2, 3, 2, 3, dtype=torch.float64)
    maps[1, 0, :, 1:] = 3.0
    maps[1, 1, :, 1:] = 4.0  # one step of length 5 in each of two rows; 3 + 4 differences in all
    found = total_variation(maps)
    assert found[0].item() == pytest.approx(0, abs=2e-6)
    assert found[1].item() == pytest.approx(10 / 7, rel=1e-5)
    leaf = torch.zeros(1, 3, 2, 2, requires_grad=True)
    total_variation(leaf).sum().backward()
    assert torch.equal(leaf.grad, torch.zeros_like(leaf))
    assert total_variation(torch.ones(2, 3, 1, 1)).tolist() == [0, 0]


class Halves(torch.nn.Module):
    """A discriminator that knows: the error is the code's distance from that of the pixel's own kernel.

    Which kernel is the pixel's is written in the first channel of the LR image; how much texture there is, so how much
    error a wrong kernel makes, in the second.
    """

    def __init__(self, wanted):
        super().__init__()
        self.wanted = wanted

    def forward(self, lr, features, codes):
        truth = self.wanted[(lr[:, 0] > 0.5).long()].movedim(-1, 1)
        distance = (codes - truth).abs().mean(1, keepdim=True) * lr[:, 1:2]
        return distance.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1)


def test_two_halves_get_their_kernels(small_stage):
    stage = small_stage(2, code=15)
    truth = torch.tensor([[3.0, 0.9, 0.5], [1.2, 1.0, 2.0]], dtype=torch.float64)
    stage.discriminator = Halves(stage.encode(truth).detach())
    torch.manual_seed(1)
    lr = torch.rand(1, 3, 48, 64)
    lr[:, 0], lr[:, 0, :, 32:] = 0.0, 1.0
    lr[:, 1, 30:, :16] = 0.0  # a corner without texture
    settings = {"preset": "paper", "sharpness": 0.0, "cell": 8, "window": 16, "prior": 0.1}
    single = super_resolve_stage(stage, lr, Search.of(settings))
    varied = super_resolve_stage(stage, lr, Search.of(settings | {"spatial": True}))
    assert varied.parameter_map.shape == (1, 3, 6, 8)
    assert varied.kernel_map.shape == (1, 6, 8, 25, 25)
    columns = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    wanted = stage.space.covariances(truth)[columns]

    def distances(parameters):
        return (stage.space.covariances(parameters) - wanted).square().sum((-2, -1)).sqrt()

    one = distances(single.parameters.expand(8, -1)).mean()
    many = distances(varied.parameter_map[0].movedim(0, -1))
    assert many.mean() < 0.2 * one
    assert many[4:, :2].max() < 0.5 * one  # the corner, too
    # SR images: nearer to what the true kernels make of each half
    ideal = torch.cat([apply(stage, lr, truth[n : n + 1]).sr[..., 64 * n : 64 * (n + 1)] for n in range(2)], -1)
    errors = [(found.sr - ideal).square().mean().sqrt() for found in (single, varied)]
    assert errors[1] < 0.5 * errors[0]
    assert torch.allclose(varied.kernel, varied.kernel_map.mean((1, 2)), atol=1e-7)
    assert torch.allclose(
        stage.space.covariances(varied.parameters),
        stage.space.covariances(varied.parameter_map.movedim(1, -1)).mean((1, 2)),
    )


def test_a_map_of_equal_kernels_is_that_kernel(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(2, 20, 26)
    parameters = torch.tensor([[2.0, 1.0, 0.3], [1.5, 1.4, 2.0]], dtype=torch.float64)
    one = apply(stage, lr, parameters)
    many = apply(stage, lr, parameters[:, :, None, None].expand(-1, -1, 3, 4))
    assert torch.allclose(one.sr, many.sr, atol=1e-6)
    assert torch.allclose(one.kernel, many.kernel, atol=1e-6)
    assert torch.allclose(stage.space.covariances(many.parameters), stage.space.covariances(parameters))


def test_smoothness_makes_maps_smooth(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(1, 32, 32)
    pieces = patches.covering(lr, stage.enlarge(lr), 20)
    starts = start_grid(stage.space, 3, 4)
    maps = []
    with torch.no_grad(), frozen(stage):
        for smoothness in (0.0, 10.0):
            settings = Search(steps=30, rate=0.1, cell=8, window=8, prior=0.0, smoothness=smoothness, sharpness=0.0)
            maps.append(search_map(stage, pieces, starts, starts[:1], (32, 32), settings))
    rough, smooth = (stage.space.covariances(m.movedim(1, -1)).diff(dim=2).abs().mean() for m in maps)
    assert rough > 0.1
    assert smooth < 0.7 * rough
