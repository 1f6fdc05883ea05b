"""The cells of a matrix, from what is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from octosr.catalog import DATASETS
from octosr.errors import ConfigError
from octosr.runs.matrix.arguments import parse
from octosr.runs.matrix.places import environments, share
from octosr.runs.matrix.plan import composed, make_plan


def test_all_cells_and_each_as_it_is_typed() -> None:
    plan = make_plan(parse(["techniques=dan,bicubic", "train:trainer.max_steps=3", "eval:metrics=niqe", "size=tiny"]))
    assert len(plan.cells) == 14 + 2 * 14
    assert set(plan.datasets) == set(DATASETS)
    assert plan.techniques == ("dan", "bicubic")
    first = plan.cells[0]
    assert str(first) == f"train dan on {first.dataset}"
    assert first.overrides == (
        "technique=dan",
        f"dataset={first.dataset}",
        "output_root=outputs",
        "++logger.group=study",
        "trainer.max_steps=3",
        "size=tiny",
    )
    assert composed(first).trainer.max_steps == 3
    evaluation = next(cell for cell in plan.cells if cell.job == "eval" and cell.technique == "dan")
    assert plan.training_of(evaluation) == first
    assert composed(evaluation).dataset.name == first.dataset
    assert plan.training_of(plan.cells[-1]) is None  # bicubic learns nothing


def test_each_seed_has_a_place_of_its_own() -> None:
    plan = make_plan(parse(["techniques=dan", "datasets=more/demo", "seeds=range(0,2)", "output_root=my outputs"]))
    assert [(c.job, c.dataset, c.seed) for c in plan.cells] == [
        ("train", "demo", "0"),
        ("train", "demo", "1"),
        ("eval", "demo", "0"),
        ("eval", "demo", "1"),
    ]
    assert plan.roots == (Path("my outputs/seed-0"), Path("my outputs/seed-1"))
    config = composed(plan.cells[1])
    assert (config.seed, config.output_root) == (1, "my outputs/seed-1")
    assert [plan.training_of(cell) for cell in plan.cells[2:]] == list(plan.cells[:2])


def test_conditions_choose_cells() -> None:
    typed = ["techniques=dan,bicubic", "datasets=isaid,ships,flowers"]
    chosen = make_plan(parse([*typed, "--only", "technique=dan,dataset=[is]*,job=train", "--only", "dataset=fl*"]))
    assert [str(cell) for cell in chosen.cells] == [
        "train dan on isaid",
        "train dan on ships",
        "train dan on flowers",
        "eval dan on flowers",
        "eval bicubic on flowers",
    ]
    with pytest.raises(ConfigError, match="Did you mean 'technique'"):
        make_plan(parse([*typed, "--only", "technik=dan"]))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("techniques=bicubc", "Did you mean 'bicubic'"),
        ("datasets=isad", "Did you mean 'isaid'"),
        ("train:technique.lr=1,2", "several train cells with the same place"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(parse([setting]))


def test_settings_find_their_command(capsys: pytest.CaptureFixture[str]) -> None:
    request = parse(["data.root=D", "report:k=3", "--jobs", "2", "seed=4", "eval:redo=true", "--retry", "none"])
    assert request.settings == {
        "train": ["data.root=D", "seed=4"],
        "eval": ["data.root=D", "seed=4", "redo=true"],
        "report": ["data.root=D", "k=3"],
    }
    assert (request.jobs, request.retry, request.launcher) == (2, "none", "basic")
    slurm = parse(["hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"])
    assert (slurm.launcher, slurm.launcher_settings) == ("submitit_slurm", ["hydra.launcher.partition=gpu"])
    assert slurm.settings["train"] == []
    for wrong in (["isaid"], ["--jobs", "0"], ["hydra.launcher.partition=gpu"], ["hydra/launcher=joblib", "--jobs=2"]):
        with pytest.raises(SystemExit) as refused:
            parse(wrong)
        assert refused.value.code == 2
    assert "'isaid' is not a setting" in capsys.readouterr().err


def test_cells_at_a_time_share_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5,GPU-ab")
    assert environments(1) == [{}]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in environments(2)] == ["2,GPU-ab", "5"]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in environments(4)] == ["2", "5", "GPU-ab", "2"]
    assert all(int(place["OMP_NUM_THREADS"]) >= 1 for place in environments(2))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert all("CUDA_VISIBLE_DEVICES" not in place for place in environments(2))
    assert share(["0"], 1, 0) == ["0"]
