"""Two processes train and evaluate as one does, and a sweep of such cells is one sweep."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig

from octosr.data.demo import build_demo
from octosr.data.standin import build_standins
from octosr.runs.cells import read_states
from octosr.runs.evaluate import evaluate
from octosr.runs.train import train

Composer = Callable[..., DictConfig]
ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> None:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path, demo_cache: Path, composer: Composer) -> None:
    data = tmp_path / "data"
    build_standins(data, ["isaid", "ships"], build_demo(demo_cache), count=3)
    shared = ("technique=dan", "experiment=tiny", "logger=none", f"data.root={data}")
    one = (*shared, "dataset=isaid", "hardware=cpu", f"output_root={tmp_path / 'one'}")
    train(composer("train", *one, "data.batch_size=4", "trainer.max_steps=4"))
    evaluate(composer("eval", *one, "metrics=niqe"))
    two = (*shared, "hardware=ddp_cpu", f"output_root={tmp_path / 'two'}")
    run("train.py", "-m", "dataset=ships,isaid", *two, "data.batch_size=2", "trainer.max_steps=4")
    run("eval.py", "dataset=isaid", *two, "metrics=niqe")
    (folder,) = (tmp_path / "two/runs/train-multirun").iterdir()  # Lightning would begin the sweep again for a process
    assert sorted(path.name for path in folder.iterdir()) == ["0", "1", "multirun.yaml"]
    assert sorted(path.name for path in (tmp_path / "two/runs").iterdir()) == ["eval", "train-multirun"]
    assert {(state.dataset, state.state) for state in read_states(tmp_path / "two") if state.job == "train"} == {
        ("isaid", "done"),
        ("ships", "done"),
    }
    alone, both = (
        torch.load(tmp_path / name / "checkpoints/dan/isaid/last.ckpt", weights_only=True) for name in ("one", "two")
    )
    assert alone["global_step"] == both["global_step"] == 4
    for key, value in alone["state_dict"].items():
        assert torch.allclose(both["state_dict"][key], value, atol=1e-5), key
    scores = [pd.read_csv(tmp_path / name / "scores/dan/isaid.csv") for name in ("one", "two")]
    assert scores[0]["image"].tolist() == scores[1]["image"].tolist()
    assert len(scores[0]) == 3
    assert scores[1]["niqe"].to_numpy() == pytest.approx(scores[0]["niqe"].to_numpy(), rel=0.02)


@pytest.mark.slow
def test_two_nodes_equal_one_process(tmp_path: Path, demo_cache: Path, composer: Composer) -> None:
    """Two torchrun agents, as on two machines, with one process each."""
    data = tmp_path / "data"
    build_standins(data, ["isaid"], build_demo(demo_cache), count=3)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    agent = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d"]
    agent += [f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-id=octosr", "--local-addr=127.0.0.1"]
    shared = ["technique=dan", "dataset=isaid", "experiment=tiny", "logger=none", f"data.root={data}"]
    shared += [f"output_root={tmp_path}", "trainer.max_steps=4", "trainer.limit_val_batches=0"]
    nodes = ["hardware=ddp_cpu", "trainer.devices=1", "trainer.num_nodes=2", "data.batch_size=2"]
    command = [*agent, "train.py", *shared, *nodes]
    agents = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for process in agents:
            assert process.wait(600) == 0, process.stderr.read()[-3000:] if process.stderr else ""
    finally:
        for process in agents:
            process.kill()
    train(composer("train", *shared, "technique.name=alone", "hardware=cpu", "data.batch_size=4"))
    alone, both = (
        torch.load(tmp_path / f"checkpoints/{name}/isaid/last.ckpt", weights_only=True)["state_dict"]
        for name in ("alone", "dan")
    )
    assert max(float((alone[key].double() - value.double()).abs().max()) for key, value in both.items()) < 1e-5


@pytest.mark.slow
def test_four_processes_equal_one_in_every_phase() -> None:
    """BlindSR and MoESR, by the benchmark; the others have tests of their own for two processes."""
    command = [sys.executable, "benchmarks/ddp_equality.py", "--processes", "4", "--json", "--no-reversed"]
    command += ["--precisions", "32-true", "--techniques"]
    done = subprocess.run(
        [*command, "blindsr", "moesr"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout)
    assert [(row["technique"], row["steps"]) for row in rows] == [("blindsr", 10), ("moesr", 8)]
    for row in rows:
        assert row["alike"] == row["steps"], row
        assert row["loss"] < 1e-6, row
        assert row["weight"] < 1e-5, row
