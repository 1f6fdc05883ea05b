"""The baselines equal Pillow, which is what people compare with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from octosr.errors import ConfigError
from octosr.techniques.interpolation import Interpolation

PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("filter", list(PILLOW))
@pytest.mark.parametrize("scale", [2, 8])
def test_equals_pillow_on_float_images(filter: str, scale: int) -> None:
    lr = torch.rand(2, 3, 13, 17, generator=torch.Generator().manual_seed(0))
    sr = Interpolation(filter, filter=filter, scale=scale).super_resolve(lr)  # type: ignore[arg-type]
    assert sr.shape == (2, 3, 13 * scale, 17 * scale)
    for image, expected in zip(sr.flatten(0, 1), lr.flatten(0, 1), strict=True):
        plane = Image.fromarray(expected.numpy(), mode="F").resize((17 * scale, 13 * scale), PILLOW[filter])
        assert np.abs(image.numpy() - np.asarray(plane)).max() < 2e-6


def test_has_nothing_to_train_and_needs_no_weights() -> None:
    technique = Interpolation("bicubic")
    assert not technique.trainable
    assert technique.scale == 8
    assert not list(technique.parameters())
    assert technique.networks() == []


def test_unknown_filter_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nearest, bilinear, bicubic, lanczos.*'cubic'"):
        Interpolation("x", filter="cubic")  # type: ignore[arg-type]
