"""A batch of N is N images alone; what goes wrong with one harms no other; what is interrupted is whole."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from octosr.errors import ConfigError
from octosr.prediction.flow import run as flow_run
from octosr.prediction.writers.png import PngWriter
from octosr.techniques.interpolation import Interpolation


class Watched(Interpolation):
    """Bicubic enlargement that remembers the sizes of its batches, and does something before each."""

    def __init__(self, before: Callable[[Tensor], None] = lambda lr: None, scale: int = 2) -> None:
        super().__init__("watched", "bicubic", scale)
        self.sizes: list[int] = []
        self.before = before

    def super_resolve(self, lr: Tensor) -> Tensor:
        self.before(lr)
        self.sizes.append(len(lr))
        return super().super_resolve(lr)


def raising(error: BaseException, when: Callable[[Tensor], bool]) -> Callable[[Tensor], None]:
    def check(lr: Tensor) -> None:
        if when(lr):
            raise error

    return check


@pytest.mark.parametrize("name", ["dan", "blindsr"])
def test_a_batch_is_its_images_alone(flow, make, pixels, name: str) -> None:
    """Up to the last digit before rounding: then a value may become its neighbour, one in ten thousand."""
    for number in range(2):
        flow.picture(f"{number}.png", 28, 28, 3)
    together = flow.run(make(name), "together", batch_size=2)
    assert flow.log.ended == [("0.png", 2), ("1.png", 2)]
    alone = flow.run(make(name), "alone", batch_size=1)
    assert flow.log.ended == [("0.png", 1), ("1.png", 1)]
    for key, path in alone.items():
        distance = np.abs(pixels(path) - pixels(together[key]))
        assert distance.max() <= 1
        assert (distance > 0).mean() < 1e-4
        assert pixels(path).std() > 10


@pytest.mark.parametrize("self_ensemble", [False, True])
def test_files_of_a_batch_are_those_of_its_images_alone_byte_for_byte(flow, self_ensemble: bool) -> None:
    """Noise that belongs to the image, grey, opacity, 16 bits: in one batch with colours, and not square."""
    flow.picture("a.png")
    flow.picture("b.png", 12, 16)
    flow.picture("c.png", 12, 16, 4)
    flow.picture("d.png", 12, 16, high=65536, dtype=np.uint16)
    flow.picture("e.png")
    for technique in (Interpolation("bicubic"), Interpolation("noisy", noise=20.0)):
        settings = {"self_ensemble": self_ensemble}
        together = flow.run(technique, f"{technique.name}-together", batch_size=5, **settings)
        assert {batch for _, batch in flow.log.ended} == {5}
        alone = flow.run(technique, f"{technique.name}-alone", batch_size=1, **settings)
        assert {name: path.read_bytes() for name, path in alone.items()} == {
            name: path.read_bytes() for name, path in together.items()
        }


def test_where_last_digits_grow_images_go_alone(flow, make) -> None:
    for number in range(2):
        flow.picture(f"{number}.png", 28, 28, 3)
    assert not make("moesr").batches  # fine-tuned
    assert make("moesr", finetune_steps=0).batches
    technique = make("blindsr")
    technique.official_quirks = True  # the settings that it is asked about, not a search with them
    assert not technique.batches
    flow.run(technique, batch_size=2)
    assert [batch for _, batch in flow.log.ended] == [1, 1]


def test_only_neighbours_of_one_size_go_together(flow) -> None:
    for name, side in zip("abcdefg", (8, 8, 12, 8, 8, 8, 12), strict=True):
        flow.picture(f"{name}.png", side, 8, 3)
    technique = Watched()
    together = flow.run(technique, "together", batch_size=2)
    assert technique.sizes == [2, 1, 2, 1, 1]
    assert flow.log.begun == [["a.png", "b.png"], ["c.png"], ["d.png", "e.png"], ["f.png"], ["g.png"]]
    alone = flow.run(Watched(), "alone", batch_size=1)
    assert all(path.read_bytes() == together[name].read_bytes() for name, path in alone.items())


def test_images_that_tiles_are_asked_for_go_alone(flow) -> None:
    for name in "ab":
        flow.picture(f"{name}.png", 40, 20, 3)
    flow.run(Watched(), batch_size=2, tile=32)
    assert [batch for _, batch in flow.log.ended] == [1, 1]
    flow.run(Watched(), "whole", batch_size=2, tile=40)
    assert [batch for _, batch in flow.log.ended] == [2, 2]


def test_a_corrupt_file_harms_no_neighbour_and_order_is_kept(flow) -> None:
    for name in "abde":
        flow.picture(f"{name}.png")
    bad = flow.picture("c.png")
    bad.write_bytes(bad.read_bytes()[:-40])
    technique = Watched()
    assert sorted(flow.run(technique, batch_size=4)) == ["a.png", "b.png", "d.png", "e.png"]
    assert technique.sizes == [4]
    assert flow.log.begun == [["a.png", "b.png", "c.png", "d.png", "e.png"]]
    assert flow.log.failed == 1
    assert flow.problems == [(bad, "the file is truncated (its end marker is missing)")]
    assert flow.noted() == ["a.png", "b.png", "d.png", "e.png"]


def test_values_that_are_no_numbers_are_those_of_one_image(flow) -> None:
    flow.picture("a.png")
    flow.picture("b.png", high=10)
    flow.picture("c.png")

    class Dark(Watched):
        def super_resolve(self, lr: Tensor) -> Tensor:
            sr = super().super_resolve(lr)
            return torch.where(lr.mean((1, 2, 3), keepdim=True) < 0.1, torch.nan, sr)

    assert sorted(flow.run(Dark(), batch_size=3)) == ["a.png", "c.png"]
    assert [(path.name, "NaN or infinite" in reason) for path, reason in flow.problems] == [("b.png", True)]


def test_the_batch_is_halved_when_memory_runs_out(flow, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abcdefghi":
        flow.picture(f"{name}.png")
    technique = Watched(raising(MemoryError(), lambda lr: len(lr) > 2))
    with caplog.at_level(logging.WARNING):
        together = flow.run(technique, "together", batch_size=8)
    assert technique.sizes == [2, 2, 2, 2, 1]
    assert flow.noted() == [f"{name}.png" for name in "abcdefghi"]
    assert [record.getMessage() for record in caplog.records] == [
        "Memory ran out: going on with 4 instead of 8 images at once.",
        "Memory ran out: going on with 2 instead of 4 images at once.",
    ]
    alone = flow.run(Watched(), "alone", batch_size=1)
    assert all(path.read_bytes() == together[name].read_bytes() for name, path in alone.items())


def test_one_image_that_does_not_fit_is_cut_into_tiles(flow, pixels) -> None:
    for name in "ab":
        flow.picture(f"{name}.png", 64, 64, 3)
    short = Watched(raising(MemoryError(), lambda lr: lr.numel() > 3 * 40**2))
    tiled = flow.run(short, "tiled", batch_size=2)
    whole = flow.run(Watched(), "whole", batch_size=1)
    assert sorted(tiled) == ["a.png", "b.png"]
    assert all(np.abs(pixels(tiled[name]) - pixels(whole[name])).max() <= 1 for name in whole)


def test_a_network_that_takes_one_image_only_gets_them_one_by_one(flow, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abcd":
        flow.picture(f"{name}.png")
    technique = Watched(raising(RuntimeError("expected one image"), lambda lr: len(lr) > 1))
    with caplog.at_level(logging.WARNING):
        assert len(flow.run(technique, batch_size=2)) == 4
    assert technique.sizes == [1, 1, 1, 1]
    said = "2 images could not be enlarged together, they go one by one: expected one image"
    assert [record.getMessage() for record in caplog.records] == [said]  # once


def test_an_error_that_is_no_image_s_ends_the_run_after_what_came_before(flow) -> None:
    for name in "abc":
        flow.picture(f"{name}.png", 12, 16 + 4 * (name == "b"), 3)
    technique = Watched(raising(RuntimeError("shapes do not fit"), lambda lr: lr.shape[-1] == 20))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        flow.run(technique)
    assert list(flow.written()) == ["a.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)], ids=["ctrl-c", "sigterm"])
def test_an_interruption_leaves_whole_files_only_and_the_next_run_goes_on(
    flow, pixels, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The first batch waits to be encoded, on one thread, when the second is interrupted: it is not lost."""
    names = [f"{number}.png" for number in range(8)]
    for name in names:
        flow.picture(name)
    monkeypatch.setattr(flow_run, "ENCODERS", 1)
    interrupted = threading.Event()
    finish = PngWriter.finish

    def slow(writer: PngWriter) -> None:
        assert interrupted.wait(120)
        finish(writer)

    def interrupt(lr: Tensor) -> None:
        if technique.sizes:
            assert flow.noted() == []
            interrupted.set()
            raise error

    monkeypatch.setattr(PngWriter, "finish", slow)
    technique = Watched(interrupt)
    with pytest.raises(type(error)):
        flow.run(technique, batch_size=4)
    assert sorted(flow.written()) == names[:4]  # and no temporary file
    assert flow.noted() == names[:4]
    assert all(pixels(path).shape == (24, 32, 3) for path in flow.written().values())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("encoder", "finisher", "read"))]
    assert sorted(flow.run(Watched(), batch_size=4)) == names


def test_an_interruption_within_an_image_leaves_nothing_of_it(flow) -> None:
    for name in "ab":
        flow.picture(f"{name}.png", 64, 64, 3)

    def interrupt(lr: Tensor) -> None:
        if len(technique.sizes) == 7:  # the second row of tiles of the second image is at work
            raise KeyboardInterrupt

    technique = Watched(interrupt)
    with pytest.raises(KeyboardInterrupt):
        flow.run(technique, tile=32)
    assert list(flow.written()) == ["a.png"]
    assert flow.noted() == ["a.png"]


@pytest.mark.parametrize(
    ("code", "message"), [(errno.EIO, "b.png cannot be written: "), (errno.ENOSPC, "1 images were finished; the same")]
)
def test_a_disk_that_fails_one_image_or_all(flow, monkeypatch: pytest.MonkeyPatch, code: int, message: str) -> None:
    for name in "abc":
        flow.picture(f"{name}.png")
    finish = PngWriter.finish

    def fail(writer: PngWriter) -> None:
        if ".b.png" in writer._stream.name:
            raise OSError(code, "the disk says no")
        finish(writer)

    monkeypatch.setattr(PngWriter, "finish", fail)
    if code == errno.ENOSPC:
        with pytest.raises(ConfigError, match=message):
            flow.run(Watched(), batch_size=3)
        assert list(flow.written()) == ["a.png"]
    else:
        assert sorted(flow.run(Watched(), batch_size=3)) == ["a.png", "c.png"]
        assert message in flow.problems[0][1]
