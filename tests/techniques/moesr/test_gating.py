"""Gating: against one pass after the other, on crops, in batches; what is served by what."""

from __future__ import annotations

import pytest
import torch

import octosr.techniques.moesr.gating as gating
from octosr.nn import amx
from octosr.techniques.moesr.gating import gating_scores
from octosr.techniques.moesr.network import bicubic
from octosr.techniques.moesr.symmetry import turn, turn_back

pytestmark = pytest.mark.usefixtures("two_threads")  # the passes are shared out over cores
needs_tiles = pytest.mark.skipif(not amx.available(), reason="needs a CPU with AMX")


def one_by_one(stage, lr):
    """85 passes, each with its own network, whole image, ISE on concatenated inputs."""
    found = []
    with torch.no_grad():
        for setting in stage.grid.settings:
            x = turn(lr, setting.symmetry)
            sr = turn_back(stage.bank.stack([setting.expert]).enlarge(x[None])[-1][0], setting.symmetry)
            found.append(stage.evaluator(sr, bicubic(lr, stage.scale)).square().mean((1, 2, 3)))
    return torch.stack(found, 1)


@pytest.mark.parametrize(("scale", "height", "width"), [(2, 30, 26), (2, 25, 25), (4, 13, 14)])
def test_scores_are_those_of_85_passes(make_stage, scale, height, width, smooth_images):
    stage = make_stage(scale).double()
    lr = smooth_images(2, height, width).double()
    assert torch.allclose(gating_scores(stage.bank, stage.evaluator, lr), one_by_one(stage, lr), rtol=1e-10)


def test_fast_convolutions_score_alike(make_stage, smooth_images):
    stage, lr = make_stage(2, features=48), smooth_images(1, 27, 30)
    found = gating_scores(stage.bank, stage.evaluator, lr)
    stage.bank.winograd = False
    assert torch.allclose(found, gating_scores(stage.bank, stage.evaluator, lr), rtol=1e-4)
    exact = gating_scores(stage.double().bank, stage.evaluator, lr.double())
    assert torch.allclose(found.double(), exact, rtol=1e-4)


@pytest.mark.parametrize("tiles", [False, pytest.param(True, marks=needs_tiles)])
def test_scores_of_full_width_are_right_to_1e_5(make_stage, smooth_images, monkeypatch, tiles):
    monkeypatch.setattr(amx, "available", lambda: tiles)
    stage, lr = make_stage(2, features=64, ise_features=32), smooth_images(2, 25, 27)
    found = gating_scores(stage.bank, stage.evaluator, lr)
    exact = gating_scores(stage.double().bank, stage.evaluator, lr.double())
    assert ((found - exact).abs() / exact.max()).max() < (1e-5 if tiles else 2e-6)
    alone = gating_scores(stage.float().bank, stage.evaluator, lr[1:])
    assert torch.allclose(found[1:], alone, rtol=1e-5)


@pytest.mark.parametrize("height", [25, 29])  # turned images have the same shape, or another
def test_however_work_is_shared_out_scores_are_the_same(make_stage, smooth_images, monkeypatch, height):
    stage, lr = make_stage(2, features=48), smooth_images(2, height, 25)
    by_network = gating_scores(stage.bank, stage.evaluator, lr)
    monkeypatch.setattr(gating, "NETWORKS_A_CORE", 99)
    assert torch.equal(gating_scores(stage.bank, stage.evaluator, lr), by_network)


def test_large_images_are_scored_in_parts_with_the_same_result(make_stage, monkeypatch, smooth_images):
    stage, lr = make_stage(2).double(), smooth_images(3, 30, 26).double()
    whole = gating_scores(stage.bank, stage.evaluator, lr)
    monkeypatch.setitem(gating.NUMBERS, "cpu", 4 * 4 * 30 * 26)
    assert torch.allclose(gating_scores(stage.bank, stage.evaluator, lr), whole, rtol=1e-12)
    assert torch.allclose(gating_scores(stage.bank, stage.evaluator, lr[1:2]), whole[1:2], rtol=1e-12)


def test_crops_are_scored_like_images_and_averaged(make_stage, smooth_images):
    stage, lr = make_stage(2).double(), smooth_images(2, 80, 90).double()
    crops = gating.informative_crops(lr, 26, 3)
    each = torch.stack([gating_scores(stage.bank, stage.evaluator, crops[:, n]) for n in range(3)])
    assert torch.allclose(gating_scores(stage.bank, stage.evaluator, lr, 26, 3), each.mean(0), rtol=1e-10)
    # no less work than the whole image: the whole image is scored
    assert torch.equal(
        gating_scores(stage.bank, stage.evaluator, lr, 26, 11), gating_scores(stage.bank, stage.evaluator, lr)
    )


def test_scores_of_the_right_blur_are_low_for_a_perfect_evaluator(make_stage, smooth_images):
    """An evaluator for which one expert's image is perfect gives that setting's place the least score."""
    stage = make_stage(2)
    lr = smooth_images(1, 26, 26)
    setting = stage.grid.settings[37]
    with torch.no_grad():
        sr = turn_back(
            stage.bank.stack([setting.expert]).enlarge(turn(lr, setting.symmetry)[None])[-1][0], setting.symmetry
        )

    class Distance(torch.nn.Module):
        features = 1

        def prepare(self, enlarged):
            return enlarged

        def last_two(self):
            return None

        def judge(self, images, prepared, tail):
            return (images - sr).abs().mean(1, keepdim=True)

    scores = gating_scores(stage.bank, Distance(), lr)
    assert scores.argmin() == 37
    assert scores[0, 37] < 1e-12
