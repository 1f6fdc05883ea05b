from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from octosr.metrics.base import ImageMetric

CONF = Path(__file__).parents[2] / "conf" / "metrics"


@pytest.mark.parametrize("name", ["niqe", "maniqa", "psnr", "ssim"])
def test_every_metric_file_builds_its_metric(name, tmp_path):
    weights = tmp_path / "own.pt"
    weights.write_bytes(b"not read before the first score")
    config = OmegaConf.create({"metrics": {"download": False}})
    config.metrics.merge_with(OmegaConf.load(CONF / f"{name}.yaml"))
    assert set(config.metrics) == {"download", name}
    if name == "maniqa":
        config.metrics.maniqa.weights = str(weights)
    metric = instantiate(config.metrics[name])
    assert isinstance(metric, ImageMetric)
    assert metric.name == name
    assert metric.definition
