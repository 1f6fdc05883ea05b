"""Two processes: they stop after the same step, whichever of them has the reason to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

SCRIPT = Path(__file__).with_name("ddp_scenarios.py")


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("ddp")
    environment = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")}
    environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(out)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out, [json.loads((out / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def saved_step(path: Path) -> int:
    content = torch.load(path, weights_only=True)
    assert all(torch.isfinite(t).all() for t in content["state_dict"].values())
    return int(content["global_step"])


Scenarios = tuple[Path, list[dict[str, Any]]]


@pytest.mark.slow
def test_uneven_validation_does_not_hang(scenarios: Scenarios) -> None:
    out, ranks = scenarios
    assert [rank["uneven"] for rank in ranks] == [
        {"steps": 12, "seen": 12, "val": 6, "error": ""},
        {"steps": 12, "seen": 12, "val": 3, "error": ""},
    ]
    assert saved_step(out / "uneven/last.ckpt") == 12


@pytest.mark.slow
def test_time_over_on_one_process_stops_both(scenarios: Scenarios) -> None:
    out, ranks = scenarios
    assert [rank["time"]["steps"] for rank in ranks] == [6, 6]
    assert saved_step(out / "time/last.ckpt") == 6


@pytest.mark.slow
def test_validation_left_by_one_process_is_not_used_by_any(scenarios: Scenarios) -> None:
    out, ranks = scenarios
    assert [(rank["validation"]["steps"], rank["validation"]["val"]) for rank in ranks] == [(4, 1), (4, 1)]
    assert saved_step(out / "validation/last.ckpt") == 4
    assert not (out / "validation/best.ckpt").exists()
    assert "val/psnr" not in (out / "validation/lightning_logs/log/metrics.csv").read_text()


@pytest.mark.slow
def test_nan_on_one_process_stops_both(scenarios: Scenarios) -> None:
    out, ranks = scenarios
    assert [rank["nan"]["seen"] for rank in ranks] == [5, 5]  # noticed before the write at the end of the epoch
    assert "The loss became nan at step 5" in ranks[1]["nan"]["error"]
    assert all(f"last good state is kept in {out}/nan/last.ckpt" in rank["nan"]["error"] for rank in ranks)
    assert saved_step(out / "nan/last.ckpt") == 4


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both(scenarios: Scenarios) -> None:
    out, ranks = scenarios
    assert [rank["signal"]["steps"] for rank in ranks] == [3, 3]
    assert saved_step(out / "signal/last.ckpt") == 3
