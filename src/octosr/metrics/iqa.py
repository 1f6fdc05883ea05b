"""The door to pyiqa, the collection of image quality metrics (optional extra ``iqa``, non-commercial licence).

pyiqa is imported only when one of its metrics is computed, and only the module of that metric: importing it takes
seconds, and its licence (PolyForm Noncommercial 1.0.0 and NTU S-Lab) need not concern who does not use it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from types import ModuleType

from octosr.errors import MissingMetricError


def require_pyiqa(metric: str) -> str:
    """Make sure that pyiqa is installed, without importing it.

    Returns:
        its version.

    Raises:
        MissingMetricError: it is not installed; the message holds the line that installs it.
    """
    try:
        found = importlib.util.find_spec("pyiqa") is not None
        version = importlib.metadata.version("pyiqa")
    except importlib.metadata.PackageNotFoundError:
        found, version = False, ""
    if not found:
        raise MissingMetricError(
            f"The metric '{metric}' needs the package pyiqa, which is not installed. "
            "Install it with: pip install 'octosr[iqa]' -c constraints.txt "
            "(pyiqa's licence allows non-commercial use only), or leave the metric out."
        )
    return version


def import_arch(module: str, metric: str) -> ModuleType:
    """Import ``pyiqa.archs.<module>``; nothing is downloaded by that.

    Raises:
        MissingMetricError: pyiqa or something it needs cannot be imported.
    """
    version = require_pyiqa(metric)
    try:
        return importlib.import_module(f"pyiqa.archs.{module}")
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingMetricError(
            f"The metric '{metric}' needs pyiqa.archs.{module}, but pyiqa {version} cannot be imported here: {error}. "
            "Reinstall it with: pip install 'octosr[iqa]' -c constraints.txt"
        ) from error
