"""Reading ahead, and how many images go together."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from octosr.prediction.flow import sizes as flow_sizes
from octosr.prediction.flow.reading import OVERHEAD, Ahead
from octosr.prediction.flow.sizes import BatchSizes
from octosr.prediction.metadata import Metadata
from octosr.prediction.picture import Picture
from octosr.techniques.interpolation import Interpolation


def test_results_come_in_order_with_their_errors() -> None:
    with Ahead(lambda n: 12 // n, [3, 0, 4], size=lambda made: made) as ahead:
        found = [(n, future.exception() or future.result()) for n, future in ahead]
    assert [n for n, _ in found] == [3, 0, 4]
    assert found[0][1] == 4
    assert isinstance(found[1][1], ZeroDivisionError)
    assert found[2][1] == 3


def test_no_more_is_computed_ahead_than_the_limit_allows() -> None:
    computed: list[int] = []

    def compute(n: int) -> int:
        computed.append(n)
        return n

    with Ahead(compute, range(100), size=lambda made: 10 * OVERHEAD, limit=25 * OVERHEAD) as ahead:
        for n, _ in ahead:
            time.sleep(0.001)
            assert len(computed) <= n + 1 + 4  # taken, three that wait, one that is one too many
            if n == 20:
                break
    assert "read-ahead" not in [thread.name for thread in threading.enumerate()]
    assert len(computed) < 30


def picture(height: int, width: int) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), None, Metadata())


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A machine with eight cores, and as much memory as the test says."""
    machine = {"free": 2**40, "taken": 0, "peak": 0}
    monkeypatch.setattr(flow_sizes, "free_memory", lambda: machine["free"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(BatchSizes, "_taken", lambda self: machine["taken"])
    monkeypatch.setattr(BatchSizes, "_peak", lambda self: machine["peak"])
    return machine


def test_an_image_a_core_as_far_as_memory_reaches(memory: dict[str, int]) -> None:
    sizes = BatchSizes(Interpolation("bicubic"), None, None)
    assert sizes.most(picture(128, 128)) == 8
    assert sizes.least == 2
    memory["free"] = 2 * 3 * 1024**2 * flow_sizes.GUESS  # half of it for three guesses
    assert sizes.most(picture(128, 128)) == 3
    memory["free"] //= 100
    assert sizes.most(picture(128, 128)) == 1
    memory["peak"] = memory["free"] // 10  # a whole image took a fifth of what may be taken
    with sizes.measured(picture(128, 128), 1):
        pass
    assert sizes.most(picture(128, 128)) == 5
    for count, peak, most in ((1, 9.0, 5), (4, 0.2, 5), (5, 1.0, 2), (2, 9.0, 2)):  # a smaller batch's peak may be old
        memory["peak"] = int(memory["free"] * peak)
        with sizes.measured(picture(128, 128), count):
            pass
        assert sizes.most(picture(128, 128)) == most
    assert sizes.most(picture(127, 128)) == 1  # not measured


def test_where_no_peak_is_known_the_guess_stays(memory: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_sizes, "HAS_PEAK", False)
    sizes = BatchSizes(Interpolation("bicubic"), None, None)
    memory["free"] = 2 * 3 * 1024**2 * flow_sizes.GUESS
    memory["peak"] = memory["free"]
    with sizes.measured(picture(128, 128), 1):
        pass
    assert sizes.most(picture(128, 128)) == 3


def test_what_is_asked_for_is_what_goes_together_until_memory_runs_out(memory: dict[str, int]) -> None:
    sizes = BatchSizes(Interpolation("bicubic"), 6, None)
    memory["free"] = 0
    assert sizes.most(picture(100, 120)) == 6
    assert sizes.halve(6) == 3
    assert sizes.most(picture(100, 120)) == 3
    sizes.keep_apart(picture(100, 120))
    assert sizes.most(picture(100, 120)) == 1
    assert sizes.most(picture(120, 100)) == 3
    assert BatchSizes(Interpolation("bicubic"), 1, None).most(picture(8, 8)) == 1


def test_larger_images_go_alone_on_a_cpu(memory: dict[str, int]) -> None:
    assert BatchSizes(Interpolation("bicubic"), 4, None).most(picture(129, 128)) == 1
    assert BatchSizes(Interpolation("bicubic"), 4, 100).most(picture(128, 20)) == 1  # it is to be tiled


def test_memory_of_this_process_is_read() -> None:
    sizes = BatchSizes(Interpolation("bicubic"), None, None)
    taken, peak = sizes._taken(), sizes._peak()
    assert 2**24 < taken <= peak * 1.01
    block = torch.ones(2**24)  # 64 MiB
    assert sizes._peak() >= taken + block.nbytes // 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["dan", "blindsr"])
def test_a_batch_on_a_gpu_is_its_images_alone(flow, make, pixels, name: str) -> None:
    for number in range(5):
        flow.picture(f"{number}.png", 28, 28, *([3] if number != 1 else []))
    together = flow.run(make(name).cuda(), "together", batch_size=3)
    assert [batch for _, batch in flow.log.ended] == [3, 3, 3, 2, 2]
    alone = flow.run(make(name).cuda(), "alone", batch_size=1)
    for key, path in alone.items():
        assert np.abs(pixels(path) - pixels(together[key])).max() <= 1
