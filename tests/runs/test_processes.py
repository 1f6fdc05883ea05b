"""The processes of a cell: what they are started with, and what becomes of the others when one ends badly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from octosr.errors import ConfigError, TrainingError
from octosr.runs import processes
from octosr.runs.allocation import check_allocation, processes_wanted, started_elsewhere
from octosr.runs.processes import run_in_processes

CFG = OmegaConf.create({"trainer": {"devices": 2, "num_nodes": 1, "strategy": "ddp", "accelerator": "cpu"}})
CHILD = """
import json, os, signal, sys, time
rank, pids = os.environ["LOCAL_RANK"], {pids!r}
open(f"{{pids}}/{{rank}}", "w").write(str(os.getpid()))
def both():
    while not (os.path.exists(pids + "/0") and os.path.exists(pids + "/1")): time.sleep(0.01)
def say(content):
    open(os.environ["OCTOSR_OUTCOME"], "w").write(json.dumps(content))
{body}
"""


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``(children / "body").write_text(CODE)`` is what each process does; their identifiers stand beside it."""
    monkeypatch.setattr(
        processes,
        "command",
        lambda job: [sys.executable, "-c", CHILD.format(pids=str(tmp_path), body=(tmp_path / "body").read_text())],
    )
    return tmp_path


def alive(folder: Path) -> list[int]:
    found = [int((folder / str(rank)).read_text()) for rank in (0, 1)]
    return [pid for pid in found if Path(f"/proc/{pid}").exists()]


def test_the_first_process_speaks(children: Path) -> None:
    (children / "body").write_text(
        "both()\n"
        "names = ('MASTER_ADDR', 'NODE_RANK', 'WORLD_SIZE', 'OCTOSR_IN_SWEEP')\n"
        "note = ' '.join(os.environ[name] for name in names) + ' ' + os.environ['MASTER_PORT']\n"
        "if rank == '0': say({'result': {'technique': 'dan', 'dataset': 'isaid', 'kind': 'demo', 'note': note}})"
    )
    before = dict(os.environ)
    result = run_in_processes(CFG, "train")
    assert (result.technique, result.dataset, result.values) == ("dan", "isaid", {})
    assert result.note.startswith("127.0.0.1 0 2 0 ")
    assert dict(os.environ) == before  # nothing is left for the next cell


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_takes_the_others_with_it(children: Path, rank: int) -> None:
    (children / "body").write_text(f"both()\nif rank == '{rank}': os.kill(os.getpid(), 9)\ntime.sleep(600)")
    start = time.monotonic()
    with pytest.raises(TrainingError, match=rf"Process {rank} of 2 was killed by SIGKILL .*same command goes on"):
        run_in_processes(CFG, "train")
    assert time.monotonic() - start < 300
    assert alive(children) == []


def test_an_error_for_the_user_is_said_once_and_others_that_hang_are_ended(
    children: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.2)
    (children / "body").write_text("both()\nif rank == '1': time.sleep(600)\nsay({'error': 'no data'})\nsys.exit(1)")
    with pytest.raises(TrainingError, match=r"^no data$"):
        run_in_processes(CFG, "train")
    assert alive(children) == []


def test_a_bug_in_a_process(children: Path) -> None:
    (children / "body").write_text("sys.exit(3)")
    with pytest.raises(TrainingError, match=r"Process \d of 2 ended with exit code 3"):
        run_in_processes(CFG, "train")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_its_exit_code_returned(children: Path, number: signal.Signals) -> None:
    (children / "body").write_text(
        f"signal.signal({int(number)}, lambda n, f: sys.exit(128 + n))\n"
        "open(pids + '/ready' + rank, 'w').close()\ntime.sleep(600)"
    )

    def interrupt() -> None:
        while not ((children / "ready0").exists() and (children / "ready1").exists()):
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    threading.Thread(target=interrupt).start()
    with pytest.raises(SystemExit) as ended:
        run_in_processes(CFG, "train")
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) == before


def test_a_process_whose_parent_is_killed_ends_and_says_so(tmp_path: Path) -> None:
    child = (
        "import os, time\n"
        "from octosr.runs.processes import tell_outcome\n"
        f"tell_outcome(lambda: (open({str(tmp_path / 'ready')!r}, 'w').write(str(os.getpid())), time.sleep(600)))"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        "env = os.environ | {'OCTOSR_PARENT': str(os.getpid()), 'OCTOSR_OUTCOME': '/dev/null', 'LOCAL_RANK': '0'}\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}], env=env)\n"
        f"while not os.path.exists({str(tmp_path / 'ready')!r}): time.sleep(0.05)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", parent], stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL  # its pipe is closed once the child has ended too
    assert "which had started this one, is gone: ending" in done.stderr


def test_the_command_of_a_process_is_that_of_its_cell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hydra = {
        "runtime": {
            "config_sources": [
                {"path": "hydra.conf", "schema": "pkg", "provider": "hydra"},
                {"path": "/there/conf", "schema": "file", "provider": "main"},
                {"path": "/mine", "schema": "file", "provider": "command-line"},
            ],
            "output_dir": "/out/it's/0",
        },
        "job": {"config_name": "train"},
        "overrides": {
            "hydra": ["hydra.mode=MULTIRUN", "hydra/launcher=joblib", "hydra.searchpath=[file:///more]"],
            "task": ["technique=dan", "dataset=isaid"],
        },
    }
    monkeypatch.setattr(HydraConfig, "get", lambda: OmegaConf.create(hydra))
    assert processes.command("train")[1:] == [
        *("-m", "octosr.commands.train"),
        *("--config-dir", "/mine", "--config-name", "train", "hydra.searchpath=[file:///more]"),
        *("technique=dan", "dataset=isaid"),
        *(r"hydra.run.dir='/out/it\'s/0'", "hydra.output_subdir=null", "~hydra.callbacks.sweep"),
    ]


@pytest.mark.parametrize(
    ("devices", "strategy", "wanted"),
    [
        *[(1, "auto", 1), (4, "auto", 4), ([0, 2], "ddp", 2), ("0,1,3", "ddp", 3), ("2", "ddp", 2)],
        *[("auto", "ddp", 1), (-1, "ddp", 1), (2, "ddp_spawn", 1), (2, {"_target_": "DDP"}, 2)],
    ],
)
def test_processes_wanted(devices: object, strategy: object, wanted: int) -> None:
    trainer = {"devices": devices, "strategy": strategy, "accelerator": "cpu"}
    assert processes_wanted(OmegaConf.create({"trainer": trainer})) == wanted


@pytest.mark.parametrize(
    ("environment", "nodes", "message"),
    [
        ({}, 1, ""),
        ({}, 2, "there is 1 process. The processes of several nodes are started by torchrun"),
        ({"LOCAL_RANK": "0"}, 2, ""),
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2"}, 1, ""),
        (
            {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2"},
            2,
            "torchrun has started 2 processes. Give it --nnodes=2",
        ),
        ({"SLURM_NTASKS": "2", "SLURM_JOB_NAME": "octosr"}, 1, ""),
        ({"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "bash"}, 1, ""),
        (
            {"SLURM_NTASKS": "1", "SLURM_JOB_NAME": "octosr"},
            1,
            "this SLURM job has 1 process. Ask for them with",
        ),
    ],
)
def test_what_was_started_is_compared_with_what_is_wanted(
    environment: dict[str, str], nodes: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_NTASKS", "SLURM_JOB_NAME", "TORCHELASTIC_RUN_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    cfg = OmegaConf.merge(CFG, {"trainer": {"num_nodes": nodes}, "hardware": {"name": "here"}})
    if not message:
        check_allocation(cfg)
        assert started_elsewhere() == (bool(environment) and environment.get("SLURM_JOB_NAME") != "bash")
        return
    with pytest.raises(ConfigError) as error:
        check_allocation(cfg)
    assert f"hardware=here wants {2 * nodes} processes" in str(error.value)
    assert message in str(error.value)
