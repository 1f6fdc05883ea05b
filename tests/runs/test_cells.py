"""How the cells of a sweep stand: written by Hydra's hooks, one run at a time, read by the report and the matrix."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from octosr.errors import ConfigError
from octosr.runs import sweep
from octosr.runs.cells import SILENT_SECONDS, CellState, path_of, progress_path, read_state, read_states, write_state
from octosr.runs.claim import Claim, read_progress, say_progress
from octosr.runs.liveness import is_alive, start_of


def job(root: Path, mode: str = "MULTIRUN") -> DictConfig:
    cell = {"technique": {"name": "dan"}, "dataset": {"name": "isaid"}, "output_root": str(root)}
    hydra = {"mode": RunMode[mode], "job": {"name": "eval"}, "overrides": {"task": ["technique=dan", "dataset=isaid"]}}
    return OmegaConf.create({**cell, "hydra": hydra})


def ended(value: object) -> JobReturn:
    done = JobReturn(status=JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED)
    done.return_value = value
    return done


@pytest.mark.parametrize("mode", ["MULTIRUN", "RUN"])
def test_a_cell_that_fails_leaves_its_reason_and_one_that_is_done_replaces_it(
    tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = sweep.SweepCallback()
    callback.on_job_start(job(tmp_path, mode))
    callback.on_job_end(job(tmp_path, mode), ended(ConfigError("no weights\nset weights=")))
    (state,) = read_states(tmp_path)
    assert (state.technique, state.dataset, state.job, state.state) == ("dan", "isaid", "eval", "failed")
    assert state.reason == "no weights\nset weights="
    assert 0 <= state.seconds < 10

    callback.on_job_start(job(tmp_path, mode))
    (state,) = read_states(tmp_path)
    assert (state.state, state.pid, state.reason) == ("running", os.getpid(), "")
    assert state.is_running(tmp_path)
    callback.on_job_end(job(tmp_path, mode), ended(sweep.CellResult("dan", "isaid", "study", {"niqe": 5.25})))
    (state,) = read_states(tmp_path)
    assert (state.state, state.reason, state.result["values"]) == ("done", "", {"niqe": 5.25})
    assert state.overrides == ["technique=dan", "dataset=isaid"]
    assert ("done" in capsys.readouterr().out) == (mode == "MULTIRUN")
    sweep.finish()


def test_a_bug_is_a_failure_with_the_name_of_the_exception(tmp_path: Path) -> None:
    callback = sweep.SweepCallback()
    callback.on_job_start(job(tmp_path))
    callback.on_job_end(job(tmp_path), ended(KeyError("x")))
    assert read_states(tmp_path)[0].reason == "KeyError: 'x'"
    assert sweep.finish() == 1


def test_work_left_over_is_pending_and_says_why(tmp_path: Path) -> None:
    callback = sweep.SweepCallback()
    callback.on_job_start(job(tmp_path, "RUN"))
    callback.on_job_end(job(tmp_path, "RUN"), ended(sweep.CellResult("dan", "isaid", "study", unfinished="time over")))
    (state,) = read_states(tmp_path)
    assert (state.state, state.reason) == ("pending", "time over")


def test_only_the_first_process_of_a_cell_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    callback = sweep.SweepCallback()
    callback.on_job_start(job(tmp_path, "RUN"))
    callback.on_job_end(job(tmp_path, "RUN"), ended(None))
    assert not (tmp_path / "sweep").exists()


def test_a_second_run_of_a_cell_is_refused_and_leaves_the_first_alone(tmp_path: Path) -> None:
    """The other one is another process, as it is in life; killed, it leaves a state that is known for what it is."""
    program = (
        "import sys, time; from pathlib import Path; from octosr.runs.claim import Claim\n"
        "claim = Claim(Path(sys.argv[1]), 'eval', 'dan', 'isaid'); print('mine', flush=True); time.sleep(600)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        callback = sweep.SweepCallback()
        callback.on_job_start(job(tmp_path))
        with pytest.raises(ConfigError, match=rf"is being evaluated already, by process {other.pid} on") as refusal:
            sweep.require_claim()
        callback.on_job_end(job(tmp_path), ended(refusal.value))
        sweep.finish()
        (state,) = read_states(tmp_path)
        assert (state.state, state.pid) == ("running", other.pid)
        assert state.is_running(tmp_path)
        Claim(tmp_path, "train", "dan", "isaid").release()  # its training is another matter
    finally:
        other.kill()
        other.wait()
    state = read_state(tmp_path, "eval", "dan", "isaid")  # type: ignore[assignment]
    assert state.state == "running"
    assert not state.is_running(tmp_path)
    callback.on_job_start(job(tmp_path))
    sweep.require_claim()
    callback.on_job_end(job(tmp_path), ended(None))


def test_a_cell_of_another_machine_is_left_alone_while_it_shows_signs_of_life(tmp_path: Path) -> None:
    state = CellState("dan", "isaid", "train", "running", "", 0.0, time.time(), "elsewhere", 1, 1, "77")
    write_state(tmp_path, state)
    with pytest.raises(ConfigError, match=r"by process 1 on elsewhere \(SLURM job 77\), since"):
        Claim(tmp_path, "train", "dan", "isaid")
    progress = progress_path(tmp_path, "train", "dan", "isaid")
    progress.write_text("{}")
    assert state.is_running(tmp_path)
    silent = time.time() - SILENT_SECONDS - 1
    os.utime(progress, (silent, silent))
    assert not state.is_running(tmp_path)
    Claim(tmp_path, "train", "dan", "isaid").release()


def test_a_running_cell_says_how_far_it_is(tmp_path: Path) -> None:
    say_progress(3, 12, "images")
    claim = Claim(tmp_path, "eval", "dan", "isaid")
    path = progress_path(tmp_path, "eval", "dan", "isaid")
    assert read_progress(path) == "3/12 images"
    claim.finish("done")
    assert read_progress(path) == ""
    assert sorted(p.name for p in path.parent.iterdir()) == [".isaid.lock", "isaid.json"]


def test_the_number_of_a_process_is_not_enough() -> None:
    own = os.getpid()
    assert is_alive(own, start_of(own))
    if sys.platform.startswith("linux"):
        assert not is_alive(own, (start_of(own) or 0) - 1)  # another process had the number before
        child = subprocess.Popen([sys.executable, "-c", ""])
        deadline = time.monotonic() + 300
        while start_of(child.pid) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not is_alive(child.pid, None)  # ended, though nobody has asked for its exit code yet
        child.wait()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    state = CellState("dan", "isaid", "train", "done", "", 1.25)
    write_state(tmp_path, state)
    assert read_states(tmp_path) == [state] != [replace(state, seconds=2)]
    path = path_of(tmp_path, "train", "dan", "isaid")
    content = json.loads(path.read_text())
    assert content["seconds"] == 1.25
    path.write_text(json.dumps(content | {"more": 1}))
    with pytest.raises(ConfigError, match=r"isaid\.json is damaged"):
        read_states(tmp_path)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"isaid\.json is damaged"):
        read_states(tmp_path)
