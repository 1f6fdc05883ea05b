"""A process for a cell: forked from one that has imported everything, or a fresh interpreter.

Importing PyTorch and Lightning takes longer than a small cell's work. The server process imports them once, does no
more than that (no operation, no thread of ours, no CUDA), and makes a copy of itself for each cell.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Protocol

PRELOAD = "octosr.runs.matrix.preload"


class Worker(Protocol):
    """A cell's process."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""


def can_be_warm() -> bool:
    """Whether processes can be forked from one that has imported PyTorch: on Linux."""
    return sys.platform.startswith("linux") and "forkserver" in multiprocessing.get_all_start_methods()


def open_server() -> None:
    """Begin to import, so that the first cell waits less. Nothing is written on the terminal by the server."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([PRELOAD])
    before = {name: os.environ.get(name) for name in ("TERM", "PYTORCH_NVML_BASED_CUDA_CHECK")}
    os.environ["TERM"] = "dumb"  # consoles that are made at import see no terminal, and cells write to files
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # a look at the GPUs must not begin CUDA, which cannot be forked
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


class WarmWorker:
    """A cell in a fork of the server. Arguments as :func:`fresh_worker`."""

    def __init__(self, verb: str, overrides: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        arguments = (verb, list(overrides), dict(environment), str(log), os.getcwd())
        self._process = multiprocessing.get_context("forkserver").Process(target=_be_cell, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def signal(self, number: int) -> None:
        """Send it a signal."""
        _send(self.pid, number, self.poll())


class FreshWorker:
    """A cell in an interpreter of its own.

    Args:
        verb: ``train`` or ``eval``.
        overrides: what follows it.
        environment: the whole environment.
        log: takes what it says.
    """

    def __init__(self, verb: str, overrides: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, script_of(verb), *overrides],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C is for the matrix, which passes it on
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        _send(self.pid, number, self.poll())


def script_of(verb: str) -> str:
    """The file of the command, for an interpreter to run."""
    spec = importlib.util.find_spec(f"octosr.commands.{verb}")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"octosr.commands.{verb}")
    return spec.origin


def _send(pid: int | None, number: int, code: int | None) -> None:
    if pid is not None and code is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            # When it must end at once, so must the processes that it has started.
            os.killpg(pid, number) if number == signal.SIGKILL else os.kill(pid, number)


def _be_cell(verb: str, overrides: list[str], environment: dict[str, str], log: str, folder: str) -> None:
    """What the fork does: all that makes a process its own, then the command as if it had been typed."""
    os.setsid()
    os.chdir(folder)
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    import torch

    if "OMP_NUM_THREADS" in environment:  # read by the library when the server loaded it
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    script = script_of(verb)
    sys.argv[:] = [script, *overrides]
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        run: Any = atexit._run_exitfuncs  # multiprocessing leaves them out; W&B and others end by them
        run()
