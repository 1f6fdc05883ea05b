"""Network pickles of the StyleGAN2 family (``.pkl``), read without running a line of what they carry.

Such a file is a plain pickle of a dict (``G``, ``D``, ``G_ema``, ...). Its networks are pickled together with the
source code of their classes, which the usual way of loading executes. Here every class is replaced by an inert record
that keeps the pickled attributes; only tensors, numbers, strings and plain containers are rebuilt, and everything else
is refused. What comes out is the networks' tensors by their names in a state dict.

How a pickle refers to what it needs is public: names of modules and functions (``torch_utils.persistence``), which are
looked up in the table below and nowhere else.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from octosr.errors import WrongWeightsError
from octosr.techniques.inert import Record, Restricted

_LIMIT = 4 << 30


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
            content = Restricted(stream).load()
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


def _finished(value: Any) -> Any:
    """Records as networks, the rest as plain values."""
    if isinstance(value, Record):
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


def _state(record: Record, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
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
            if not isinstance(module, Record):
                raise pickle.UnpicklingError(f"{prefix}{name} is not a module")
            yield from _state(module, f"{prefix}{name}.", depth + 1)


def _items(record: Record, group: str) -> list[tuple[str, Any]]:
    found = record.state.get(group) or {}
    if not isinstance(found, dict):
        raise pickle.UnpicklingError(f"the {group} of a {record.class_name} are not a dict")
    return list(cast(dict[str, Any], found).items())
