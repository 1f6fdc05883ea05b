"""Training runs as processes of their own, killed and resumed, and what their checkpoints hold."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]


def last(out: Path, technique: str) -> dict[str, Any]:
    """The checkpoint of a run on ``dataset=more/folder`` with ``output_root=out``."""
    found: dict[str, Any] = torch.load(_place(out, technique), weights_only=True)
    return found


def _place(out: Path, technique: str) -> Path:
    return out / "checkpoints" / technique / "folder" / "last.ckpt"


def tensors(value: Any, name: str = "") -> dict[str, Tensor]:
    """All tensors of a nested record, by name."""
    if isinstance(value, Tensor):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return {key: found for part, inner in items for key, found in tensors(inner, f"{name}.{part}").items()}


def same(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Two checkpoints hold the same networks, averages, counters and moments of Adam, to the bit."""
    for part in ("state_dict", "optimizer_states"):
        first, second = tensors(one[part]), tensors(two[part])
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert torch.equal(second[key], value), key


def started(settings: Sequence[str]) -> subprocess.Popen[str]:
    """``python train.py SETTINGS``."""
    return subprocess.Popen(
        [sys.executable, "train.py", *settings], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def trained(settings: Sequence[str]) -> None:
    """Run ``python train.py SETTINGS`` to its end."""
    process = started(settings)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-3000:]


def killed(settings: Sequence[str], out: Path, technique: str) -> int:
    """Run ``python train.py SETTINGS``, kill it after its first checkpoint; the images that a checkpoint has seen."""
    process = started(settings)
    deadline = time.monotonic() + 400
    while not _place(out, technique).is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return int(last(out, technique)["state_dict"]["images_shown"])
