"""An RRDBNet as a chain: the same network, halos that are right, tiles that make what the whole image would."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor, nn

from octosr.prediction.tiling import ArraySource, ListSink, upscale
from octosr.techniques.fixed_scale import FixedScale
from octosr.techniques.links import rrdbnet_links
from octosr.techniques.realesrgan.module import RealESRGAN
from octosr.techniques.spandrel import Spandrel


def rrdbnet(scale: int = 4, blocks: int = 3, **changes: int) -> ESRGAN:
    """With weights that make pixels at the end of the reach count.

    Of PyTorch's own ones, as good as nothing arrives there. Here each convolution of the blocks looks one row up.
    """
    torch.manual_seed(scale)
    made = ESRGAN(**{"num_filters": 6, "num_blocks": blocks, "scale": scale} | changes).eval()
    with torch.no_grad():
        for layer in made.model[1].sub.modules():
            if isinstance(layer, nn.Conv2d):
                row = torch.randn_like(layer.weight[:, :, 0, 1]) * (GAIN / layer.in_channels**0.5)
                layer.weight.zero_()[:, :, 0, 1] = row
        last = made.model[-1]
        image = made.model(torch.rand(1, made.model[0].in_channels, 40, 40))
        last.weight.div_(5 * image.std())
        last.bias.add_(0.5 - image.mean() / (5 * image.std()))
    return made


GAIN = 3.0
"""Of every convolution in the blocks."""
ROUNDING = 5e-5
"""What such weights make of rounding errors, at most."""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(rrdbnet().state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def images(count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(width))


def tiled(technique: FixedScale, lr: Tensor, tile: int) -> Tensor:
    sink = ListSink()
    assert upscale(technique, ArraySource(lr), sink, tile=tile).bound == 0
    return sink.image()


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_the_links_one_after_the_other_are_the_network(scale: int) -> None:
    network = rrdbnet(scale)
    state = images(2, 60, 14)
    with torch.no_grad():
        expected = network(state)
        for link in rrdbnet_links(network.model, 3, scale):
            state = link.run(state)
    assert expected.std() > 0.05
    torch.testing.assert_close(state, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_halos_are_how_far_links_see(scale: int) -> None:
    """A pixel that is no number makes no numbers of all that depends on it: to the halo's end, and no further."""
    side, centre = 25, 12
    for number, link in enumerate(rrdbnet_links(rrdbnet(scale, blocks=1).model, 3, scale)):
        channels = [3, 9, 15, 15, 9][number]
        state = torch.full((1, channels, side, side), 0.5)
        state[..., centre, centre] = torch.nan
        with torch.no_grad():
            rows = link.run(state).isnan().any(1)[0].any(1).nonzero().flatten() // link.scale
        assert max(centre - int(rows.min()), int(rows.max()) - centre) == link.halo, number


def test_a_block_is_kept_and_its_parts_are_not() -> None:
    kept = [link.kept for link in rrdbnet_links(rrdbnet(4, blocks=2).model, 3, 4)]
    assert kept == [False, False, False, True, False, False, True, False]


@pytest.mark.parametrize(("make", "to_scale"), [(RealESRGAN, "bicubic"), (RealESRGAN, "between"), (Spandrel, "after")])
def test_tiles_make_what_the_whole_image_would(make: type[FixedScale], to_scale: str, weights: Path) -> None:
    technique = make("mine", to_scale=to_scale)  # type: ignore[arg-type]
    technique.load_weights([weights])
    lr = images(1, 43, 33)[0]
    expected = technique.super_resolve(lr[None])[0]
    assert expected.std() > 0.05
    for tile in (16, 24) if to_scale == "bicubic" else (24,):
        assert (tiled(technique, lr, tile) - expected).abs().max() < ROUNDING


def test_the_blended_tiles_of_a_network_of_unknown_reach_would_not(weights: Path) -> None:
    """So that the test above says something: halos of 32 pixels, blended, miss what these weights see further away."""
    technique = Spandrel("mine", 4)
    technique.load_weights([weights])
    lr = images(1, 150, 20)[0]
    expected = technique.super_resolve(lr[None])[0]
    assert (tiled(technique, lr, 64) - expected).abs().max() < ROUNDING
    technique.reach = 32  # fewer than the 49 pixels that three blocks see
    assert (tiled(technique, lr, 64) - expected).abs().max() > 1 / 255
    technique.reach = None
    technique.network.links = lambda: ()  # type: ignore[union-attr, method-assign]
    sink = ListSink()
    assert upscale(technique, ArraySource(lr), sink, tile=64).bound is None
    assert (sink.image() - expected).abs().max() > 1 / 255


def test_strips_and_images_below_the_networks_smallest(weights: Path) -> None:
    technique = RealESRGAN(scale=4)
    technique.load_weights([weights])
    for size in ((2, 90), (90, 3), (1, 40)):  # spandrel mirrors an image of one pixel to two: it is not cut
        lr = images(1, *size)[0]
        assert (tiled(technique, lr, 16) - technique.super_resolve(lr[None])[0]).abs().max() < ROUNDING


def test_half_precision(weights: Path) -> None:
    technique = RealESRGAN(scale=4)
    technique.load_weights([weights])
    lr = images(1, 40, 30)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = technique.super_resolve(lr[None])[0]
        found = tiled(technique, lr, 16)
    assert found.dtype == torch.float32
    # Sums in another order, each rounded to 8 bits: about as near as the whole image is to that of full precision.
    exact = technique.super_resolve(lr[None])[0]
    assert (expected - exact).abs().mean() > 0
    assert (found - expected).abs().mean() < 2 * (expected - exact).abs().mean()


def test_networks_that_are_no_such_chain_are_blended(tmp_path: Path) -> None:
    grey = rrdbnet(2, blocks=1, in_nc=1, out_nc=1)
    folding = rrdbnet(4, blocks=1, in_nc=12, out_nc=3, shuffle_factor=2)
    for number, network in enumerate((grey, folding)):
        torch.save(network.state_dict(), tmp_path / f"{number}.pth")
        technique = Spandrel("mine")
        technique.load_weights([tmp_path / f"{number}.pth"])
        tiling = technique.tiling()
        assert tiling is not None
        assert (tiling.bound, tiling.blend > 0) == (None, True)
