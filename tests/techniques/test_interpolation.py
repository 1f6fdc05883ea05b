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


def test_noise_has_the_standard_deviation_asked_for_and_is_white() -> None:
    lr = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    plain = Interpolation("bicubic").super_resolve(lr).clamp(0, 1)
    noise = (Interpolation("probe", noise=2.0).super_resolve(lr) - plain) * 255
    assert noise.std().item() == pytest.approx(2.0, rel=0.01)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.02)
    for other in (noise.roll(1, -1), noise.roll(1, -2), noise.roll(1, 1), noise.roll(1, 0)):
        assert (noise * other).mean().item() == pytest.approx(0.0, abs=0.05)


def test_noise_is_a_function_of_the_image_and_the_seed() -> None:
    lr = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    probe = Interpolation("probe", noise=1.0)
    batch = probe.super_resolve(lr)
    for i in range(3):  # whatever else is in the batch
        assert torch.equal(probe.super_resolve(lr[i : i + 1])[0], batch[i])
    assert torch.equal(Interpolation("probe", noise=1.0).super_resolve(lr), batch)
    assert not torch.equal(Interpolation("probe", noise=1.0, noise_seed=1).super_resolve(lr), batch)
    assert torch.equal(Interpolation("x", noise=0.0).super_resolve(lr), Interpolation("x").super_resolve(lr))


def test_negative_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be negative"):
        Interpolation("x", noise=-1.0)
