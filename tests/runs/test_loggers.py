from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)

from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger  # isort: skip

from octosr.errors import ConfigError
from octosr.runs.loggers import build_logger, open_logger, run_id
from octosr.runs.wandb_access import has_wandb_key, wandb_mode, without_secrets

CONF = Path(__file__).parents[2] / "conf"


def config(root: Path, kind: str, **changes: Any) -> DictConfig:
    cell = {
        "technique": {"name": "dan"},
        "dataset": {"name": "isaid"},
        "seed": 0,
        "output_root": str(root),
        "logger": OmegaConf.load(CONF / f"logger/{kind}.yaml"),
    }
    return OmegaConf.merge(cell, changes)  # type: ignore[return-value]


def test_csv_keeps_the_figures_of_each_start(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        with open_logger(config(tmp_path, "csv"), "train", "study") as logger:
            assert isinstance(logger, CSVLogger)
            logger.log_metrics({"loss": value}, step=1)
    folder = tmp_path / "logs/dan/isaid/train"
    assert [(folder / f"version_{i}/metrics.csv").read_text().split()[1] for i in (0, 1)] == ["1.0,1", "2.0,1"]


def test_tensorboard_and_none(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    assert build_logger(config(tmp_path, "none"), "train", "study") is None
    logger = build_logger(config(tmp_path, "tensorboard"), "eval", "study")
    assert isinstance(logger, TensorBoardLogger)
    assert Path(logger.log_dir).parent == tmp_path / "tensorboard/dan/isaid/eval"


def test_a_misspelt_logger_or_mode_names_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'wandb'"):
        build_logger(config(tmp_path, "csv", logger={"name": "wandbb"}), "train", "study")
    with pytest.raises(ConfigError, match="Did you mean 'offline'"):
        wandb_mode("ofline")


def test_run_id_is_the_same_for_a_cell_and_another_for_any_other(tmp_path: Path) -> None:
    base = config(tmp_path, "csv")
    same = run_id(config(tmp_path / "x/..", "wandb"), "train")
    others = [
        run_id(base, "eval"),
        run_id(config(tmp_path / "b", "csv"), "train"),
        *(
            run_id(config(tmp_path, "csv", **change), "train")
            for change in ({"seed": 1}, {"technique": {"name": "apa"}}, {"dataset": {"name": "ships"}})
        ),
    ]
    assert run_id(base, "train") == same
    assert len({same, *others}) == 6


def test_mode_follows_the_setting_then_the_environment_then_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    netrc.write_text("machine example.org login user password word\n")
    assert not has_wandb_key()
    assert wandb_mode(None) == "offline"
    netrc.write_text("machine api.wandb.ai login user password word\n")
    assert wandb_mode(None) == "online"
    netrc.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert wandb_mode(None) == "online"
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    assert wandb_mode(None) == "offline"
    assert wandb_mode("disabled") == "disabled"


def test_secrets_stay_here() -> None:
    config = {"seed": 1, "api_key": "a", "x": [{"HF_TOKEN": "b", "monitor": "val/psnr"}], "keys": 1, "monkey_count": 2}
    assert without_secrets(config) == {"seed": 1, "x": [{"monitor": "val/psnr"}], "monkey_count": 2}


OFFLINE = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import octosr._torchvision
from test_loggers import config
from octosr.runs.loggers import open_logger
import wandb
ids = []
for step in (1, 2):
    try:
        with open_logger(config(Path({root!r}), "wandb", my_token="SECRET-WORD"), "train", "stand-in") as logger:
            run = logger.experiment
            ids.append(run.id)
            assert run.name == "dan/isaid" and run.group == "dan" and run.job_type == "train", run
            assert set(run.tags) == {{"isaid", "Satellite", "STAND-IN"}}, run.tags
            assert run.settings._offline
            logger.log_metrics({{"loss": 1.0}}, step=step)
            if step == 2:
                raise KeyError("a failing run")
    except KeyError:
        pass
    assert wandb.run is None
assert ids[0] == ids[1]
"""


@pytest.mark.slow
def test_wandb_offline_writes_under_output_root_only_and_says_nothing(tmp_path: Path) -> None:
    home, here, root = tmp_path / "home", tmp_path / "here", tmp_path / "outputs"
    home.mkdir()
    here.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    environment |= {"HOME": str(home), "NETRC": str(home / "none"), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        environment[variable] = "http://127.0.0.1:9"  # nothing listens there: a call would fail, and be heard
    script = OFFLINE.format(tests=str(Path(__file__).parent), root=str(root))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
    assert not list(home.rglob("*"))
    assert not list(here.rglob("*"))
    assert len(list((root / "wandb").glob("offline-run-*"))) == 2
    assert [p.name for p in root.iterdir()] == ["wandb"]
    assert not [p for p in root.rglob("*") if p.is_file() and b"SECRET-WORD" in p.read_bytes()]
