"""The networks: sizes, stacked against single, symmetry of images and weights, tiles, and the codes of KEN."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from octosr.techniques.moesr.bank import ExpertBank
from octosr.techniques.moesr.grid import EXPERTS, ExpertGrid
from octosr.techniques.moesr.kernel_estimator import KernelEstimator, root_covariances
from octosr.techniques.moesr.network import Expert, bicubic
from octosr.techniques.moesr.sharpness import SharpnessEvaluator
from octosr.techniques.moesr.symmetry import turn, turn_back, turn_filters


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def randomised(bank: ExpertBank) -> ExpertBank:
    torch.manual_seed(3)
    with torch.no_grad():
        for bias in bank.biases:
            bias.normal_(0, 0.1)
        for weight in bank.weights:
            weight.normal_(0, math.sqrt(2 / (9 * weight.shape[2])))
    return bank


def single(bank: ExpertBank, expert: int) -> list[Expert]:
    """The networks of one expert as modules of their own."""
    found = []
    for level in range(bank.levels):
        network = Expert(bank.features, bank.layers)
        for n, conv in enumerate(network.convs):
            conv.weight.data = bank.weights[level * bank.layers + n][expert].detach().clone()
            conv.bias.data = bank.biases[level * bank.layers + n][expert].detach().clone()
        found.append(network)
    return found


def test_parameter_counts_are_the_published_ones() -> None:
    assert count(Expert()) == 372_803
    assert count(SharpnessEvaluator()) == 1_594_241
    assert count(KernelEstimator(4)) == 7_003
    with torch.device("meta"):
        assert count(ExpertBank(4)) == 25 * 2 * 372_803


def test_map_of_ise_has_the_published_size() -> None:
    network = SharpnessEvaluator(2)
    for side, expected in ((49, 1), (56, 1), (57, 2), (128, 10), (256, 26)):
        image = torch.zeros(1, 3, side, side)
        assert network(image, image).shape == (1, 1, expected, expected)


def test_ise_takes_the_enlarged_image_apart_and_is_one_network() -> None:
    torch.manual_seed(0)
    network = SharpnessEvaluator(4).double()
    sr, enlarged = torch.rand(6, 3, 60, 52, dtype=torch.float64), torch.rand(2, 3, 60, 52, dtype=torch.float64)
    x = torch.cat((sr, enlarged.repeat(3, 1, 1, 1)), 1)
    for n, conv in enumerate(network.convs):
        x = conv(x)
        x = F.relu(x) if n < 4 else x
    assert torch.allclose(network.judge(sr, network.prepare(enlarged)), x, atol=1e-12)
    with torch.no_grad():  # the last two convolutions as one
        assert torch.allclose(network.judge(sr, network.prepare(enlarged)), x, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_stack_runs_every_network_as_it_runs_alone(scale: int) -> None:
    bank = randomised(ExpertBank(scale, features=5, layers=4)).double()
    lr = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    for chosen, images in (([3, 0, 24], lr[None]), ([7, 7], torch.stack((lr, lr.flip(-1))))):
        made = bank.stack(chosen).enlarge(images)
        assert [m.shape[-2:] for m in made] == [(7 * 2**n, 9 * 2**n) for n in range(1, bank.levels + 1)]
        for n, expert in enumerate(chosen):
            x = images[n if len(images) > 1 else 0]
            for level, network in enumerate(single(bank, expert)):
                x = network(x)
                assert torch.allclose(made[level][n], x, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 4])
def test_fast_convolutions_change_rounding_only(scale: int) -> None:
    direct = randomised(ExpertBank(scale, features=48, layers=3, winograd=False)).double()
    fast = ExpertBank(scale, features=48, layers=3).double()
    fast.load_state_dict(direct.state_dict())
    images = [torch.rand(2, 2, 3, 7, 9, dtype=torch.float64), torch.rand(2, 1, 3, 4, 5, dtype=torch.float64)]
    results, gradients = [], []
    for bank in (direct, fast):
        made = bank.stack([3, 8]).enlarge_all(images)
        results.append([image for level in made for image in level])
        gradients.append(torch.autograd.grad(sum(i.square().sum() for i in results[-1]), list(bank.parameters())))
    names = {type(r.grad_fn.next_functions[0][0]).__name__ for r in results[1]}
    assert names != {type(r.grad_fn.next_functions[0][0]).__name__ for r in results[0]}  # really another way
    for one, other in zip((*results[0], *gradients[0]), (*results[1], *gradients[1]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("symmetry", [0, 1, 2, 3])
def test_turned_filters_do_what_turning_the_image_does(symmetry: int) -> None:
    bank = randomised(ExpertBank(4, features=6, layers=4)).double()
    lr = torch.rand(1, 3, 6, 9, dtype=torch.float64)
    by_image = turn_back(bank.stack([4]).enlarge(turn(lr, symmetry)[None])[-1], symmetry)
    by_weights = bank.turned_stack(torch.tensor([4]), torch.tensor([symmetry])).enlarge(lr[None])[-1]
    assert torch.allclose(by_image, by_weights, atol=1e-12)
    public = bank.turned_stack(torch.tensor([4]), torch.tensor([symmetry]), official_quirks=True)
    same = torch.allclose(by_image, public.enlarge(lr[None])[-1], atol=1e-6)
    assert same == (symmetry != 2)
    if symmetry == 2:  # the public code's network is the one that was scored, turned by 180 degrees
        half_turn = public.enlarge(lr.flip(-2, -1)[None])[-1].flip(-2, -1)
        assert torch.allclose(by_image, half_turn, atol=1e-12)


def test_filters_of_several_networks_are_turned_each_in_its_way() -> None:
    weights = torch.rand(4, 2, 3, 3, 3)
    found = turn_filters(weights, torch.tensor([3, 0, 2, 1]))
    for n, symmetry in enumerate((3, 0, 2, 1)):
        assert torch.equal(found[n], turn_back(weights[n], symmetry))


@pytest.mark.parametrize(("scale", "halo"), [(2, 8), (4, 12), (8, 14)])
def test_the_interior_of_a_tile_with_a_halo_is_that_of_the_whole_image(scale: int, halo: int) -> None:
    bank = randomised(ExpertBank(scale, features=3, layers=12)).double()
    lr = torch.rand(1, 3, 6 + 2 * halo + 10, 2 * halo + 3, dtype=torch.float64)
    stack = bank.stack([11])
    whole = stack.enlarge(lr[None])[-1][0]
    tile = stack.enlarge(lr[None, ..., : 6 + 2 * halo, :])[-1][0]
    inner = slice(halo * scale, (6 + halo) * scale)
    assert torch.allclose(tile[..., inner, :], whole[..., inner, :], atol=1e-12)


def test_codes_of_ken_name_the_same_kernels() -> None:
    torch.manual_seed(0)
    scores = torch.rand(6, 85)
    angle, matrix = KernelEstimator(4, "angle"), KernelEstimator(4, "matrix")
    parameters = angle(scores)
    raw = angle.outputs(scores)
    assert torch.allclose(parameters[:, 2], raw[:, 2] * math.pi / 16)
    assert torch.equal(parameters[:, :2], raw[:, :2].clamp_min(0.01))
    found = matrix(scores)
    assert (found[:, 0] >= found[:, 1]).all()
    in_x2_pixels = torch.cat((found[:, :2] / 5, found[:, 2:]), 1)
    assert torch.allclose(root_covariances(in_x2_pixels), matrix.root_covariance(scores), atol=1e-5)
    # an untrained one guesses near the middle of the grid
    assert matrix.root_covariance(scores).diagonal(dim1=1, dim2=2).sub(2.27**0.5).abs().max() < 0.5


def test_ken_does_not_see_the_scale_of_scores() -> None:
    ken, scores = KernelEstimator(2), torch.rand(3, 85, dtype=torch.float64)
    ken = ken.double()
    assert torch.allclose(ken(scores), ken(7 * scores + 3), atol=1e-9)


def test_an_untrained_expert_is_near_bicubic() -> None:
    torch.manual_seed(0)
    lr = torch.rand(1, 3, 12, 12)
    made = ExpertBank(2).stack().enlarge(lr[None])[-1]
    assert made.shape == (len(EXPERTS), 1, 3, 24, 24)
    assert (made - bicubic(lr, 2)).abs().mean() < 0.02


def test_warm_start_gives_all_the_weights_of_one() -> None:
    bank = ExpertBank(2, features=3, layers=3)
    bank.broadcast(7)
    lr = torch.rand(1, 3, 5, 5)
    made = bank.stack().enlarge(lr[None])[-1]
    assert torch.equal(made, made[7].expand_as(made))
    assert ExpertGrid(2).settings[0].expert == 0
