"""Jobs on several cores: results in order, the caller's modes, errors."""

from __future__ import annotations

import threading

import pytest
import torch

from octosr.cores import map_on_cores, on_one_core

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("two_threads")


def test_results_are_in_order_and_jobs_run_in_other_threads_with_one_thread_each() -> None:
    here = threading.get_ident()
    found = map_on_cores(lambda n: (n * n, threading.get_ident(), torch.get_num_threads()), range(8), CPU)
    assert [square for square, _, _ in found] == [n * n for n in range(8)]
    assert all(thread != here for _, thread, _ in found)
    assert {threads for _, _, threads in found} == {1}


def test_a_job_on_one_core_has_one_thread_and_the_callers_modes() -> None:
    def state() -> tuple[int, bool, bool]:
        return torch.get_num_threads(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert on_one_core(state, CPU) == (1, True, False)
    assert on_one_core(threading.get_ident, CPU) != threading.get_ident()
    with torch.inference_mode():
        assert on_one_core(state, CPU) == (1, False, True)
    assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError):
        on_one_core(lambda: 1 / 0, CPU)


def test_modes_of_the_caller_hold_in_the_jobs() -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    assert set(map_on_cores(modes, range(4), CPU)) == {(True, False)}
    with torch.no_grad():
        assert set(map_on_cores(modes, range(4), CPU)) == {(False, False)}
    with torch.inference_mode():
        assert set(map_on_cores(modes, range(4), CPU)) == {(False, True)}


def test_gradients_of_jobs_flow_into_shared_weights() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    total = torch.stack(map_on_cores(lambda n: n * weight**2, range(1, 4), CPU)).sum()
    total.backward()
    assert weight.grad == pytest.approx(24.0)


def test_an_error_of_a_job_comes_out() -> None:
    def fail(n: int) -> int:
        if n == 2:
            raise ValueError("job 2")
        return n

    with pytest.raises(ValueError, match="job 2"):
        map_on_cores(fail, range(4), CPU)
