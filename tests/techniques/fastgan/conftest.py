"""A tiny FastGAN on a folder of twelve images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from fastgan_settings import settings


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 small images: a coloured gradient each."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 1, 32)
    for number in range(12):
        colour, slope = rng.uniform(60, 200, 3), rng.uniform(-60, 60, 3)
        pixels = colour + slope * (ramp[:, None, None] if number % 2 else ramp[None, :, None]) * np.ones((32, 32, 1))
        Image.fromarray(pixels.round().astype(np.uint8)).save(folder / f"im{number:02d}.png")
    return folder


@pytest.fixture
def tiny(composer: Callable[..., DictConfig], tmp_path: Path, photographs: Path) -> Callable[..., DictConfig]:
    """``tiny("train", ...)``: the config of a tiny FastGAN on the photographs."""

    def make(command: str, *overrides: str) -> DictConfig:
        return composer(command, *settings(photographs, tmp_path / "out"), *overrides)

    return make
