"""What ``hardware`` asks of a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from octosr.runs.build import prepare_hardware
from octosr.techniques.interpolation import Interpolation


class Compiled(Interpolation):
    """Notes where the compiler would put what it makes."""

    where: str | None = None

    def networks(self) -> list[nn.Module]:
        return []

    def compile_networks(self) -> None:
        self.where = os.environ.get("TORCHINDUCTOR_CACHE_DIR")


def test_compiled_code_is_kept_for_the_other_cells(
    composer: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    before = torch.get_float32_matmul_precision()
    try:
        cfg = composer("train", "technique=dan", "dataset=isaid", "hardware=h200", f"output_root={tmp_path}")
        first = Compiled("bicubic")
        prepare_hardware(first, cfg)
        assert first.where == str(tmp_path / "cache" / "compiled")
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/elsewhere")  # what is set already is respected
        second = Compiled("bicubic")
        prepare_hardware(second, cfg)
        assert second.where == "/elsewhere"
    finally:
        torch.set_float32_matmul_precision(before)


def test_nothing_is_compiled_that_need_not_be(composer: Callable[..., DictConfig]) -> None:
    plain = Compiled("bicubic")
    prepare_hardware(plain, composer("train", "technique=dan", "dataset=isaid", "hardware=cpu"))
    assert plain.where is None
