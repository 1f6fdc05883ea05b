"""The whole search: batches against single images, an oracle, odd images, settings."""

from __future__ import annotations

import pytest
import torch

from octosr.errors import ConfigError
from octosr.techniques.blindsr import errors as errors_module
from octosr.techniques.blindsr import refine as refine_module
from octosr.techniques.blindsr.search import apply, estimate, looked_at, super_resolve_stage
from octosr.techniques.blindsr.settings import PRESETS, Search

SMALL = {"levels": 3, "angles": 2, "crop": 0, "steps": 4, "tolerance": 0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop": 12, "crops": 2},
        {"tolerance": 0.02, "steps": 20, "block": 3},
        {"spatial": True, "cell": 8, "window": 16},
    ],
)
def test_a_batch_is_what_each_image_is_alone(small_stage, smooth_images, changes):
    stage, lr = small_stage(2), smooth_images(3, 24, 28)
    settings = Search.of(SMALL | {"rate": 0.1} | changes)
    together = super_resolve_stage(stage, lr, settings)
    for n in range(3):
        alone = super_resolve_stage(stage, lr[n : n + 1], settings)
        for one, all_ in zip(alone[1:], together[1:], strict=True):
            assert (one is None) == (all_ is None)
            if one is not None:
                assert (one[0] - all_[n]).abs().max() < 1e-4
    assert together.sr.shape == (3, 3, 48, 56)
    assert (together.kernel[0] - together.kernel[1]).abs().max() > 1e-4
    assert (together.sr - stage.enlarge(lr)).abs().max() > 1e-2


def test_images_that_are_done_stop(small_stage, smooth_images, monkeypatch):
    stage, lr = small_stage(2), smooth_images(2, 20, 20)
    seen = []
    original = refine_module.error_gradients

    def watch(stage, pieces, codes, size):
        seen.append(len(codes))
        return original(stage, pieces, codes, size)

    monkeypatch.setattr(refine_module, "error_gradients", watch)
    # an error never falls by ten times itself: everyone is done after the first block
    super_resolve_stage(stage, lr, Search.of(SMALL | {"steps": 30, "tolerance": 10.0, "block": 4}))
    assert seen == [2] * 5
    seen.clear()
    super_resolve_stage(stage, lr, Search.of(SMALL | {"steps": 9}))
    assert seen == [2] * 10


def test_the_search_finds_the_kernel_that_an_oracle_wants(small_stage, smooth_images):
    stage, lr = small_stage(2, code=15), smooth_images(3, 24, 24)
    truth = torch.tensor([[3.2, 1.1, 0.4], [2.0, 2.0, 0.0], [1.9, 0.7, 3.0]], dtype=torch.float64)
    wanted = stage.encode(truth)

    class Oracle(torch.nn.Module):
        """The error of each image is its code's distance from the one that its first pixel stands for."""

        def forward(self, lr, features, codes):
            which = (lr[:, 0, 0, 0] * 10).round().long() - 1
            distance = (codes - wanted[which][:, :, None, None]).square().mean(1, keepdim=True)
            return distance.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1)

    stage.discriminator = Oracle()
    for n in range(3):
        lr[n, 0] = (n + 1) / 10
    found = super_resolve_stage(stage, lr, Search.of({"preset": "paper", "crop": 0, "sharpness": 0.0}))
    covariances = [stage.space.covariances(p) for p in (found.parameters, truth)]
    apart, size = (c.square().sum((1, 2)).sqrt() for c in (covariances[0] - covariances[1], covariances[1]))
    assert (apart < 0.03 * size).all()
    assert torch.allclose(found.kernel.double(), stage.space.kernels(found.parameters), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (40, 9), (9, 40)])
def test_tiny_and_long_images(small_stage, smooth_images, height, width):
    stage, lr = small_stage(2), smooth_images(2, 48, 48)[..., :height, :width]
    found = super_resolve_stage(stage, lr, Search.of(SMALL | {"crop": 16}))
    assert found.sr.shape == (2, 3, 2 * height, 2 * width)
    assert torch.isfinite(found.sr).all()
    assert torch.isfinite(found.parameters).all()


def test_flat_images_have_a_kernel_and_stay_flat_where_the_networks_say_so(small_stage):
    stage = small_stage(2)
    lr = torch.full((2, 3, 40, 40), 0.4)
    for changes in ({"crop": 12}, {"spatial": True}):
        found = super_resolve_stage(stage, lr, Search.of(SMALL | changes))
        assert torch.isfinite(found.sr).all()
        assert torch.isfinite(found.kernel).all()
        assert torch.equal(found.kernel[0], found.kernel[1])
    with torch.no_grad():
        stage.generator.last.weight.zero_()
        stage.generator.last.bias.zero_()
        stage.discriminator.last.weight.zero_()
        stage.discriminator.last.bias.zero_()
    # every kernel is as good as the next; only sharpness decides
    found = super_resolve_stage(stage, lr, Search.of(SMALL))
    assert torch.allclose(found.sr, torch.full_like(found.sr, 0.4), atol=1e-6)


def test_the_weights_are_left_alone_and_given_kernels_are_used(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(1, 20, 20)
    before = {name: value.clone() for name, value in stage.state_dict().items()}
    found = super_resolve_stage(stage, lr, Search.of(SMALL))
    assert all(torch.equal(value, before[name]) for name, value in stage.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in stage.parameters())
    again = apply(stage, lr, found.parameters)
    assert torch.equal(again.sr, found.sr)
    other = apply(stage, lr, torch.tensor([[3.5, 3.5, 0.0]]))
    assert (other.sr - found.sr).abs().max() > 1e-3
    expected = stage.generator(lr, stage.enlarge(lr), stage.encode(torch.tensor([[3.5, 3.5, 0.0]]))).sr
    assert torch.allclose(other.sr, expected, atol=1e-5)


def test_tile_side_and_mixed_precision_change_nothing(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(1, 20, 26)
    settings = SMALL | {"crop": 0}
    found = super_resolve_stage(stage, lr, Search.of(settings))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = super_resolve_stage(stage, lr, Search.of(settings | {"tile": 7}))
    assert torch.allclose(found.sr, mixed.sr, atol=1e-5)


def test_several_cores_change_nothing(small_stage, smooth_images, monkeypatch):
    stage, lr = small_stage(2), smooth_images(2, 24, 24)
    settings = Search.of(SMALL | {"patch": 12, "tile": 16})
    alone = super_resolve_stage(stage, lr, settings)
    monkeypatch.setitem(errors_module.PIXELS, "cpu", 2 * 12 * 12)
    torch.set_num_threads(2)
    together = super_resolve_stage(stage, lr, settings)
    assert torch.allclose(alone.sr, together.sr, atol=1e-5)
    assert torch.allclose(alone.parameters, together.parameters, atol=1e-5)


def test_crops_are_looked_at_where_they_are_smaller_than_the_image(small_stage, smooth_images):
    stage, lr = small_stage(2), smooth_images(1, 40, 40)
    enlarged = stage.enlarge(lr)
    assert looked_at(lr, enlarged, Search(crop=16, crops=4)).lr.shape == (1, 4, 3, 16, 16)
    assert looked_at(lr, enlarged, Search(crop=20, crops=4)).lr.shape == (1, 1, 3, 40, 40)
    assert looked_at(lr, enlarged, Search(crop=0, patch=32)).lr.shape == (1, 4, 3, 32, 32)
    settings = Search.of(SMALL | {"crop": 16})
    cropped = estimate(stage, lr, enlarged, settings)
    assert cropped.shape == (1, 3)


def test_presets_and_settings():
    paper = Search.of({"preset": "paper"})
    assert (paper.steps, paper.crop, paper.tolerance, paper.levels, paper.angles) == (50, 0, 0, 6, 8)
    assert Search.of({"steps": None}).steps == PRESETS["fast"]["steps"]
    assert Search.of({"preset": "paper", "steps": 7}).steps == 7
    with pytest.raises(ConfigError, match=r"no setting 'sharpnes'. Did you mean 'sharpness'"):
        Search.of({"sharpnes": 3})
    with pytest.raises(ConfigError, match="fast, paper"):
        Search.of({"preset": "papr"})
    for name, value in {"steps": -1, "levels": 0, "rate": 0.0, "crop": 1, "tolerance": -1.0, "tile": 0}.items():
        with pytest.raises(ConfigError, match=rf"technique.search.{name} must be"):
            Search.of({name: value})
    with pytest.raises(ConfigError, match="one kernel an image"):
        Search.of({"spatial": True}, official_quirks=True)
    with pytest.raises(ConfigError, match="make it larger"):
        Search.of({"spatial": True, "cell": 64})
