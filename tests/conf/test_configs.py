"""Every shipped config composes, builds, and what is misspelt is answered with the right name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from octosr.catalog import DATASETS
from octosr.runs.build import build_technique, plain
from octosr.runs.cli import explain
from octosr.runs.family import length
from octosr.techniques.base import GenerativeTechnique, SingleImageTechnique
from octosr.techniques.precomputed import Precomputed

CONF = Path(__file__).resolve().parents[2] / "conf"
Composer = Callable[..., DictConfig]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def test_dataset_group_is_exactly_the_study() -> None:
    assert options("dataset") == sorted(DATASETS)
    assert len(DATASETS) == 14
    assert options("dataset/more") == ["demo", "demo_pairs", "folder"]


@pytest.mark.parametrize("dataset", options("dataset"))
def test_study_dataset_composes(composer: Composer, dataset: str) -> None:
    assert composer("eval", f"dataset={dataset}").dataset.name == dataset


@pytest.mark.parametrize("command", ["train", "eval"])
@pytest.mark.parametrize(
    ("group", "option"),
    [
        (group, option)
        for group in ("technique", "hardware", "degradation", "metrics", "callbacks", "logger", "experiment")
        for option in options(group)
    ],
)
def test_every_option_composes_and_resolves(composer: Composer, command: str, group: str, option: str) -> None:
    cfg = composer(command, "dataset=isaid", f"{group}={option}")
    container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    for target in _targets(container):
        assert callable(get_object(target)), target


@pytest.mark.parametrize("wandb", options("report/wandb"))
def test_the_report_composes_and_resolves(wandb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ConfigStore.instance().repo, "metrics", raising=False)  # a plain setting of report.py
    with initialize_config_dir(str(CONF / "report"), version_base="1.3"):
        cfg = compose("report", [f"wandb={wandb}", "metrics=[niqe,maniqa]"])
    container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    assert container["wandb"]["mode"] == (None if wandb == "none" else wandb)
    assert container["wandb"]["group"] == "study"
    assert container["metrics"] == ["niqe", "maniqa"]
    for target in _targets(container):
        assert callable(get_object(target)), target


@pytest.mark.parametrize("technique", options("technique"))
@pytest.mark.parametrize("experiment", ["experiment=tiny", "experiment=demo", "seed=0"])
def test_every_technique_builds(composer: Composer, technique: str, experiment: str) -> None:
    where = ["technique.root=images"] if technique == "precomputed" else []  # it stands for images, and must know where
    cfg = composer("train", f"technique={technique}", experiment, "dataset=isaid", *where)
    built = build_technique(plain(cfg.technique), cfg)
    assert built.name == technique
    assert isinstance(built, Precomputed if where else SingleImageTechnique | GenerativeTechnique)
    assert not isinstance(built, SingleImageTechnique) or built.scale == 8
    if isinstance(built, GenerativeTechnique):
        assert 0 < built.kimg_total < math.inf
        assert length(cfg, built)["max_steps"] == -1  # and it is not refused
        assert experiment == "seed=0" or built.kimg_limit is not None


def test_every_trainer_argument_can_be_set_without_plus(composer: Composer) -> None:
    cfg = composer("train", "dataset=isaid")
    arguments = set(inspect.signature(pl.Trainer).parameters) - {"self", "logger", "callbacks", "plugins"}
    assert arguments <= set(cfg.trainer)


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("trainer.max_step=5", "trainer.max_steps"),
        ("max_steps=5", "trainer.max_steps"),
        ("techniqe=dan", "technique"),
        ("data.rot=x", "data.root"),
        ("dataset=isadi", "isaid"),
        ("technique=dam", "dan"),
        ("hardware=v100x5", "v100x4"),
        ("metrics=nique", "niqe"),
    ],
)
def test_misspelt_names_are_answered_with_the_nearest(composer: Composer, override: str, hint: str) -> None:
    base = [] if override.startswith("dataset=") else ["dataset=isaid"]
    with pytest.raises(HydraException) as caught:
        composer("train", *base, override)
    assert f"'{hint}'" in explain(caught.value) or f"mean {hint}" in explain(caught.value)


def _targets(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [t for child in node.values() for t in _targets(child)]
    return [t for child in node for t in _targets(child)] if isinstance(node, list) else []
