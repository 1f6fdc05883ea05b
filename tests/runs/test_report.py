"""report.py: without torch, from complete and from half-finished sweeps, with errors in plain words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from octosr.errors import ConfigError
from octosr.runs import report_inputs as inputs
from octosr.runs.cells import CellState, write_state
from octosr.runs.report import report
from octosr.scores.store import ScoreStore

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<img src=x onerror=alert(1)>"
TORCHLESS = """
import runpy, sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "pytorch_lightning", "torchmetrics"):
            raise AssertionError(f"the report imports {name}")
sys.meta_path.insert(0, Forbid())
sys.argv = ["report.py", *sys.argv[1:]]
runpy.run_path("report.py", run_name="__main__")
"""


@pytest.fixture(autouse=True)
def _metrics_is_a_plain_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process with train.py's and eval.py's configs, ``metrics`` would be their group."""
    monkeypatch.delitem(ConfigStore.instance().repo, "metrics", raising=False)


def fill(
    root: Path, techniques: list[str], datasets: list[str], count: int = 12, kind: str = "study", extra: str = ""
) -> None:
    """A score store under ``root/scores`` with NIQE and MANIQA of the same images for each technique."""
    generator = np.random.default_rng(0)
    for offset, technique in enumerate(techniques):
        for dataset in datasets:
            images = [f"im{i}" for i in range(count)] + ([extra] if extra else [])
            table = pd.DataFrame({"image": images, "sha256": [f"{i:064x}" for i in range(len(images))]})
            table["niqe"] = 10 + offset + generator.normal(0, 0.3, len(images))
            table["maniqa"] = 0.5 - 0.05 * offset + generator.normal(0, 0.02, len(images))
            ScoreStore(root / "scores").write(
                technique,
                dataset,
                table,
                {"niqe": {"version": "1"}, "maniqa": {"version": "1"}},
                {"kind": kind},
                higher_is_better={"niqe": False, "maniqa": True},
                names=images,
            )


def config(root: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf" / "report"), version_base="1.3"):
        return compose("report", [f"output_root={root}", "resamples=100", *overrides])


def run(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"WANDB_MODE": "offline", "COLUMNS": "200", "NO_COLOR": "1"}
    script = ["-c", code] if code else ["report.py"]
    return subprocess.run(
        [sys.executable, *script, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_the_whole_report_without_torch_and_its_run_and_workspace_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb_workspaces")
    fill(tmp_path, ["dan", "bicubic", "lanczos"], ["isaid", "ships", "mine"], extra=HOSTILE)
    done = run(f"output_root={tmp_path}", "resamples=100", "metrics=[niqe,maniqa]", "wandb=offline", code=TORCHLESS)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "report"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert HOSTILE not in page
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    tables = [table for section in content["sections"] for table in section["tables"]]
    figures = [figure for section in content["sections"] for figure in section["figures"]]
    assert len(tables) > 10
    assert len(figures) > 10
    for part in tables + figures:
        assert all((folder / path).stat().st_size for path in part["files"].values()), part["key"]
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".svg", ".png"}
    means = next(table for table in tables if table["key"] == "means-niqe")
    stored = ScoreStore(tmp_path / "scores").read("dan", "isaid")["niqe"].mean()
    row = next(row for row in means["rows"] if "isaid" in row)
    assert row[means["columns"].index("DAN")] == pytest.approx(stored, rel=1e-12)

    assert f"page     {folder / 'index.html'}" in done.stdout
    assert "nothing was sent" in done.stdout
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    workspace = json.loads((folder / "wandb_workspace.json").read_text(encoding="utf-8"))
    assert workspace["project"] == "octosr"
    shown = json.dumps(workspace["spec"])
    for part in figures:
        assert f'"figures/{part["key"]}"' in shown
    assert all(
        f'"{key}"' in shown for key in ("train/kimg", "train/loss_g", "diversity/pairwise_ratio", "train/samples")
    )
    assert '"study"' in shown  # the filter on the sweep's group


def test_a_half_finished_sweep_says_what_is_missing_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, ["dan", "bicubic"], ["isaid"], count=100)
    fill(tmp_path, ["bicubic"], ["isaid"], count=40)
    fill(tmp_path, ["bicubic"], ["ships"], count=100)
    write_state(tmp_path, CellState("dan", "ships", "eval", "failed", "the weights are gone\nremedy", 3.0))
    write_state(tmp_path, CellState("dan", "flowers", "train", "failed", "a loss that is not finite", 3.0))
    report(config(tmp_path, "missing=true", "datasets=[isaid,ships,flowers]"))
    said = capsys.readouterr().out
    assert "6 cells (technique x dataset): 2 complete, 1 partial, 2 failed, 1 missing." in said
    assert "failed   DAN on ships: failed: the weights are gone" in said
    assert "failed   DAN on flowers: failed: training: a loss that is not finite" in said
    assert "40 of 100 images" in said
    assert not (tmp_path / "report").exists()

    report(config(tmp_path, "datasets=[isaid,ships,flowers]"))
    assert "6 cells (technique x dataset): 2 complete, 1 partial, 2 failed, 1 missing." in capsys.readouterr().out
    content = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    manifest = next(t for s in content["sections"] for t in s["tables"] if t["key"] == "manifest")
    status = {(row[0], row[1]): row[2] for row in manifest["rows"]}
    assert status["DAN", "ships"] == status["DAN", "flowers"] == "failed"
    assert status["Bicubic", "flowers"] == "missing"
    assert "the weights are gone" in (tmp_path / "report/index.html").read_text(encoding="utf-8")


def test_cells_that_all_failed_are_listed_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_state(tmp_path, CellState("dan", "isaid", "eval", "failed", "no weights", 1.0))
    report(config(tmp_path, "missing=true"))
    assert "failed   DAN on isaid: failed: no weights" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"1 runs failed; python report\.py --missing says why"):
        report(config(tmp_path))


def test_no_scores_is_answered_with_the_line_that_makes_some(tmp_path: Path) -> None:
    done = run(f"output_root={tmp_path}", "--missing")
    assert done.returncode == 1
    assert f"There are no score tables in {tmp_path / 'scores'}" in done.stderr
    assert "python eval.py technique=bicubic dataset=isaid" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_standins_are_called_so_on_the_screen_and_in_the_title(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, ["bicubic"], ["isaid"], kind="stand-in")
    report(config(tmp_path))
    assert "STAND-IN data in 1 of 1 cells" in caplog.text
    content = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert content["title"].endswith("(STAND-IN data)")
    assert "STAND-IN" in content["summary"][0]
    assert "(STAND-IN data)</h1>" in (tmp_path / "report/index.html").read_text(encoding="utf-8")


def test_choices_leave_the_rest_out(tmp_path: Path) -> None:
    fill(tmp_path, ["dan", "bicubic", "lanczos", "bicubic_noise"], ["isaid", "ships"], count=3)
    cfg = config(tmp_path, "metrics=[NIQE]", "techniques=[DAN,bicubic,moesr]", "datasets=isaid")
    scores = inputs.read(cfg)
    assert scores.metrics == ["niqe"]
    assert scores.techniques == ["dan", "bicubic"]
    assert set(scores.frame["technique"]) == {"dan", "bicubic", "bicubic_noise"}  # the probe belongs to bicubic
    assert scores.datasets == ["isaid"]
    assert set(scores.kinds) == {(t, "isaid") for t in ("dan", "bicubic", "bicubic_noise")}
    options = inputs.options(cfg, scores)
    assert options.techniques == ("dan", "bicubic", "moesr")
    assert options.datasets == ("isaid",)
    everything = inputs.read(config(tmp_path))
    assert len(inputs.options(config(tmp_path), everything).datasets) == 14


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["metrics=[niqee]"], "Did you mean 'niqe'"),
        (["techniques=moesr"], "No table is of technique moesr"),
        (["pair=[dan]"], "pair takes two techniques"),
        (["pair=[dan,dan]"], "two different techniques"),
        (["k=0"], "k must be at least 1"),
        (["pair=[dan,moesr]"], "no scores of the technique 'moesr'"),
        (["inputs=/nowhere/at/all"], "/nowhere/at/all is not there"),
    ],
)
def test_settings_that_cannot_be_are_answered_in_words(tmp_path: Path, overrides: list[str], message: str) -> None:
    fill(tmp_path, ["dan", "bicubic"], ["isaid"], count=2)
    with pytest.raises(Exception, match=message) as caught:
        report(config(tmp_path, *overrides))
    assert caught.type.__mro__[1].__name__ == "OctoSRError"


def test_other_inputs_are_read_and_the_sweeps_states_are_not_theirs(tmp_path: Path) -> None:
    frame = pd.DataFrame({"technique": "dan", "dataset": "isaid", "image": ["a", "b"], "niqe": [5.0, 6.0]})
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False)
    write_state(tmp_path, CellState("apa", "isaid", "eval", "failed", "x", 1.0))
    for given in (f"inputs={path}", f"inputs=[{path}]"):
        cfg = config(tmp_path, given)
        assert list(inputs.read(cfg).of("niqe")["value"]) == [5.0, 6.0]
        assert inputs.states(cfg) == {}
    assert inputs.states(config(tmp_path))["apa", "isaid"].status == "failed"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ["bicubic"], ["isaid"], count=2)
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="Choose another folder with output_root"):
        report(config(tmp_path))


def test_online_the_run_is_of_the_group_and_the_workspace_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb_workspaces")
    import wandb

    from octosr.runs import report_wandb, workspace
    from octosr.study.document import Document, Section, Table
    from octosr.study.exports import export

    seen: dict[str, Any] = {}

    class Run:
        entity, url = "somebody", "https://wandb.example/run"
        summary: dict[str, Any] = {}  # noqa: RUF012

        def log(self, values: dict[str, Any]) -> None:
            seen["logged"] = values

        def finish(self, exit_code: int) -> None:
            seen["exit"] = exit_code

    def init(**settings: Any) -> Run:
        seen["init"] = settings
        return Run()

    def save(view: Any) -> str:
        seen["view"] = view
        return "https://wandb.example/view"

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setattr(workspace, "save", save)
    table = Table("t", "T", pd.DataFrame({"a": [1.5, np.nan], "b": [(1, 2), "x"]}))
    document = Document("D", ["Answer."], [Section("s", "S", tables=[table])], {"metrics": {"niqe": {}}})
    exported = export(document, tmp_path / "report")
    cfg = config(tmp_path, "wandb=online", "wandb.group=mine")
    lines = report_wandb.log_report(cfg, document, exported, tmp_path / "report")
    assert "https://wandb.example/view" in lines[1]
    assert seen["init"]["group"] == "mine"
    assert seen["init"]["mode"] == "online"
    assert seen["init"]["job_type"] == "report"
    assert seen["logged"]["tables/t"].data == [[1.5, "1 / 2"], [None, "x"]]
    assert seen["exit"] == 0
    assert Run.summary == {"answers/1": "Answer."}
    assert seen["view"].entity == "somebody"
    assert json.loads((tmp_path / "report/wandb_workspace.json").read_text())["entity"] == "somebody"
    assert not (tmp_path / "wandb" / "latest-run").exists()
