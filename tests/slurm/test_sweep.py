"""A sweep on a real SLURM: four cells as a job array, one pre-empted, queued again, and none the worse for it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from cluster import Cluster, missing

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.runs.cells import read_states

ROOT = Path(__file__).resolve().parents[2]
REASON = missing()
# A minute on an idle machine; what is waited for comes, or its log says why not.
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=str(REASON)), pytest.mark.timeout(1500)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="pip install 'octosr[slurm]'")
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # a short path, see Cluster
    started = Cluster(folder, cpus=4)
    try:
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Sweep:
    """A command that submits cells and waits for them, in a session of its own; what is known of it if it fails."""

    def __init__(self, cluster: Cluster, command: list[str], out: Path, **environment: str) -> None:
        self._cluster, self._out = cluster, out
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = cluster.environment | {"OMP_NUM_THREADS": "1"} | environment
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, start_new_session=True, **pipes)

    def wait_for(self, what: Callable[[], object], named: str, seconds: float = 300.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._fail(f"no {named} in {seconds:.0f} s")
            time.sleep(0.05)

    def finish(self, seconds: float = 500.0) -> None:
        """Wait until it has ended, all well."""
        try:
            said = "\n".join(self._process.communicate(timeout=seconds))
        except subprocess.TimeoutExpired:
            self._fail(f"not ended in {seconds:.0f} s")
        if self._process.returncode != 0:
            self._fail("it failed", said)

    def kill(self) -> None:
        """It and its launcher; the jobs go on."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _fail(self, why: str, said: str | None = None) -> NoReturn:
        self.kill()
        why += f"; ended with {self._process.returncode}"
        parts = {"the sweep": "\n".join(self._process.communicate()) if said is None else said}
        parts |= {str(path): path.read_text() for path in sorted(self._out.rglob(".submitit/*/*_log.*"))}
        parts["slurmctld"] = self._cluster.log()
        pytest.fail("\n".join([why, *(f"{name}:\n{text}" for name, text in parts.items())]))


def test_a_sweep_with_a_preempted_cell(
    cluster: Cluster, tmp_path: Path, demo_cache: Path, record_property: Callable[[str, object], None]
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    build_standins(data, ["isaid", "ships"], build_demo(demo_cache), count=3)
    # The same training under two names: one is pre-empted, the other is what it must be equal to.
    command = [sys.executable, "train.py", "-m", "technique=dan", "technique.name=one,other", "dataset=isaid,ships"]
    command += ["experiment=tiny", "logger=none", "trainer.max_steps=100", "trainer.limit_val_batches=0"]
    command += [
        "callbacks.last.every_n_steps=1000",
        "callbacks.image_logger=null",
        "callbacks.progress.every_n_steps=5",
    ]
    command += [f"data.root={data}", f"output_root={out}", "hydra/launcher=submitit_slurm"]
    command += ["hydra.launcher.partition=study", "hydra.launcher.cpus_per_task=1"]
    sweep = Sweep(cluster, command, out)
    try:
        log = _log_of_first_cell(out, sweep)
        array = cluster.call("squeue", "--noheader", "--array", "--format=%F").split()[0]
        cell = f"{array}_0"
        sweep.wait_for(lambda: "step 5/100" in log.read_text(), "fifth step")
        # What the node sends before the time is over, or before a job gives way to another.
        cluster.call("scancel", "--signal=USR2", cell)
        sweep.wait_for(lambda: f"Requeuing JobId={cell}" in cluster.log(), "requeue")
        # SLURM would let it rest two minutes. Not "now": the node takes a job that starts again in the second of its
        # end for the old one ("Job credential revoked"), and it has failed.
        cluster.call("scontrol", "update", f"JobId={cell}", "StartTime=now+3")
        sweep.finish()
    finally:
        sweep.kill()
    written = log.read_text()

    requeue = re.search(r"REQUEUED: job \S+ .*", written)
    stopped = re.search(r"SIGUSR2 received: stopping after step (\d+)", written)
    assert requeue is not None
    assert stopped is not None
    assert 5 <= int(stopped[1]) < 100
    assert f"resuming from {out}/checkpoints/one/isaid/last.ckpt" in written[requeue.end() :]
    states = {(state.technique, state.dataset): state.state for state in read_states(out)}
    assert states == dict.fromkeys([(t, d) for t in ("one", "other") for d in ("isaid", "ships")], "done")
    assert _started(cluster) == (1, 4)  # one array, a task a cell
    for dataset in ("isaid", "ships"):
        one, other = (
            torch.load(out / "checkpoints" / name / dataset / "last.ckpt", weights_only=True)
            for name in ("one", "other")
        )
        assert one["global_step"] == other["global_step"] == 100
        assert all(torch.equal(one["state_dict"][key], value) for key, value in other["state_dict"].items())
    lines = [line for line in cluster.log().splitlines() if cell in line] + [stopped[0], requeue[0]]
    record_property("shown", "\n  ".join(["a cell pre-empted, requeued and gone on with:", *lines]))


def _started(cluster: Cluster) -> tuple[int, int]:
    """How many jobs or arrays SLURM has been given, and how many different jobs its two schedulers have started."""
    log = cluster.log()
    started = re.findall(r"(?:sched: Allocate|backfill: _start_job: Started) JobId=(\S+?)\(", log)
    return len(re.findall(r"_slurm_rpc_submit_batch_job: JobId=", log)), len(set(started))


def _log_of_first_cell(out: Path, sweep: Sweep) -> Path:
    pattern = "runs/train-multirun/*/.submitit/*_0/*_0_0_log.out"
    sweep.wait_for(lambda: list(out.glob(pattern)), pattern)
    return next(out.glob(pattern))


def test_a_matrix_that_is_started_again_submits_nothing_twice(
    cluster: Cluster, tmp_path: Path, demo_cache: Path
) -> None:
    data, out, datasets = tmp_path / "data", tmp_path / "out", ("isaid", "ships")
    build_standins(data, list(datasets), build_demo(demo_cache), count=2)
    command = ["bash", "multirun.sh", "techniques=bicubic", f"datasets={','.join(datasets)}", "--no-report"]
    command += ["logger=none", "metrics=niqe", f"data.root={data}", f"output_root={out}"]
    command += ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=4"]  # one at a time

    def jobs() -> list[str]:
        return cluster.call("squeue", "--noheader", "--array").splitlines()

    first = Sweep(cluster, command, out, PYTHON=sys.executable)
    try:
        first.wait_for(lambda: len(jobs()) == len(datasets), "jobs in the queue")
    finally:
        first.kill()
    second = Sweep(cluster, command, out, PYTHON=sys.executable)
    try:
        second.finish()
    finally:
        second.kill()
    assert {(state.dataset, state.state) for state in read_states(out)} == {(name, "done") for name in datasets}
    assert _started(cluster) == (1, len(datasets))
    assert len(list((out / "sweep" / "eval").glob("batch-*.json"))) == 1
