"""How the cells of a sweep ended: written by Hydra's hooks, read by the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from octosr.errors import ConfigError
from octosr.runs import sweep
from octosr.runs.cells import CellState, path_of, read_states, write_state


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
    assert read_states(tmp_path) == []  # killed now, the cell would not pass for failed, nor for done
    callback.on_job_end(job(tmp_path, mode), ended(sweep.CellResult("dan", "isaid", "study")))
    (state,) = read_states(tmp_path)
    assert (state.state, state.reason) == ("done", "")
    assert ("done" in capsys.readouterr().out) == (mode == "MULTIRUN")
    sweep.finish()


def test_a_bug_is_a_failure_with_the_name_of_the_exception(tmp_path: Path) -> None:
    callback = sweep.SweepCallback()
    callback.on_job_start(job(tmp_path))
    callback.on_job_end(job(tmp_path), ended(KeyError("x")))
    assert read_states(tmp_path)[0].reason == "KeyError: 'x'"
    assert sweep.finish() == 1


def test_only_the_first_process_of_a_cell_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    callback = sweep.SweepCallback()
    callback.on_job_start(job(tmp_path, "RUN"))
    callback.on_job_end(job(tmp_path, "RUN"), ended(None))
    assert not (tmp_path / "sweep").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_state(tmp_path, CellState("dan", "isaid", "train", "done", "", 1.25))
    path = path_of(tmp_path, "train", "dan", "isaid")
    content = json.loads(path.read_text())
    assert content["seconds"] == 1.25
    path.write_text(json.dumps(content | {"more": 1}))
    with pytest.raises(ConfigError, match=r"isaid\.json is damaged"):
        read_states(tmp_path)
    path.write_text("{")
    with pytest.raises(ConfigError, match=r"isaid\.json is damaged"):
        read_states(tmp_path)
