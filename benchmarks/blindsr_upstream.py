"""Import the public BlindSR implementation from a clone of github.com/sunreef/BlindSR, for the parity check.

Nothing of it is part of OctoSR (it is under the GPL): clone it yourself, anywhere, and pass the path. It is written for
CUDA; here ``.cuda()`` is made to do nothing for as long as its code runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import nn


@contextmanager
def on_cpu() -> Iterator[None]:
    """``.cuda()`` does nothing."""

    def here(self: Any, *args: Any, **settings: Any) -> Any:
        return self

    with mock.patch.object(torch.Tensor, "cuda", here), mock.patch.object(nn.Module, "cuda", here):
        yield


def load_upstream(clone: Path) -> dict[str, ModuleType]:
    """Its modules ``model``, ``degradation`` and ``image_utils``."""
    folder = clone / "src"
    if not (folder / "model.py").is_file():
        missing = folder / "model.py"
        raise SystemExit(f"{missing} is not there: --upstream must be a clone of github.com/sunreef/BlindSR.")
    sys.path.insert(0, str(folder))
    return {name: importlib.import_module(name) for name in ("model", "degradation", "image_utils")}
