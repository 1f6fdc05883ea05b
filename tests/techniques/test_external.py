"""A network of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from octosr.errors import ConfigError, WrongWeightsError
from octosr.techniques.external import External

sys.path.insert(0, str(Path(__file__).parent))

from toy_network import initialised

TARGET = "toy_network.Toy"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"params": {}, "params_ema": state},
        lambda state: {"state_dict": {f"module._orig_mod.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": {f"generator.{key}": value for key, value in state.items()}},
    ],
)
def test_its_weights_load_however_they_are_wrapped(tmp_path: Path, wrap) -> None:
    toy = initialised(scale=2)
    torch.save(wrap(toy.state_dict()), tmp_path / "toy.pth")
    technique = External(target=TARGET, args={"scale": 2}, own_scale=2)
    line = technique.load_weights([tmp_path / "toy.pth"])
    assert "(toy_network.Toy); x8 by network x2 -> network x2 -> network x2" in line
    lr = torch.rand(1, 3, 4, 5)
    expected = lr
    with torch.no_grad():
        for _ in range(3):
            expected = toy(expected.clamp(0, 1))
    torch.testing.assert_close(technique.super_resolve(lr), expected)


def test_weights_that_do_not_fit_are_said(tmp_path: Path) -> None:
    path = tmp_path / "toy.pth"
    torch.save(initialised(width=4).state_dict(), path)
    technique = External(target=TARGET)
    with pytest.raises(WrongWeightsError, match=r"toy\.pth does not fit Toy.*conv\.bias \(4,\) instead of \(3,\)"):
        technique.load_weights([path])
    torch.save({"conv.weight": torch.zeros(3, 3, 3, 3), "other": torch.zeros(1)}, path)
    with pytest.raises(WrongWeightsError, match=r"missing: conv\.bias \(1\); unknown: other \(1\)"):
        technique.load_weights([path])
    torch.save({"conv.weight": 3, "lr": 0.1}, path)
    with pytest.raises(WrongWeightsError, match=r"no state dict: conv\.weight, lr are no tensors"):
        technique.load_weights([path])
    with pytest.raises(WrongWeightsError, match="one network, but 0 files"):
        technique.load_weights([])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, r"technique\.target=my_package\.MyNet"),
        ("no_such_package.Net", r"no_such_package cannot be imported \(ModuleNotFoundError.*PYTHONPATH"),
        ("toy_network.Tou", r"is no torch\.nn\.Module\. Did you mean 'Toy'\? It has: Toy, Broken"),
        ("toy_network.NOT_A_CLASS", r"is no torch\.nn\.Module"),
        ("toy_network", r"is no torch\.nn\.Module"),
        ("toy_network.Broken", r"cannot be constructed with technique\.args=\{\}: RuntimeError: no luck"),
    ],
)
def test_a_class_that_cannot_be_used_is_said(tmp_path: Path, target: str | None, message: str) -> None:
    torch.save(initialised().state_dict(), tmp_path / "toy.pth")
    with pytest.raises(ConfigError, match=message):
        External(target=target).load_weights([tmp_path / "toy.pth"])


def test_a_wrong_scale_is_said(tmp_path: Path) -> None:
    torch.save(initialised(scale=2).state_dict(), tmp_path / "toy.pth")
    technique = External(target=TARGET, args={"scale": 2}, own_scale=4)
    technique.load_weights([tmp_path / "toy.pth"])
    with pytest.raises(ConfigError, match=r"made \(1, 3, 8, 8\) of \(1, 3, 4, 4\); technique\.own_scale=4 says"):
        technique.super_resolve(torch.rand(1, 3, 4, 4))
    with pytest.raises(ConfigError, match="at least 2, not 1"):
        External(own_scale=1)
