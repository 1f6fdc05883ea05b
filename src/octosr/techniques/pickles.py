"""Network pickles of the StyleGAN2 family (``.pkl``), read without running a line of what they carry.

Such a file is a plain pickle of a dict (``G``, ``D``, ``G_ema``, ...). Its networks are pickled together with the
source code of their classes, which the usual way of loading executes. Here every class is replaced by an inert record
that keeps the pickled attributes; only tensors, numbers, strings and plain containers are rebuilt, and everything else
is refused. What comes out is the networks' tensors by their names in a state dict.

How a pickle refers to what it needs is public: names of modules and functions (``torch_utils.persistence``), which are
looked up in the table below and nowhere else.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from octosr.errors import WrongWeightsError

_LIMIT = 4 << 30
_SCALARS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "u1": "B", "b1": "?"}


@dataclass(frozen=True)
class PickledModule:
    """A network as it was pickled.

    Attributes:
        class_name: what its class was called; the class itself is not here.
        tensors: its parameters and persistent buffers, named as in a state dict.
        arguments: the plain keyword arguments it was constructed with, where the pickle keeps them.
    """

    class_name: str
    tensors: dict[str, Tensor]
    arguments: dict[str, Any] = field(default_factory=dict)


def read_network_pickle(path: Path) -> dict[str, Any]:
    """Read a network pickle.

    Returns:
        The pickled dict; networks are :class:`PickledModule`, everything else is tensors and plain values.

    Raises:
        WrongWeightsError: not such a pickle, damaged, too large, or needing something that is not rebuilt here; the
            message names it.
    """
    try:
        if path.stat().st_size > _LIMIT:
            raise pickle.UnpicklingError(f"larger than {_LIMIT >> 30} GiB")
        with path.open("rb") as stream:
            content = _Restricted(stream).load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {type(content).__name__}, not a dict of networks")
        return {str(key): _finished(value) for key, value in content.items()}
    except Exception as error:  # a broken pickle can raise anything; nothing of it has run, and nothing is kept
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WrongWeightsError(
            f"{path} cannot be read as a network pickle ({reason}). Only tensors and plain values are rebuilt; files "
            "that need code to be run are refused. Save its networks' state_dict() as .safetensors or with torch.save "
            "in an environment that you trust, and give that file."
        ) from error


class _Fixed(type):
    """Classes that a pickle can make instances of, but not change."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it tries to change a class")


class _Record(metaclass=_Fixed):
    """Stands for an object of any class: its name, and the attributes it was pickled with."""

    __slots__ = ("class_name", "state")
    class_name: str
    state: dict[str, Any]
    kind = "object"

    def __new__(cls, *arguments: Any) -> _Record:
        record = super().__new__(cls)
        record.class_name, record.state = cls.kind, {}
        return record

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError(f"the state of a {self.class_name} is a {type(state).__name__}, not a dict")
        self.state = state


class _Dictionary(dict[Any, Any], metaclass=_Fixed):
    """``dnnlib.util.EasyDict``: a dict whose keys are attributes too; here only the dict."""

    __slots__ = ()


class _Type(metaclass=_Fixed):
    """A NumPy dtype of numbers, by its code; what follows in its state (byte order and the like) is checked."""

    __slots__ = ("code",)
    code: str

    def __new__(cls, code: Any = "", *flags: Any) -> _Type:
        made = super().__new__(cls)
        if code not in _SCALARS:
            raise pickle.UnpicklingError(f"it holds a NumPy value of type {code!r}")
        made.code = str(code)
        return made

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise pickle.UnpicklingError("it holds a NumPy value of another byte order")


class _Call:
    """A function that a pickle may call; nothing can be set on it."""

    __slots__ = ("_function",)
    _function: Any

    def __init__(self, function: Any) -> None:
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it tries to change a function")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it tries to change a function")

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


def _persistent(meta: Any) -> _Record:
    """An object pickled with its source, which is left alone."""
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("state"), dict):
        raise pickle.UnpicklingError("an object with source code is not laid out as expected")
    record = _Record()
    record.class_name, record.state = str(meta.get("class_name")), meta["state"]
    return record


def _storage(content: Any) -> Any:
    """The bytes of a storage, which torch wrote as a file of its own."""
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("a storage is not made of bytes")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    if not isinstance(storage, torch.storage.TypedStorage):
        raise pickle.UnpicklingError("a tensor has no storage")
    numbers = (offset, *size, *stride)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor has an impossible size")
    reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if 0 not in size else 0
    if reach > storage._size():  # torch would make the storage larger, with whatever lies in memory
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    empty = torch.empty((0,), dtype=storage.dtype)
    return empty.set_(storage._untyped_storage, offset, tuple(size), tuple(stride)).clone()


def _parameter(data: Any, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a parameter has no tensor")
    return data


def _encode(text: Any, encoding: Any = None) -> bytes:
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("a string of bytes is not laid out as expected")
    return text.encode("latin1")


def _scalar(kind: Any, content: Any) -> Any:
    if not isinstance(kind, _Type) or not isinstance(content, bytes):
        raise pickle.UnpicklingError("a NumPy number is not laid out as expected")
    return struct.unpack("<" + _SCALARS[kind.code], content)[0]


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("_codecs", "encode"): _Call(_encode),
    ("torch", "Size"): _Call(lambda sizes=(): tuple(sizes)),
    ("torch", "device"): _Call(lambda kind, *index: ":".join(map(str, (kind, *index)))),
    ("torch.storage", "_load_from_bytes"): _Call(_storage),
    ("torch._utils", "_rebuild_tensor_v2"): _Call(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Call(_parameter),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Call(_persistent),
    ("dnnlib.util", "EasyDict"): _Dictionary,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "scalar"): _Call(_scalar),
    ("numpy._core.multiarray", "scalar"): _Call(_scalar),
    **{("torch", name): f"torch.{name}" for name in ("float16", "float32", "float64", "bfloat16", "int64", "uint8")},
}


class _Restricted(pickle.Unpickler):
    """Looks names up in the table above; modules of torch become records."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name))
        if known is not None:
            return known
        if module.startswith("torch.nn.modules.") and name.isidentifier():
            return _Fixed(name, (_Record,), {"__slots__": (), "kind": name})
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, identifier: Any) -> Any:
        raise pickle.UnpicklingError("it refers to other files")


def _finished(value: Any) -> Any:
    """Records as networks, the rest as plain values."""
    if isinstance(value, _Record):
        arguments = value.state.get("_init_kwargs")
        plain = _finished(arguments) if isinstance(arguments, dict) else {}
        return PickledModule(value.class_name, dict(_state(value)), plain)
    if isinstance(value, dict):
        return {key: _finished(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(item) for item in value)
    if value is None or isinstance(value, str | bool | int | float | complex | bytes | set | Tensor):
        return value
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__} where a value is expected")


def _state(record: _Record, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) as ``nn.Module.state_dict`` has them."""
    if depth > 64:
        raise pickle.UnpicklingError("its modules contain each other")
    skipped = record.state.get("_non_persistent_buffers_set") or ()
    for group in ("_parameters", "_buffers"):
        for name, tensor in _items(record, group):
            if tensor is not None and not (group == "_buffers" and name in skipped):
                if not isinstance(tensor, Tensor):
                    raise pickle.UnpicklingError(f"{prefix}{name} is not a tensor")
                yield f"{prefix}{name}", tensor
    for name, module in _items(record, "_modules"):
        if module is not None:
            if not isinstance(module, _Record):
                raise pickle.UnpicklingError(f"{prefix}{name} is not a module")
            yield from _state(module, f"{prefix}{name}.", depth + 1)


def _items(record: _Record, group: str) -> list[tuple[str, Any]]:
    found = record.state.get(group) or {}
    if not isinstance(found, dict):
        raise pickle.UnpicklingError(f"the {group} of a {record.class_name} are not a dict")
    return list(cast(dict[str, Any], found).items())
