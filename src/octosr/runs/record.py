"""What is noted of a run beside every number it makes."""

from __future__ import annotations

import subprocess
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

import octosr
from octosr.runs.build import versions


def run_record(device: torch.device | None, precision: str) -> dict[str, Any]:
    """Date, versions, device and precision, as plain values.

    Args:
        device: where the metrics ran; None if none had to.
        precision: Lightning's precision of the technique. Metrics always run in the precision they define.
    """
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "octosr": octosr.__version__,
        "commit": commit(),
        "versions": versions(),
        "device": device_name(device),
        "precision": precision,
    }


def device_name(device: torch.device | None) -> str:
    """``cpu``, or the kind and model of an accelerator."""
    if device is None:
        return "none"
    return f"{device.type}: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


@lru_cache(maxsize=1)
def commit() -> str | None:
    """The git commit of this package's source, with ``-dirty`` where files were changed; None for an installed one."""
    folder = Path(octosr.__file__).parent
    ask = ("git", "-C", str(folder))
    try:
        # An environment inside some other repository is not that repository's commit.
        subprocess.run(
            [*ask, "ls-files", "--error-unmatch", "__init__.py"], check=True, capture_output=True, timeout=10
        )
        found = subprocess.run(
            [*ask, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"],
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):  # no git here, or no repository: then there is no commit to name
        return None
    return found.stdout.strip() or None
