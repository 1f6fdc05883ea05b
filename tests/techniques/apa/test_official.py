"""Published weights: the layout of the public pickles, with random weights, and what is wrong with wrong ones."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from octosr.errors import WrongWeightsError
from octosr.techniques.apa.layout import discriminator_layout, generator_layout, to_public
from octosr.techniques.apa.module import APA

SIZES: dict[str, Any] = {"resolution": 16, "width": 1 / 512, "latent": 8, "mapping_layers": 2}


@pytest.fixture
def persistence(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module that the public pickles name, with its way of pickling; loading through it is an error."""
    module = types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
        raise AssertionError("the public loader was called")

    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def as_pickled(state: dict[str, Tensor], persistence: types.ModuleType) -> nn.Module:
    """A network whose submodules, parameters and buffers have these names, pickled with source code."""

    class Network(nn.Module):
        def __reduce__(self) -> tuple[Any, ...]:
            source = "raise SystemExit('the code in the file was run')"
            meta = {"type": "class", "version": 6, "module_src": source, "class_name": "Network"}
            return persistence._reconstruct_persistent_obj, (meta | {"state": self.__dict__},)

    root = Network()
    buffers = ("w_avg", "noise_const", "resample_filter")
    for name, value in state.items():
        *path, last = name.split(".")
        module: nn.Module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, Network())
            module = module.get_submodule(part)
        if last in buffers:
            module.register_buffer(last, value)
        else:
            module.register_parameter(last, nn.Parameter(value))
    return root


def public_states(technique: APA) -> dict[str, dict[str, Tensor]]:
    """State dicts in the public names and layout, with the filters that it keeps beside the weights."""
    states = {
        "G": to_public(generator_layout(technique.generator)),
        "D": to_public(discriminator_layout(technique.discriminator)),
        "G_ema": to_public(generator_layout(technique.generator_ema)),
    }
    states["D"]["b16.conv1.resample_filter"] = torch.ones(4, 4) / 16
    states["G"]["synthesis.b16.resample_filter"] = torch.ones(4, 4) / 16
    return states


def write(states: dict[str, dict[str, Tensor]], persistence: types.ModuleType, path: Path) -> Path:
    content: dict[str, Any] = {name: as_pickled(state, persistence) for name, state in states.items()}
    path.write_bytes(pickle.dumps(content | {"training_set_kwargs": {"path": "a.zip"}, "augment_pipe": None}))
    return path


@pytest.fixture
def source() -> APA:
    torch.manual_seed(3)
    technique = APA(**SIZES)
    with torch.no_grad():
        for value in (*technique.parameters(), technique.generator_ema.mapping.w_average):
            value.add_(torch.randn_like(value))
    return technique


def test_all_names_of_the_public_layout_are_known(source: APA) -> None:
    states = public_states(source)
    assert len(states["G_ema"]) == len(source.generator_ema.state_dict())
    assert {"mapping.fc1.weight", "mapping.w_avg", "synthesis.b4.const", "synthesis.b4.conv1.noise_const",
            "synthesis.b16.conv0.affine.bias", "synthesis.b16.torgb.weight"} < states["G"].keys()  # fmt: skip
    assert {"b16.fromrgb.bias", "b8.skip.weight", "b8.conv1.bias", "b4.conv.weight", "b4.fc.bias",
            "b4.out.weight"} < states["D"].keys()  # fmt: skip
    assert "b8.fromrgb.weight" not in states["D"]


def test_a_pickle_is_loaded_without_running_its_code(source: APA, persistence, tmp_path: Path) -> None:
    path = write(public_states(source), persistence, tmp_path / "network-snapshot-000200.pkl")
    other = APA(**SIZES)
    assert not torch.equal(other.generate(torch.arange(2)), source.generate(torch.arange(2)))
    assert other.load_weights([path]) == f"published weights {path}"
    assert torch.equal(other.generate(torch.arange(2)), source.generate(torch.arange(2)))
    for name in ("generator", "generator_ema", "discriminator"):
        for one, two in zip(
            getattr(source, name).state_dict().values(), getattr(other, name).state_dict().values(), strict=True
        ):
            assert torch.equal(one, two)


def test_another_size_is_refused_and_changes_nothing(source: APA, persistence, tmp_path: Path) -> None:
    path = write(public_states(source), persistence, tmp_path / "a.pkl")
    other = APA(**(SIZES | {"mapping_layers": 3}))
    before = other.generate(torch.arange(2))
    with pytest.raises(WrongWeightsError, match=r"missing: mapping\.fc2\.bias.*technique\.mapping_layers"):
        other.load_weights([path])
    assert torch.equal(other.generate(torch.arange(2)), before)
    states = public_states(source)
    del states["D"]["b4.out.bias"]
    broken = write(states, persistence, tmp_path / "b.pkl")
    third = APA(**SIZES)
    before = third.generate(torch.arange(2))
    with pytest.raises(WrongWeightsError, match=r"D in .*b\.pkl .* missing: b4\.out\.bias"):
        third.load_weights([broken])
    assert torch.equal(third.generate(torch.arange(2)), before)  # G, which is complete, was not loaded either


def test_pickles_without_networks_or_with_other_objects_are_refused(source: APA, persistence, tmp_path: Path) -> None:
    states = public_states(source)
    del states["G_ema"]
    with pytest.raises(WrongWeightsError, match="has no network G_ema"):
        APA(**SIZES).load_weights([write(states, persistence, tmp_path / "a.pkl")])
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"G": Path("x")}))
    with pytest.raises(WrongWeightsError, match="refused"):
        APA(**SIZES).load_weights([path])


def test_our_own_checkpoints_are_loaded(source: APA, tmp_path: Path) -> None:
    torch.save({"state_dict": source.state_dict(), "global_step": 7}, tmp_path / "last.ckpt")
    other = APA(**SIZES)
    assert "last.ckpt" in other.load_weights([tmp_path / "last.ckpt"])
    assert torch.equal(other.generate(torch.arange(2)), source.generate(torch.arange(2)))
