"""Tiles make what the whole image makes."""

from __future__ import annotations

import pytest
import torch

from octosr.errors import ConfigError
from octosr.prediction.tiling import ArraySource, ListSink
from octosr.prediction.tiling.bands import Bands
from octosr.prediction.tiling.contexts import Contexts
from octosr.prediction.tiling.runner import Look, TileRunner
from octosr.prediction.tiling.spans import Span
from octosr.prediction.tiling.stages import Stage
from octosr.techniques.interpolation import Interpolation
from octosr.techniques.tiling import Place

SIDES = [(1, 1), (1, 40), (40, 1), (37, 53)]
ROUNDING = 2e-5


@pytest.mark.parametrize("filter", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", SIDES)
def test_interpolation(filter, size, image, tiled) -> None:
    lr = image(*size)
    technique = Interpolation(filter, filter, 8)
    whole = technique.super_resolve(lr[None])[0]
    for tile in (1, 7, 16):
        assert (tiled(technique, lr, tile=tile) - whole).abs().max() < 2e-6


@pytest.mark.parametrize("name", ["moesr", "blindsr", "blindsr-spatial", "dan"])
def test_networks(name, make, image, tiled) -> None:
    technique = make(name)
    lr = image(37, 45)
    with torch.no_grad():
        whole = technique.super_resolve(lr[None])[0]
    assert whole.std() > 0.05
    assert (tiled(technique, lr, tile=16) - whole).abs().max() < ROUNDING
    assert technique.training  # as it was before


@pytest.mark.parametrize(("name", "size"), [("moesr", (3, 40)), ("blindsr", (40, 1)), ("dan", (2, 40))])
def test_images_that_are_narrower_than_what_a_network_needs(name, size, make, image, tiled) -> None:
    technique = make(name)
    lr = image(*size)
    with torch.no_grad():
        whole = technique.super_resolve(lr[None])[0]
    assert (tiled(technique, lr, tile=16) - whole).abs().max() < ROUNDING


@pytest.mark.parametrize("name", ["moesr", "blindsr", "dan"])
def test_declared_halos_are_how_far_networks_see(name, make, image) -> None:
    """A pixel that is no number makes no numbers of all that depends on it: to the halo's end, and no further."""
    technique = make(name, **({"features": 8} if name == "dan" else {}))
    context = technique.find_context(image(25, 25)[None])
    for number, one in enumerate(technique.tiling().passes):
        side, centre = 61, 30
        lr = torch.full((1, 3, side, side), 0.5)
        lr[..., centre, centre] = torch.nan
        with torch.no_grad():
            sr = technique.enlarge_tiles(number, lr, context, [Place(0, 0, side, side)])
        rows = sr.isnan().any(1)[0].any(1).nonzero().flatten() // one.scale
        reach = max(centre - int(rows.min()), int(rows.max()) - centre)
        assert one.halo - 1 <= reach <= one.halo, (number, reach)


def test_self_ensemble_is_the_mean_over_flips_and_rotations(make, image, tiled) -> None:
    technique = make("dan", features=8)
    lr = image(21, 34)
    total = torch.zeros(3, 8 * 21, 8 * 34)
    with torch.no_grad():
        for flipped in (False, True):
            for turns in range(4):
                turned = (lr.flip(-1) if flipped else lr).rot90(turns, (-2, -1))
                back = technique.super_resolve(turned[None])[0].rot90(-turns, (-2, -1))
                total += (back.flip(-1) if flipped else back) / 8
    for tile in (None, 16):
        assert (tiled(technique, lr, tile=tile, self_ensemble=True) - total).abs().max() < ROUNDING


def test_self_ensemble_turns_maps_of_kernels_along(make, image, tiled) -> None:
    technique = make("blindsr-spatial")
    lr = image(18, 26)
    whole = tiled(technique, lr, self_ensemble=True)
    assert (tiled(technique, lr, tile=16, self_ensemble=True) - whole).abs().max() < ROUNDING


def test_a_map_of_kernels_is_not_looked_for_in_a_part(make, image, tiled, monkeypatch) -> None:
    monkeypatch.setattr("octosr.techniques.blindsr.module.MAP_VIEW", 16)
    with pytest.raises(ConfigError, match=r"technique\.search\.spatial=false"):
        tiled(make("blindsr-spatial"), image(30, 30), tile=16)


def test_noise_of_the_whole_image_cannot_be_tiled(image, tiled) -> None:
    technique = Interpolation("bicubic_noise", noise=2.0)
    lr = image(20, 20)
    assert torch.equal(tiled(technique, lr), technique.super_resolve(lr[None])[0])
    with pytest.raises(ConfigError, match="cannot be tiled"):
        tiled(technique, lr, tile=10)


@pytest.mark.parametrize("version", [1, 2])
def test_dan_shares_the_codes_of_the_whole_image(version, make, image, tiled) -> None:
    """v2 exactly. v1 pools in every block: on this noise, with random weights, tiles come as close as 1/255."""
    technique = make("dan", version=version, features=8)
    lr = image(100, 132)
    with torch.no_grad():
        whole = technique.super_resolve(lr[None])[0]
    found = (tiled(technique, lr, tile=64) - whole).abs().max()
    assert found < (ROUNDING if version == 2 else 1 / 255)


def test_batches_and_single_tiles_agree(make, image) -> None:
    technique = make("dan")
    lr = image(40, 60)
    (code,) = Contexts(technique, ArraySource(lr), 256).find()
    runner = TileRunner(technique, Stage(technique.tiling().passes), [Look(0, ArraySource(lr), code)])
    bands = Bands(runner, ListSink())
    one, three = (bands.make(Span(0, 20), 20, together)[0] for together in (1, 3))
    assert (one - three).abs().max() < ROUNDING


def test_prefixes_of_the_stages(make, image, tiled) -> None:
    technique = make("moesr")
    half = technique.at_scale(2)
    lr = image(30, 30)
    with torch.no_grad():
        first = technique.estimate(lr[None])[0].sr[0]
    assert (technique.scale, half.scale) == (8, 2)
    assert (tiled(half, lr) - first).abs().max() < ROUNDING
    assert (tiled(half, lr, tile=16) - first).abs().max() < ROUNDING
    with pytest.raises(ConfigError, match=r"moesr enlarges x2, x8 .* not x4"):
        technique.at_scale(4)
    assert Interpolation("bicubic").at_scale(3).scale == 3
