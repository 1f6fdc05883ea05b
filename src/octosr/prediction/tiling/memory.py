"""How much memory there is, how much a tile takes, and what it looks like when it is not enough."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_Result = TypeVar("_Result")
CPU_BUDGET = 3 * 2**29
"""Bytes that one step may take on a CPU (1.5 GiB), where larger tiles are hardly faster."""
SHARE = {"cpu": 0.5, "other": 0.8}
"""Share of what is free that one step may take."""
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def budget(device: torch.device) -> int:
    """Bytes that one step may take on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + held) * SHARE["other"])
    return min(CPU_BUDGET, int(free_memory() * SHARE["cpu"]))


def free_memory() -> int:
    """Bytes of main memory that this process may still take, its container's limit included; CPU_BUDGET if unknown."""
    found = []
    if _MEMINFO.is_file():
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line)
        if "MemAvailable" in fields:
            found.append(int(fields["MemAvailable"].split()[0]) * 1024)
    limit, used = _CGROUP / "memory.max", _CGROUP / "memory.current"
    if limit.is_file() and used.is_file() and limit.read_text().strip().isdigit():
        found.append(max(int(limit.read_text()) - int(used.read_text()), 0))
    return min(found, default=2 * CPU_BUDGET)


def peak_bytes(function: Callable[[], Any], device: torch.device) -> int:
    """Bytes that a call takes at its worst, beyond what is there before.

    On a GPU as its allocator says. Elsewhere the tensors that are alive after any operation; what an operation takes
    meanwhile is not seen.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        function()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with _LiveTensors() as live:
        function()
    return live.peak


class _LiveTensors(TorchDispatchMode):
    """Adds up the storages that operations of this thread make, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        # A view of what was there before takes nothing; one of what was made here is counted already.
        known = {storage.cdata for storage, _ in _storages((args, kwargs))}
        for storage, size in _storages(result):
            if storage.cdata not in known:
                self._alive.setdefault(storage.cdata, (storage, size))
        self._alive = {key: value for key, value in self._alive.items() if not value[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return result


def _storages(tree: Any) -> list[tuple[StorageWeakRef, int]]:
    """References to the memory of all tensors in arguments or results, and the bytes that it has."""
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and not leaf.is_sparse]
    return [(StorageWeakRef(tensor.untyped_storage()), tensor.untyped_storage().nbytes()) for tensor in tensors]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: in Python, on a device, or in PyTorch's allocator for the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED", "bad allocation")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def attempt(function: Callable[[], _Result], device: torch.device) -> _Result | None:
    """What a function returns, or None if memory ran out; whatever it held is then free again."""
    try:
        return function()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Only here is the error gone, and with it the frames that hold on to tensors.
    release(device)
    return None


def release(device: torch.device) -> None:
    """Give back what a failed attempt has left behind."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
