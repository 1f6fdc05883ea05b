"""What is kept of the whole image between passes: the result, where it lies, and what is done when memory runs out."""

from __future__ import annotations

import shutil
import tempfile
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from octosr.errors import DiskError, TooLittleMemoryError
from octosr.prediction.tiling import ArraySource, ListSink, sizing, upscale
from octosr.prediction.tiling.maps import FeatureMap
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.tiling import TilePass, Tiling

ROUNDING = 2e-5
LAYERS = 6
"""Convolutions of 7x7 that are kept: they see 18 pixels far, tiles of 9 overlap by 3."""


class Chain(SingleImageTechnique):
    """Convolutions at the LR size, each kept, then nearest-neighbour enlargement to twice the side and one more."""

    def __init__(self, width: int = 5) -> None:
        super().__init__("chain", (2,))
        torch.manual_seed(0)
        widths = [3] + [width] * LAYERS
        layers = [nn.Conv2d(a, b, 7, padding=3) for a, b in pairwise(widths)]
        self.layers = nn.ModuleList([*layers, nn.Conv2d(width, 3, 3, padding=1)])
        for layer in layers:
            nn.init.orthogonal_(layer.weight, 2.0)
        self.memory: dict[int, int] = {}
        """Pixels of a pass's input that there is memory for."""
        self.error: BaseException = MemoryError()

    def tiling(self) -> Tiling:
        return Tiling((*[TilePass(1, 3, kept=True)] * LAYERS, TilePass(2, 1)))

    def enlarge_tiles(self, number: int, tiles: Tensor, context: object, places: object) -> Tensor:
        if tiles.shape[-2] * tiles.shape[-1] > self.memory.get(number, 10**9):
            raise self.error
        if number < LAYERS:
            return self.layers[number](tiles).sin()
        return self.layers[number](nn.functional.interpolate(tiles, scale_factor=2))

    def super_resolve(self, lr: Tensor) -> Tensor:
        for number in range(LAYERS + 1):
            lr = self.enlarge_tiles(number, lr, None, None)
        return lr


def whole(technique: Chain, lr: Tensor) -> Tensor:
    with torch.no_grad():
        return technique.super_resolve(lr[None])[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (37, 53), (90, 9)])
def test_tiles_make_what_the_whole_image_would(size, image, tiled) -> None:
    technique, lr = Chain(), image(*size)
    for tile in (9, 16, 40):
        assert (tiled(technique, lr, tile=tile) - whole(technique, lr)).abs().max() < ROUNDING


def test_one_pass_with_a_smaller_halo_than_all_would_not(image, tiled, monkeypatch) -> None:
    """So that the test above says something: the passes see further than any one of them."""
    technique, lr = Chain(), image(37, 53)
    monkeypatch.setattr(Chain, "tiling", lambda self: Tiling((TilePass(2, 8),)))
    monkeypatch.setattr(Chain, "enlarge_tiles", lambda self, number, tiles, context, places: run(tiles))
    made = Chain()

    def run(tiles: Tensor) -> Tensor:
        for layer in technique.layers[:-1]:
            tiles = layer(tiles).sin()
        return technique.layers[-1](nn.functional.interpolate(tiles, scale_factor=2))

    expected = run(lr[None])[0]
    assert (tiled(made, lr, tile=16) - expected).abs().max() > 1 / 255


def test_a_file_holds_what_memory_would(image, tiled, monkeypatch) -> None:
    technique, lr = Chain(), image(37, 53)
    in_memory = tiled(technique, lr, tile=16)
    files: list[object] = []
    make = tempfile.TemporaryFile

    def counted(**settings: object) -> object:
        files.append(make(**settings))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", counted)
    monkeypatch.setattr(sizing, "SHARE_OF_MAPS", 0.0)
    assert torch.equal(tiled(technique, lr, tile=16), in_memory)
    assert len(files) == LAYERS
    assert [file.closed for file in files[:-1]] == [True] * (LAYERS - 1)  # at most two at a time


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory", [0.0, 1e9])
def test_a_map_gives_back_what_it_was_given(dtype, memory) -> None:
    values = torch.randn(4, 9, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    kept = FeatureMap(9, 7, memory)
    for rows in values.split(4, 1):
        kept.write(rows)
    assert kept.read(0, 9, 0, 7).dtype == dtype
    assert torch.equal(kept.read(0, 9, 0, 7), values)
    assert torch.equal(kept.read(2, 8, 3, 5), values[:, 2:8, 3:5])
    kept.close()


def test_a_disk_without_room_is_said_before_it_is_filled(image, monkeypatch) -> None:
    monkeypatch.setattr(sizing, "SHARE_OF_MAPS", 0.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 5))
    with pytest.raises(DiskError, match=r"temporary file of 1 MB in .*No space left.*TMPDIR"):
        upscale(Chain(), ArraySource(image(40, 40)), ListSink(), tile=16)


@pytest.mark.parametrize("short", [0, 3, LAYERS])
def test_the_tile_is_halved_when_memory_runs_out_in_any_stage(short, image) -> None:
    technique, lr, sink = Chain(), image(90, 70), ListSink()
    expected = whole(technique, lr)
    technique.memory = {short: 24**2}
    report = upscale(technique, ArraySource(lr), sink, tile=64)
    assert report.halvings == 2
    assert report.tile == (16 if short == LAYERS else 64)  # of the tiles that are written
    assert (sink.image() - expected).abs().max() < ROUNDING


def test_a_whole_image_that_is_too_much_is_cut(image) -> None:
    technique, lr, sink = Chain(), image(60, 50), ListSink()
    expected = whole(technique, lr)
    technique.memory = dict.fromkeys(range(LAYERS + 1), 45**2)
    report = upscale(technique, ArraySource(lr), sink)
    assert (report.tile, report.halvings, report.tiles) == (30, 1, 4)
    assert (sink.image() - expected).abs().max() < ROUNDING
    technique.memory = {2: 10}
    with pytest.raises(TooLittleMemoryError, match="16 is the least for chain"):
        upscale(technique, ArraySource(lr), ListSink())


def test_the_size_follows_memory_in_every_stage(image, monkeypatch) -> None:
    technique, lr = Chain(), image(200, 230)
    expected = whole(technique, lr)
    sides = []
    for megabytes in (1, 3, 1000):
        monkeypatch.setattr(sizing, "budget", lambda device, m=megabytes: m * 2**20)
        sink = ListSink()
        sides.append(upscale(technique, ArraySource(lr), sink).tile)
        assert (sink.image() - expected).abs().max() < ROUNDING
    assert sides[-1] is None
    assert sides[0] < sides[1]


def test_every_stage_moves_the_bar(image) -> None:
    seen: list[tuple[int, int]] = []
    upscale(Chain(), ArraySource(image(32, 30)), ListSink(), tile=16, progress=lambda *parts: seen.append(parts))
    assert len(seen) == 2 * (LAYERS + 1)
    assert seen[0] == (69, 960)  # one of 14 equal shares
    assert seen[-1] == (960, 960)
    assert seen == sorted(seen)


def test_self_ensemble(image, tiled, monkeypatch) -> None:
    technique, lr = Chain(), image(21, 34)
    total = torch.zeros(3, 42, 68)
    for flipped in (False, True):
        for turns in range(4):
            turned = (lr.flip(-1) if flipped else lr).rot90(turns, (-2, -1))
            back = whole(technique, turned).rot90(-turns, (-2, -1))
            total += (back.flip(-1) if flipped else back) / 8
    assert (tiled(technique, lr, tile=9, self_ensemble=True) - total).abs().max() < ROUNDING
    monkeypatch.setattr(sizing, "SHARE_OF_MAPS", 0.0)
    assert (tiled(technique, lr, tile=9, self_ensemble=True) - total).abs().max() < ROUNDING


def test_an_image_too_narrow_for_a_network_is_not_cut(image, tiled, monkeypatch) -> None:
    technique, lr = Chain(), image(3, 50)
    monkeypatch.setattr(Chain, "tiling", lambda self: Tiling((TilePass(2, 0),), least=4))
    assert torch.equal(tiled(technique, lr, tile=16), whole(technique, lr))
    technique.memory = {0: 1}
    with pytest.raises(TooLittleMemoryError, match=r"So narrow an image cannot be tiled by chain.* 3x50 pixels"):
        tiled(technique, lr)


def test_tilings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="written, not kept"):
        Tiling((TilePass(1, 1, kept=True),))
    with pytest.raises(ValueError, match="not blended"):
        Tiling((TilePass(1, 1, kept=True), TilePass(1, 1)), blend=4)
