"""A list of independent jobs on several CPU cores, each job on one core.

Many short operations split over cores inside each operation make the cores wait for each other thousands of times a
second; with a job each they meet once, and a core that another program takes away delays one job and not all of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_on_cores(function: Callable[[_Item], _Result], items: Sequence[_Item], device: torch.device) -> list[_Result]:
    """``[function(item) for item in items]``, on the CPU with one core for each item at a time.

    The caller's autograd modes hold in the jobs. On other devices, or with a single thread or item, a plain loop.

    Args:
        function: must not itself call :func:`map_on_cores`.
        items: what to call it with.
        device: where the work is done.

    Returns:
        The results in order; the first error of a job is raised.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2 or len(items) < 2:
        return [function(item) for item in items]
    return _in_pool([partial(function, item) for item in items])


def on_one_core(function: Callable[[], _Result], device: torch.device) -> _Result:
    """``function()``, on the CPU with one core.

    For many short operations in a row: split over cores, each of them costs more waiting than work, and hundreds of
    times more when another program holds one of the cores (LAPACK's factorisations of small matrices most of all).
    """
    if device.type != "cpu" or torch.get_num_threads() < 2:
        return function()
    return _in_pool([function])[0]


def _in_pool(functions: Sequence[Callable[[], _Result]]) -> list[_Result]:
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def job(function: Callable[[], _Result]) -> _Result:
        # Both modes belong to a thread, so they are carried over.
        with torch.inference_mode(inference), torch.set_grad_enabled(grad):
            return function()

    return list(pool(torch.get_num_threads()).map(job, functions))


@lru_cache(maxsize=1)
def pool(threads: int) -> ThreadPoolExecutor:
    """One worker a core, in which PyTorch's operations use one thread."""
    return one_core_workers(threads, "cores")


def one_core_workers(count: int, name: str) -> ThreadPoolExecutor:
    """Workers in which PyTorch's operations use one thread each; whoever asks for them shuts them down.

    Args:
        count: of workers.
        name: that their threads' names begin with.
    """
    threads = torch.get_num_threads()
    start = threading.Barrier(count)

    def initialise() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # PyTorch fixes a thread's number on its first use
        start.wait()

    workers = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=initialise)
    list(workers.map(lambda _: start.wait(), range(count)))  # all have begun
    torch.set_num_threads(threads)  # set_num_threads also sets what later threads begin with
    return workers


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)  # threads do not survive a fork
