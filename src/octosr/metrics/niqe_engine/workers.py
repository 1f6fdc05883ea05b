"""Independent pieces of work on several CPU cores, each piece on one core from beginning to end.

Split over cores inside each operation, the cores would wait for each other after every one of a few hundred short
operations.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do the work on every item, as many at a time as PyTorch may use threads; results in the order of the items.

    No gradients are recorded. The first error of the work is raised.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(items) == 1:
        with torch.no_grad():
            return [work(item) for item in items]

    def without_gradients(item: Item) -> Result:
        with torch.no_grad():  # belongs to a thread, so it is said again in each
            return work(item)

    return list(_pool(threads).map(without_gradients, items))


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """One worker a core, in which PyTorch's operations use one thread."""
    start = threading.Barrier(threads)

    def initialise() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # PyTorch fixes a thread's number on its first use
        start.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="niqe", initializer=initialise)
    list(pool.map(lambda _: start.wait(), range(threads)))  # all have begun
    torch.set_num_threads(threads)  # set_num_threads also sets what later threads begin with
    return pool


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
