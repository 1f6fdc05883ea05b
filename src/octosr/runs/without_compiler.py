"""Lets Lightning be imported without torch's compiler, which is a fourth of the time until a command is ready.

Two things in Lightning bring it, for commands of which most compile nothing:

* ``from torch._dynamo import OptimizedModule``, in order to ask later whether an object is what ``torch.compile`` makes
  of a module. It gets a class of which nothing is an instance until the compiler has been imported by somebody, and
  then exactly what is one of the real class: before, there can be none.
* ``@torch.compiler.disable`` over two functions. In its place stands torch's own decorator for the same purpose, which
  imports the compiler when such a function is first called: it is what torch's optimisers have.

Whatever else is imported, by Lightning or by others, is the real thing.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

COMPILER, NAME = "torch._dynamo", "OptimizedModule"
ASKING = ("pytorch_lightning", "lightning_fabric")
"""Packages that want the class for nothing but questions."""


class _AsTheRealOne(type):
    """Answers as the real class would, without importing it."""

    def __instancecheck__(cls, instance: Any) -> bool:
        real = _real()
        return real is not None and isinstance(instance, real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        real = _real()
        return subclass is cls or (real is not None and issubclass(subclass, real))


class OptimizedModule(metaclass=_AsTheRealOne):
    """Stands in for ``torch._dynamo.OptimizedModule`` in ``isinstance`` and ``issubclass``; cannot be made."""

    def __init__(self) -> None:
        raise TypeError(f"only torch.compile makes {COMPILER}.{NAME}")


def _real() -> type | None:
    """The real class, if the compiler has been imported."""
    return getattr(sys.modules.get(COMPILER), NAME, None)


@contextmanager
def compiler_left_out() -> Iterator[None]:
    """While this is entered, imported modules of Lightning do not bring the compiler; a torch must have been imported.

    Does nothing where the compiler has been imported already.
    """
    if COMPILER in sys.modules:
        yield
        return
    compiler: Any = importlib.import_module("torch.compiler")
    genuine, disable = builtins.__import__, compiler.disable

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if name == COMPILER and tuple(fromlist or ()) == (NAME,) and _package(globals) in ASKING:
            return SimpleNamespace(OptimizedModule=OptimizedModule)
        return genuine(name, globals, locals, fromlist or (), level)

    builtins.__import__ = import_
    compiler.disable = _disable
    try:
        yield
    finally:
        builtins.__import__, compiler.disable = genuine, disable


def _package(names: Mapping[str, object] | None) -> str:
    """Of the module whose global names these are."""
    return str((names or {}).get("__name__", "")).partition(".")[0]


def _disable(function: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """As ``torch.compiler.disable``, but the compiler is imported when the function is first called."""
    return importlib.import_module("torch._compile")._disable_dynamo(function, recursive)
