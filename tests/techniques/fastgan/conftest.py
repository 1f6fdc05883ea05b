"""A tiny FastGAN on a folder of twelve images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parent))

from fastgan_settings import settings


@pytest.fixture
def tiny(composer: Callable[..., DictConfig], tmp_path: Path, photographs: Path) -> Callable[..., DictConfig]:
    """``tiny("train", ...)``: the config of a tiny FastGAN on the photographs."""

    def make(command: str, *overrides: str) -> DictConfig:
        return composer(command, *settings(photographs, tmp_path / "out"), *overrides)

    return make
