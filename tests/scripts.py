"""Scripts that tests start, for tests that call their functions."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def module_of(script: Path) -> ModuleType:
    """A script as a module, under a name of its own: several folders have one of the same name."""
    spec = importlib.util.spec_from_file_location("_".join(script.with_suffix("").parts[-3:]), script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
