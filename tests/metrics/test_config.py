"""Every file in conf/metrics: composed as a run would, built, and put to use on one small image."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from octosr.errors import MissingMetricError
from octosr.metrics.base import ImageMetric
from octosr.runs.build import build

CONF = Path(__file__).parents[2] / "conf" / "metrics"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
NEEDS_WEIGHTS = {"lpips", "maniqa"}


@pytest.fixture
def nothing_cached(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_file_builds_its_metric_which_scores_an_image(name, composer, nothing_cached):
    cfg = composer("eval", "dataset=isaid", f"metrics=[{name}]", "metrics.download=false")
    chosen = {key: node for key, node in cfg.metrics.items() if OmegaConf.is_dict(node)}
    assert list(chosen) == [name]
    if name.split("_")[0] in NEEDS_WEIGHTS:
        with pytest.raises(MissingMetricError, match=rf"metrics\.{name}\.weights=PATH.*metrics\.download=true"):
            build(chosen[name])
        return
    metric = build(chosen[name])
    metric.prepare()
    assert isinstance(metric, ImageMetric)
    assert metric.name == name
    assert metric.higher_is_better in (True, False, None)
    assert metric.definition
    assert all(isinstance(value, (str, int, float, bool)) for value in metric.definition.values())
    images = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(0))
    reference = {"nothing": None, "hr": (images * 0.9 + 0.05), "lr": images[..., ::8, ::8]}[metric.compares_with]
    assert metric.score(images, reference).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_file_says_what_it_is(name):
    first = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert any(word in first for word in ("higher is better", "lower is better", "no direction"))
