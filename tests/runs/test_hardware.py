"""What ``hardware`` asks of a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import nn

from octosr.metrics.checks import exact_arithmetic
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
        cfg = composer(
            "train",
            "technique=dan",
            "dataset=isaid",
            "hardware=gpu",
            "hardware.compile=true",
            f"output_root={tmp_path}",
        )
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


@pytest.mark.parametrize(("wanted", "tf32"), [("highest", False), ("high", True)])
def test_full_precision_is_that_of_convolutions_too(
    composer: Callable[..., DictConfig], wanted: str, tf32: bool
) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        for _ in range(2):
            cfg = composer("train", "technique=dan", "dataset=isaid", f"hardware.matmul_precision={wanted}")
            prepare_hardware(Compiled("bicubic"), cfg)
            with exact_arithmetic(torch.device("cpu")):  # what a metric does between two cells
                pass
            assert torch.get_float32_matmul_precision() == wanted
            assert torch.backends.cudnn.allow_tf32 == tf32
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def test_passes_are_recorded_on_request(composer: Callable[..., DictConfig]) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for hardware, recorded in (("auto", True), ("gpu", True), ("h200", True), ("cpu", False), ("v100x4", False)):
        technique = Interpolation("bicubic")
        prepare_hardware(technique, composer("train", "technique=dan", "dataset=isaid", f"hardware={hardware}"))
        assert technique.record_passes == recorded
        assert not technique.may_record_passes()  # on a CPU
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]
