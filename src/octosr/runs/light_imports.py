"""Imports Lightning and torchmetrics without what they load for functions that no command uses.

torchmetrics imports torchvision for one metric, torch-fidelity for others, Matplotlib to draw metrics, and
``scipy.signal`` to give an old name back to speech packages. Together they take a third of the time until a command is
ready. Whoever imports octosr as a library is not concerned: this is called by the commands that work cell by cell,
before anything else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from octosr.runs.without_compiler import compiler_left_out

HIDDEN = ("torchvision", "matplotlib", "scipy", "torch-fidelity", "torch_fidelity")
HAVE_NOTICED = ("fid", "kid", "mifid", "inception", "lpip", "arniqa")
"""Modules of torchmetrics.image that decide for good, when they are imported, what is there."""


def import_lightning() -> None:
    """Import it; does nothing where that has been done. What was hidden from it is there as ever afterwards."""
    if "torchmetrics" in sys.modules or "pytorch_lightning" in sys.modules:
        return
    import octosr._torchvision  # noqa: F401  (before Lightning, which imports torchvision)

    with _hidden_packages(), compiler_left_out():
        importlib.import_module("pytorch_lightning")
    for name in HAVE_NOTICED:
        sys.modules.pop(f"torchmetrics.image.{name}", None)  # whoever imports one of them later gets it whole


@contextmanager
def _hidden_packages() -> Iterator[None]:
    imports: Any = importlib.import_module("lightning_utilities.core.imports")
    is_there, answer = imports.package_available, imports.RequirementCache.__bool__

    def seems_there(name: str) -> bool:
        return name not in HIDDEN and is_there(name)

    def seems_met(requirement: Any) -> bool:
        return requirement.requirement not in HIDDEN and answer(requirement)

    imports.package_available, imports.RequirementCache.__bool__ = seems_there, seems_met
    try:
        yield
    finally:
        imports.package_available, imports.RequirementCache.__bool__ = is_there, answer
