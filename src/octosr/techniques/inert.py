"""An unpickler that builds tensors, numbers, strings, containers and inert records, and runs nothing.

Names in a pickle are looked up in one table. What is in it cannot be changed by a pickle (:class:`_Fixed`,
:class:`_Call`), checks what it is given, and calls nothing else.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_SCALARS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "u1": "B", "b1": "?"}


class _Fixed(type):
    """Classes that a pickle can make instances of, but not change."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it tries to change a class")


class Record(metaclass=_Fixed):
    """Stands for an object of any class: its name, and the attributes it was pickled with."""

    __slots__ = ("class_name", "state")
    class_name: str
    state: dict[str, Any]
    kind = "object"

    def __new__(cls, *arguments: Any) -> Record:
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


def _persistent(meta: Any) -> Record:
    """An object pickled with its source, which is left alone."""
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("state"), dict):
        raise pickle.UnpicklingError("an object with source code is not laid out as expected")
    record = Record()
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


class Restricted(pickle.Unpickler):
    """Looks names up in the table above; modules of torch become records."""

    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name))
        if known is not None:
            return known
        if module.startswith("torch.nn.modules.") and name.isidentifier():
            return _Fixed(name, (Record,), {"__slots__": (), "kind": name})
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, identifier: Any) -> Any:
        raise pickle.UnpicklingError("it refers to other files")
