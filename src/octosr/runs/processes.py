"""The processes of one cell on this machine: started, watched, and ended together.

Lightning would start the second process of a run by typing the command again, which in a sweep (``-m``) is the whole
sweep, and would leave the variables of the first cell behind for the next. So a cell that wants several processes gets
them from here, each with the settings of this cell alone.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from octosr.errors import OctoSRError, TrainingError
from octosr.runs.allocation import processes_wanted
from octosr.runs.sweep import IN_SWEEP, CellResult, in_sweep
from octosr.typed import typed

GRACE = 10.0
"""Seconds that processes have to end by themselves after another has ended with an error, which they may meet too."""

_PARENT, _OUTCOME, _COMMAND = "OCTOSR_PARENT", "OCTOSR_OUTCOME", "OCTOSR_COMMAND"


def run_in_processes(cfg: DictConfig, job: str) -> CellResult:
    """Start the processes of a cell, wait for them, and return what the first of them has to say.

    A process that dies takes the others with it: at once if it was killed, since they would wait for it for ever;
    after :data:`GRACE` seconds if it ended with an error. SIGTERM and SIGINT are passed on to all.

    Args:
        cfg: the composed config; Hydra must be running.
        job: the entry point, ``train`` or ``eval``.

    Raises:
        TrainingError: a process died, or ended with an error.
        SystemExit: the run was told to end, and ended in good order.
    """
    number = processes_wanted(cfg)
    with tempfile.TemporaryDirectory(prefix="octosr-") as folder:
        outcome = Path(folder) / "outcome.json"
        shared = os.environ | {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "WORLD_SIZE": str(number),
            "NODE_RANK": "0",
            _PARENT: str(os.getpid()),
            _OUTCOME: str(outcome),
            _COMMAND: command_line(),
            IN_SWEEP: "1" if in_sweep() else "0",
        }
        children: list[subprocess.Popen[bytes]] = []
        try:
            with _passing_signals_to(children):
                for rank in range(number):
                    # A session of its own: Ctrl-C reaches this process, which passes it on once.
                    environment = shared | {"LOCAL_RANK": str(rank)}
                    children.append(subprocess.Popen(command(job), env=environment, start_new_session=True))
                first_bad = _wait(children)
        finally:
            for child in children:
                if child.poll() is None:
                    child.kill()
                child.wait()
        return _what_came_of_it(children, first_bad, outcome)


def command(job: str) -> list[str]:
    """The command that runs the cell at hand alone, as Hydra has composed it, whatever the sweep around it."""
    hydra = HydraConfig.get()
    sources = {source.provider: source.path for source in hydra.runtime.config_sources if source.schema == "file"}
    made = [sys.executable, "-m", f"octosr.commands.{job}"]
    if "command-line" in sources:
        made += ["--config-dir", sources["command-line"]]
    made += ["--config-name", str(hydra.job.config_name)]
    made += [override for override in hydra.overrides.hydra if override.startswith("hydra.searchpath")]
    made += list(hydra.overrides.task)
    # The parent has written the config, and says how the cell ended.
    folder = str(hydra.runtime.output_dir).replace("'", r"\'")
    return [*made, f"hydra.run.dir='{folder}'", "hydra.output_subdir=null", "~hydra.callbacks.sweep"]


def command_line() -> str:
    """What was typed to start this run, for a message that says how to go on."""
    return os.environ.get(_COMMAND) or f"{typed(Path(sys.argv[0]).stem)} {shlex.join(sys.argv[1:])}"


def is_cell_process() -> bool:
    """Whether this process was started by :func:`run_in_processes`."""
    return _PARENT in os.environ


def tell_outcome(run: Callable[[], CellResult]) -> CellResult:
    """Run the cell in one of its processes; the first one writes what came of it for the parent.

    Raises:
        SystemExit: an error meant for the user, which the parent says.
    """
    _end_with(int(os.environ[_PARENT]))
    first = os.environ["LOCAL_RANK"] == "0"
    try:
        result = run()
    except OctoSRError as error:
        _write({"error": str(error)}, first)
        raise SystemExit(1) from error
    _write({"result": asdict(result)}, first)
    return result


def _write(content: dict[str, Any], first: bool) -> None:
    """The first process's word counts; an error of another one does where the first has nothing to say."""
    path = Path(os.environ[_OUTCOME])
    (path if first else path.with_suffix(f".{os.environ['LOCAL_RANK']}")).write_text(json.dumps(content))


def _end_with(parent: int) -> None:
    """End this process soon after the parent was killed: nobody would notice any more if it waited for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        sys.stderr.write(f"error: process {parent}, which had started this one, is gone: ending\n")
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


@contextmanager
def _passing_signals_to(children: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT go to the children, which end in good order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, frame: Any) -> None:
        for child in children:
            child.send_signal(number)  # does nothing if it has ended

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all have ended, or one badly; returns its rank."""
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    for rank, child in enumerate(children):
        threading.Thread(target=_tell, args=(rank, child, ended), daemon=True).start()
    deadline, first_bad = float("inf"), None
    for _ in children:
        try:
            rank = ended.get(timeout=None if deadline == float("inf") else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        code = children[rank].returncode
        if code != 0 and first_bad is None:
            first_bad, deadline = rank, time.monotonic() + GRACE
        if code < 0:
            break
    return first_bad


def _tell(rank: int, child: subprocess.Popen[bytes], ended: queue.SimpleQueue[int]) -> None:
    child.wait()
    ended.put(rank)


def _what_came_of_it(children: Sequence[subprocess.Popen[bytes]], first_bad: int | None, outcome: Path) -> CellResult:
    said = [json.loads(path.read_text()) for path in sorted(outcome.parent.glob("outcome.*"), key=_rank)]
    errors = [content["error"] for content in said if "error" in content]
    if first_bad is None:
        return CellResult(**said[0]["result"])
    code = children[first_bad].returncode
    if errors and code > 0:
        raise TrainingError(errors[0])
    if code in (128 + signal.SIGTERM, 128 + signal.SIGINT):
        raise SystemExit(code)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code} (see above)"
    memory = " (which is what the system does when memory runs out)" if code == -signal.SIGKILL else ""
    raise TrainingError(
        f"Process {first_bad} of {len(children)} {how}{memory}; the others were ended. What was saved before is kept: "
        "the same command goes on from there."
    )


def _rank(path: Path) -> int:
    return 0 if path.suffix == ".json" else int(path.suffix[1:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
