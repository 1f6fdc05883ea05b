"""The shipped configs of callbacks, hardware and trainer."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import EMAWeightAveraging
from pytorch_lightning.strategies import DDPStrategy

from octosr.callbacks.checkpoint import BestCheckpoint, LastCheckpoint
from octosr.callbacks.diversity import DiversityAlarm
from octosr.callbacks.image_logger import ImageLogger
from octosr.callbacks.nan_guard import NanGuard
from octosr.callbacks.sample_grid import SampleGrid
from octosr.callbacks.stopping import SignalStop
from octosr.callbacks.time_limit import TimeLimit

CONF = Path(__file__).parents[2] / "conf"
HARDWARE = sorted(p.stem for p in (CONF / "hardware").glob("*.yaml"))


def load(group: str, name: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(overrides=[f"+{group}={name}"])


def test_trainer_names_every_argument_of_lightning() -> None:
    shipped = set(load("trainer", "default").trainer) - {"_target_", "_convert_"}
    assert shipped == set(inspect.signature(pl.Trainer).parameters)


def test_trainer_keeps_lightnings_defaults_but_where_it_says_ours() -> None:
    text = (CONF / "trainer/default.yaml").read_text().splitlines()
    ours = {line.split(":")[0].strip() for line in text if "# ours" in line}
    config = load("trainer", "default").trainer
    for name, parameter in inspect.signature(pl.Trainer).parameters.items():
        value = OmegaConf.to_container(config, resolve=False)[name]  # type: ignore[index, call-overload]
        assert (value != parameter.default) == (name in ours), name


def test_there_is_the_hardware_of_the_study() -> None:
    assert HARDWARE == ["auto", "cpu", "ddp_cpu", "gpu", "h200", "v100x4", "v100x4_nodes2"]


@pytest.mark.parametrize("name", HARDWARE)
def test_hardware_sets_the_same_keys_everywhere(name: str) -> None:
    config = load("hardware", name)
    keys = {"name", "compile", "cuda_graphs", "channels_last", "matmul_precision", "gpus_per_node"}
    assert set(config.hardware) == keys
    assert config.hardware.name == name
    assert set(config.trainer) == {"accelerator", "devices", "num_nodes", "strategy", "precision"}
    assert set(config.trainer) <= set(load("trainer", "default").trainer)


def test_the_study_machine() -> None:
    config = load("hardware", "v100x4")
    assert (config.trainer.devices, config.trainer.precision, config.time_limit.total) == (4, "16-mixed", "4d")
    assert TimeLimit(config.time_limit.total).total == 4 * 86400


@pytest.mark.parametrize("name", ["auto", "cpu", "ddp_cpu"])
def test_trainer_builds(tmp_path: Path, name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: Any = compose(
            overrides=["+trainer=default", f"+hardware={name}", f"+output_root={tmp_path}", "trainer.max_steps=20"]
        )
    guard = NanGuard()
    trainer = instantiate(config.trainer, logger=False, callbacks=[guard], enable_checkpointing=False)
    assert trainer.max_steps == 20
    assert guard in trainer.callbacks
    if name == "ddp_cpu":
        assert isinstance(trainer.strategy, DDPStrategy)
        assert trainer.world_size == 2
        assert trainer.strategy._ddp_kwargs == {"find_unused_parameters": False, "broadcast_buffers": False}


@pytest.mark.parametrize(("name", "ema"), [("default", False), ("ema", True)])
def test_callbacks_build(tmp_path: Path, name: str, ema: bool) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config: Any = compose(
            overrides=[
                f"+callbacks={name}",
                f"+output_root={tmp_path}",
                "+technique.name=dan",
                "+dataset.name=isaid",
                "+time_limit={total: 4d, allocation: 04:00:00, margin: 2m}",
                "+diversity={samples: 50, warn_below: 0.4, fail_below: 0.1, far_above: 3, gap_above: 0.1}",
            ]
        )
    built = {key: instantiate(node) for key, node in config.callbacks.items()}
    assert (built["time_limit"].total, built["time_limit"].allocation) == (4 * 86400, 4 * 3600)
    assert built["image_logger"].folder == tmp_path / "images/dan/isaid"
    assert built["sample_grid"].folder == tmp_path / "images/dan/isaid"
    assert (built["diversity"].samples, built["diversity"].fail_below) == (50, 0.1)
    kinds = {TimeLimit, ImageLogger, SignalStop, NanGuard, BestCheckpoint, LastCheckpoint, SampleGrid, DiversityAlarm}
    kinds |= {EMAWeightAveraging} if ema else set()
    assert kinds <= {type(callback) for callback in built.values()}
    assert built["last"].path == tmp_path / "checkpoints/dan/isaid/last.ckpt"
    assert built["best"].path == tmp_path / "checkpoints/dan/isaid/best.ckpt"
