"""Order, memory, and what happens when it runs out."""

from __future__ import annotations

import pytest
import torch

from octosr.errors import ConfigError, TooLittleMemoryError
from octosr.prediction.tiling import ArraySource, ListSink, sizing, upscale
from octosr.prediction.tiling.memory import is_out_of_memory, peak_bytes
from octosr.prediction.tiling.view import view_of
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.interpolation import Interpolation

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
]


class Short(Interpolation):
    """Bicubic enlargement on hardware that has no memory for more than so many LR pixels."""

    def __init__(self, pixels: int, error: BaseException) -> None:
        super().__init__("short", "bicubic", 2)
        self.pixels, self.error, self.after = pixels, error, 0

    def super_resolve(self, lr):
        if lr.shape[0] * lr.shape[-2] * lr.shape[-1] > self.pixels:
            raise self.error
        return super().super_resolve(lr)


class Unknown(SingleImageTechnique):
    """A user's own network of which nothing is known; it averages over all it sees."""

    def super_resolve(self, lr):
        smooth = torch.nn.functional.interpolate(lr, scale_factor=2, mode="bilinear")
        return smooth + 0.05 * lr.mean((2, 3), keepdim=True)


class Counted(ArraySource):
    """Remembers the largest rectangle that was read."""

    largest = 0

    def read(self, top, bottom, left, right):
        self.largest = max(self.largest, (bottom - top) * (right - left))
        return super().read(top, bottom, left, right)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_the_tile_is_halved_when_memory_runs_out(error, image) -> None:
    lr, sink = image(90, 70), ListSink()
    report = upscale(Short(30**2, error), ArraySource(lr), sink, tile=64)
    assert report.halvings == 2
    assert report.tile == 16
    whole = Interpolation("bicubic", "bicubic", 2).super_resolve(lr[None])[0]
    assert (sink.image() - whole).abs().max() < 2e-6


def test_memory_that_runs_out_half_way_repeats_no_row(image) -> None:
    lr, sink = image(96, 40), ListSink()
    technique = Short(10**9, MemoryError())

    def progress(done: int, total: int) -> None:
        technique.pixels = 30**2  # from the first band on

    report = upscale(technique, ArraySource(lr), sink, tile=48, progress=progress)
    assert (report.halvings, report.tile) == (1, 24)
    whole = Interpolation("bicubic", "bicubic", 2).super_resolve(lr[None])[0]
    assert (sink.image() - whole).abs().max() < 2e-6


def test_the_whole_image_comes_first_and_tiles_if_it_is_too_much(image) -> None:
    lr, sink = image(60, 60), ListSink()
    report = upscale(Short(40**2, MemoryError()), ArraySource(lr), sink)
    assert (report.tile, report.halvings, report.tiles) == (30, 1, 4)
    assert sink.image().shape == (3, 120, 120)


def test_too_little_memory_for_the_smallest_tile(image) -> None:
    with pytest.raises(TooLittleMemoryError, match="16 is the least for short"):
        upscale(Short(10, MemoryError()), ArraySource(image(90, 90)), ListSink(), tile=64)


def test_other_errors_are_not_taken_for_lack_of_memory(image) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        upscale(Short(10, RuntimeError("shapes do not fit")), ArraySource(image(40, 40)), ListSink(), tile=16)
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_source_is_read_tile_by_tile(image) -> None:
    source = Counted(image(80, 80))
    upscale(Interpolation("bicubic", "bicubic", 2), source, ListSink(), tile=16)
    assert source.largest == 20**2


def test_progress_counts_every_pixel_once(image) -> None:
    seen: list[tuple[int, int]] = []
    upscale(
        Interpolation("b", "bicubic", 2),
        ArraySource(image(40, 30)),
        ListSink(),
        tile=16,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(390, 1200), (780, 1200), (1200, 1200)]


def test_an_unknown_network_is_blended_without_a_seam(image) -> None:
    """Tiles of different means: from one to the next the result changes no faster than the ramp."""
    lr = torch.zeros(3, 80, 160)
    lr[..., 80:] = 1
    sink = ListSink()
    report = upscale(Unknown("mine", (2,)), ArraySource(lr), sink, tile=64)
    assert report.bound is None
    offsets = sink.image() - torch.nn.functional.interpolate(lr[None], scale_factor=2, mode="bilinear")[0]
    assert offsets.diff(dim=-1).abs().max() < 0.05 * torch.pi / 2 / 64 * 1.01
    constant = torch.full((3, 80, 160), 0.5)
    sink = ListSink()
    upscale(Unknown("mine", (2,)), ArraySource(constant), sink, tile=64)
    assert (sink.image() - 0.525).abs().max() < 1e-6


def test_a_tile_too_small_to_blend_is_refused(image) -> None:
    with pytest.raises(ConfigError, match="use 64 or more"):
        upscale(Unknown("mine", (2,)), ArraySource(image(100, 100)), ListSink(), tile=32)
    with pytest.raises(ConfigError, match="at least 1"):
        upscale(Unknown("mine", (2,)), ArraySource(image(8, 8)), ListSink(), tile=0)


def test_the_size_follows_memory(image, monkeypatch) -> None:
    lr = image(200, 300)
    whole = Interpolation("b", "bicubic", 2).super_resolve(lr[None])[0]
    sides = []
    for megabytes in (1, 4, 1000):
        monkeypatch.setattr(sizing, "budget", lambda device, m=megabytes: m * 2**20)
        sink = ListSink()
        report = upscale(Interpolation("b", "bicubic", 2), ArraySource(lr), sink)
        assert (sink.image() - whole).abs().max() < 2e-6
        sides.append(report.tile)
    assert sides[-1] is None
    assert sides[0] < sides[1]


def test_peak_bytes_counts_what_is_alive_at_once() -> None:
    def work() -> torch.Tensor:
        first = torch.zeros(1000)
        second = first + 1
        del first
        return second * 2

    assert peak_bytes(work, torch.device("cpu")) == 8000
    there = torch.zeros(1000)
    assert peak_bytes(lambda: there[:10] + 1, torch.device("cpu")) == 40


def test_the_view_is_the_whole_or_the_part_with_most_detail(image) -> None:
    lr = torch.full((3, 60, 60), 0.5)
    assert torch.equal(view_of(ArraySource(lr), 60), lr[None])
    lr[:, 40:, 20:40] = image(20, 20)
    assert torch.equal(view_of(ArraySource(lr), 20)[0], lr[:, 40:, 20:40])
    assert view_of(ArraySource(image(4, 1000)), 20).shape == (1, 3, 4, 100)
