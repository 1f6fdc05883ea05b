"""Loops that neither NumPy nor PyTorch has, compiled by Numba for the CPU at hand.

A module of such functions is imported where the first of them is called, and not before: Numba takes a third of a
second to import. The compiled code is kept beside the module, or in ``NUMBA_CACHE_DIR``, for the next process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

_Function = TypeVar("_Function", bound=Callable[..., object])
_log = logging.getLogger(__name__)


def compiled(function: _Function) -> _Function:
    """Compile a function of NumPy arrays and numbers on its first call; it runs without Python's lock.

    Floating-point operations keep their order, so that results do not depend on how the compiler arranges them.
    """
    try:
        result: Any = njit(function, nogil=True, error_model="numpy", cache=True)
    except RuntimeError as error:  # neither the package's folder nor the user's cache can be written
        _log.warning("%s is compiled anew in each process, because %s; set NUMBA_CACHE_DIR", function.__name__, error)
        result = njit(function, nogil=True, error_model="numpy")
    return cast(_Function, result)
