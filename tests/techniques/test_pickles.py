"""Network pickles: what an upstream writes is read, what would run code is refused, and nothing runs."""

from __future__ import annotations

import collections
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from octosr.errors import WrongWeightsError
from octosr.techniques.pickles import PickledModule, read_network_pickle
from octosr.techniques.weights import read_weight_file

SOURCE = "raise SystemExit('the source in the file was run')"


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Modules of the names that StyleGAN2-ADA's pickles refer to, with its way of pickling."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
        raise AssertionError("upstream's own loader was called")

    def reduce(self: Any) -> tuple[Any, ...]:
        meta = {
            "type": "class", "version": 6, "module_src": SOURCE, "class_name": type(self).__name__,
            "state": self.__dict__,
        }  # fmt: skip
        return (_reconstruct_persistent_obj, (meta,))

    class EasyDict(dict):  # type: ignore[type-arg]
        pass

    for function, module in ((_reconstruct_persistent_obj, persistence), (EasyDict, util)):
        function.__module__, function.__qualname__ = module.__name__, function.__name__
        setattr(module, function.__name__, function)
    persistence.reduce = reduce  # type: ignore[attr-defined]
    for name, module in (
        ("torch_utils", types.ModuleType("torch_utils")), ("torch_utils.persistence", persistence),
        ("dnnlib", types.ModuleType("dnnlib")), ("dnnlib.util", util),
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)
    return persistence


def network(upstream: types.ModuleType) -> nn.Module:
    class Layer(nn.Module):
        __reduce__ = upstream.reduce

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3))
            self.register_buffer("noise", torch.randn(2, 2).T)  # not contiguous
            self.register_buffer("scratch", torch.zeros(1), persistent=False)
            self.act_gain = np.sqrt(2)  # upstream keeps NumPy numbers among the attributes

    class Generator(nn.Module):
        __reduce__ = upstream.reduce

        def __init__(self) -> None:
            super().__init__()
            self._init_args, self._init_kwargs = (), sys.modules["dnnlib.util"].EasyDict(z_dim=512, size=(4, 3))
            self.fc0, self.fc1 = Layer(), Layer()
            self.more = nn.Sequential(nn.Linear(2, 2))
            self.tied = self.fc0.weight

    torch.manual_seed(0)
    return Generator()


def write(path: Path, content: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_the_tensors_of_upstreams_pickles_come_by_their_names(
    tmp_path: Path, upstream: types.ModuleType, protocol: int
) -> None:
    generator = network(upstream)
    path = write(tmp_path / "network.pkl", {"G_ema": generator, "training_set_kwargs": {"path": "x"}}, protocol)
    found = read_weight_file(path)
    assert found["training_set_kwargs"] == {"path": "x"}
    module = found["G_ema"]
    assert isinstance(module, PickledModule)
    assert (module.class_name, module.arguments) == ("Generator", {"z_dim": 512, "size": (4, 3)})
    expected = generator.state_dict()
    assert list(module.tensors) == list(expected)
    assert "fc0.scratch" not in module.tensors
    for name, tensor in expected.items():
        assert torch.equal(module.tensors[name], tensor), name


def test_dtypes_and_half_precision(tmp_path: Path) -> None:
    content = {"a": torch.arange(3), "b": torch.ones(2, dtype=torch.float16), "c": torch.ones(2, dtype=torch.bfloat16)}
    found = read_network_pickle(write(tmp_path / "n.pkl", content))
    for key, tensor in content.items():
        assert found[key].dtype == tensor.dtype
        assert torch.equal(found[key], tensor)


class Runs:
    """Pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


HOSTILE = {
    "system": lambda marker: {"G": Runs(os.system, f"touch {marker}")},
    "eval": lambda marker: {"G": Runs(eval, f"open({str(marker)!r}, 'w')")},
    "exec": lambda marker: {"G": Runs(exec, f"open({str(marker)!r}, 'w')")},
    "getattr": lambda marker: {"G": Runs(getattr, "text", "format")},
    "open": lambda marker: {"G": Runs(open, str(marker), "w")},
    "torch.load": lambda marker: {"G": Runs(torch.load, str(marker))},
    "numpy.load": lambda marker: {"G": Runs(np.load, str(marker))},
    "a class": lambda marker: {"G": Path(str(marker))},
    "a counter": lambda marker: {"G": collections.Counter()},
    "an array of objects": lambda marker: {"G": np.array([Runs(os.system, f"touch {marker}")], dtype=object)},
    "deep inside": lambda marker: {"G": [{"x": (1, Runs(os.system, f"touch {marker}"))}]},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_run_code_is_refused_and_does_not_run(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "it_ran"
    path = write(tmp_path / "network.pkl", HOSTILE[name](marker))
    with pytest.raises(WrongWeightsError, match=r"network\.pkl cannot be read as a network pickle \(it asks for"):
        read_weight_file(path)
    assert not marker.exists()


def test_a_pickle_within_a_storage_is_refused_too(tmp_path: Path) -> None:
    marker = tmp_path / "it_ran"
    inner = pickle.dumps(Runs(os.system, f"touch {marker}"))
    path = write(tmp_path / "n.pkl", {"G": Runs(torch.storage._load_from_bytes, inner)})  # type: ignore[attr-defined]
    with pytest.raises(WrongWeightsError, match=r"n\.pkl cannot be read"):
        read_network_pickle(path)
    assert not marker.exists()


def op(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02" + op("dnnlib.util", "EasyDict") + b"N}X\x03\x00\x00\x00getq\x00Ns\x86b.", "change a class"),
        (b"\x80\x02" + op("torch._utils", "_rebuild_tensor_v2") + b"}X\x01\x00\x00\x00xNsb.", "change a function"),
        (b"\x80\x02" + op("torch.nn.modules.linear", "Linear") + b")\x81K\x05b.", "is a int, not a dict"),
        (b"\x80\x02" + op("torch._utils", "_rebuild_tensor_v2") + b"(K\x00K\x00))tR.", "no storage"),
        (b"\x80\x02X\x01\x00\x00\x00aQ.", "other files"),
        (b"\x80\x02]q\x00.", "a list, not a dict"),
        (b"nonsense", "cannot be read as a network pickle"),
        (b"", "cannot be read as a network pickle"),
    ],
)
def test_pickles_made_by_hand(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "n.pkl"
    path.write_bytes(content)
    with pytest.raises(WrongWeightsError, match=message):
        read_network_pickle(path)
    from octosr.techniques import inert

    assert inert._Dictionary().get("get") is None  # the class is as it was


def test_tensors_that_reach_beyond_their_storage_are_refused(tmp_path: Path) -> None:
    tensor = torch.arange(4.0)
    function, arguments = tensor.__reduce_ex__(2)
    for size, stride, offset in (((100,), (1,), 0), ((4,), (1,), 2), ((-1,), (1,), 0), ((2,), (-1,), 3)):
        bad = (arguments[0], offset, size, stride, *arguments[4:])
        with pytest.raises(WrongWeightsError, match=r"n\.pkl"):
            read_network_pickle(write(tmp_path / "n.pkl", {"G": Runs(function, *bad)}))


def test_modules_that_contain_themselves(tmp_path: Path, upstream: types.ModuleType) -> None:
    one, two = nn.Module(), nn.Module()
    one._modules["two"], two._modules["one"] = two, one
    with pytest.raises(WrongWeightsError, match="contain each other"):
        read_network_pickle(write(tmp_path / "n.pkl", {"G": one}))


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_are_read_as_such_whatever_their_name(tmp_path: Path, zipped: bool) -> None:
    state = {"weight": torch.ones(2)}
    torch.save(state, tmp_path / "x.pkl", _use_new_zipfile_serialization=zipped)
    assert torch.equal(read_weight_file(tmp_path / "x.pkl")["weight"], state["weight"])
    torch.save({"g": Runs(os.system, "true")}, tmp_path / "y.pkl", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WrongWeightsError, match=r"y\.pkl cannot be read as weights"):
        read_weight_file(tmp_path / "y.pkl")
