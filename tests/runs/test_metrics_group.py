"""pyiqa's metrics as options: chosen in the group or named in ``metrics.extra``, never in the way of our own."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from octosr.errors import ConfigError, MissingMetricError
from octosr.metrics.iqa import PyiqaMetric
from octosr.metrics.niqe import Niqe
from octosr.pyiqa_table import OWN, pyiqa_metrics
from octosr.runs import build as building
from octosr.runs import metrics_group
from octosr.runs.build import build, build_metrics
from octosr.runs.cli import explain
from octosr.runs.metrics_group import nearest_metrics, register_metrics
from octosr.runs.sweep import CellResult, results_table

CONF = Path(__file__).resolve().parents[2] / "conf"
OURS = {path.stem for path in (CONF / "metrics").glob("*.yaml")}
Composer = Callable[..., DictConfig]


def test_own_names_are_those_with_a_file() -> None:
    assert set(OWN) == OURS & set(pyiqa_metrics())


@pytest.mark.parametrize("name", [name for name in pyiqa_metrics() if name not in OWN])
def test_every_pyiqa_metric_is_an_option(composer: Composer, name: str) -> None:
    node = ConfigStore.instance().load(f"metrics/{name}.yaml").node
    assert OmegaConf.to_container(node, resolve=False)[name]["metric"] == name  # type: ignore[index,call-overload]
    if name in ("musiq", "lpips+", "clipiqa+_vitL14_512", "topiq_nr-flive"):  # of each kind of spelling one
        cfg = composer("eval", "dataset=isaid", f"metrics=[niqe,{name}]", "metrics.download=true")
        assert cfg.metrics[name] == {
            "_target_": "octosr.metrics.iqa.PyiqaMetric",
            "metric": name,
            "download": True,
            "weights": None,
        }


@pytest.mark.parametrize("name", sorted(OURS))
def test_own_files_are_not_shadowed(composer: Composer, name: str) -> None:
    node = composer("eval", "dataset=isaid", f"metrics=[{name}]").metrics[name]
    assert "PyiqaMetric" not in node._target_
    assert "metric" not in node


def test_a_file_of_ones_own_with_pyiqas_name_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored: list[str] = []
    monkeypatch.setattr(ConfigStore, "store", lambda self, name, **options: stored.append(name))
    monkeypatch.setattr(metrics_group, "_files", set())
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "musiq.yaml").write_text("musiq: {_target_: mine}\n")
    register_metrics(tmp_path)
    assert "musiq" not in stored
    assert "musiq-ava" in stored
    assert not set(OWN) & set(stored)


@pytest.mark.parametrize("override", ["metrics.extra=[piqe,entropy]", "+metrics.extra=[piqe,entropy]"])
def test_extra_metrics_are_built_beside_the_chosen(composer: Composer, override: str) -> None:
    cfg = composer("eval", "dataset=isaid", "metrics=[niqe,piqe]", override)
    metrics, missing = build_metrics(cfg, "study")
    assert list(metrics) == ["niqe", "piqe", "entropy"]
    assert missing == {}
    assert isinstance(metrics["niqe"], Niqe)
    assert isinstance(metrics["entropy"], PyiqaMetric)


def test_own_metrics_are_not_extra_and_unknown_ones_are_answered(composer: Composer) -> None:
    for name, message in (
        ("psnr", r"'psnr' is one of OctoSR's own.*metrics=\[niqe,maniqa,psnr\]"),
        ("rms_contrast", "one of OctoSR's own"),
        ("topic_nr", "no metric 'topic_nr'. Did you mean 'topiq_nr' or 'topiq_fr' or"),
        ("fid", "judges sets of images"),
    ):
        with pytest.raises(ConfigError, match=message):
            build_metrics(composer("eval", "dataset=isaid", "metrics=[niqe]", f"metrics.extra=[{name}]"), "demo")


def test_weights_that_are_missing_leave_the_column_empty_or_stop_the_run(
    composer: Composer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pyiqa.utils.download_util.DEFAULT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(building, "warn", said.append)
    cfg = composer("eval", "dataset=isaid", "metrics=[niqe,musiq]")
    metrics, missing = build_metrics(cfg, "demo")
    assert list(metrics) == ["niqe"]
    assert "musiq_koniq" in missing["musiq"]
    assert len(said) == 1
    with pytest.raises(MissingMetricError, match="musiq_koniq"):
        build_metrics(cfg, "study")


def test_misspelt_names_are_answered_with_the_nearest(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    for override, hints in (
        ("metrics=[niqe,muisq]", ["'musiq'"]),
        ("metrics=nique", ["mean 'niqe'", "'unique'"]),
        ("metrics=[tenengrat]", ["'tenengrad'"]),
        ("metrics=[topiqnr]", ["'topiq_nr'", "'topiq_fr'"]),
    ):
        with pytest.raises(HydraException) as caught:
            composer("eval", "dataset=isaid", override)
        message = explain(caught.value)
        assert all(hint in message.split("Metrics: ")[0] for hint in hints), message
        assert "tenengrad" in message.split("Metrics: ")[1]
    monkeypatch.setattr(metrics_group, "pyiqa_metrics", dict)
    assert "come with pyiqa" in nearest_metrics("muisq")
    assert "Did you mean" not in nearest_metrics("muisq")


def test_the_config_builds_the_metric(composer: Composer) -> None:
    metric = build(composer("eval", "dataset=isaid", "metrics=[entropy]").metrics.entropy)
    assert isinstance(metric, PyiqaMetric)
    assert metric.name == metric.metric == "entropy"
    assert metric.higher_is_better
    assert not metric.download


def test_more_metrics_than_fit_side_by_side_are_shown_one_below_the_other() -> None:
    values = {f"metric_{i}": float(i) + 0.5 for i in range(8)} | {"absent": float("nan")}
    result = CellResult("dan", "isaid", "stand-in", values, "3 images", {"absent": "not applicable"})
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_table([result]))
    text = console.export_text()
    for name, words in ("metric_0", "0.5000"), ("metric_7", "7.5000"), ("absent", "not applicable"):
        assert any(name in line and words in line for line in text.splitlines())
    assert "dan, isaid (STAND-IN)" in text
    assert "STAND-IN data: not the study's images" in " ".join(text.split())
    assert "3 images" in text
