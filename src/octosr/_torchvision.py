"""Make ``import torchvision`` work beside a CPU-only torch.

The package registry serves torchvision built for CUDA only. Beside a CPU build of torch its compiled
operators cannot be loaded, and importing it fails with "operator torchvision::nms does not exist",
because its Python code registers meta kernels for two operators nobody declared. Lightning,
torchmetrics, timm and pyiqa import torchvision whenever it is installed, so they would all fail.

Declaring the two schemas first is enough: the rest of torchvision is Python. Calling the operators
themselves still fails, as it must. Nothing is done where torch has CUDA or where torchvision's own
build matches (a ``+cpu`` build, macOS), since a second declaration would clash with the real one.

Every subpackage that imports one of the packages above imports this module first.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import torch

_library: torch.library.Library | None = None  # the declarations live as long as this reference


def _built_for_cuda() -> bool:
    """Whether the installed torchvision is a CUDA build, read from its files without importing it."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return False
    version_file = Path(next(iter(spec.submodule_search_locations))) / "version.py"
    if not version_file.is_file():
        return False
    return re.search(r"__version__\s*=\s*['\"][^'\"]*\+cu\d", version_file.read_text(encoding="utf-8")) is not None


def declare_operators() -> bool:
    """Declare ``torchvision::nms`` and ``torchvision::qnms`` where torchvision cannot do so itself.

    Returns:
        Whether the declarations were made by this call.
    """
    global _library
    if _library is not None or "torchvision" in sys.modules:
        return False
    if torch.version.cuda is not None or torch.version.hip is not None or not _built_for_cuda():
        return False
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        _library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return True


declare_operators()
