"""Which part of this machine each of several cells at a time may use."""

from __future__ import annotations

import os
import subprocess


def environments(jobs: int) -> list[dict[str, str]]:
    """Additions to the environment of the cells in each of the places.

    GPUs are shared out: with four of them and two places each has two, with more places than GPUs some share one.
    So are the CPU's cores. What is set already is respected. Nothing is added for a single place.
    """
    if jobs == 1:
        return [{}]
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, cores() // jobs))}
    devices = gpus()
    if not devices:
        return [threads] * jobs
    return [threads | {"CUDA_VISIBLE_DEVICES": ",".join(share(devices, jobs, place))} for place in range(jobs)]


def share(devices: list[str], jobs: int, place: int) -> list[str]:
    """The GPUs of one place.

    >>> share(["0", "1", "2", "3"], 2, 1)
    ['1', '3']
    >>> share(["0", "1"], 3, 2)
    ['0']
    """
    return devices[place::jobs] if len(devices) >= jobs else [devices[place % len(devices)]]


def gpus() -> list[str]:
    """The GPUs that may be used, by number or name; asked of the driver's own tool, so that CUDA is not begun."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part.strip() for part in chosen.split(",") if part.strip() not in ("", "-1")]
    try:
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
