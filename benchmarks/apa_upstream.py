"""Import the public APA implementation from a clone of github.com/EndlessSora/DeceiveD, for parity checks on the CPU.

Nothing of it is part of OctoSR (its licence is NVIDIA's, non-commercial): clone it yourself, anywhere, and pass the
path. On the CPU it runs its own reference implementations of the filters and activations; it is written for PyTorch
1.7, of which this replaces what newer versions lack.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn


def load_upstream(clone: Path) -> ModuleType:
    """Import ``training.networks``."""
    if not (clone / "training" / "networks.py").is_file():
        raise SystemExit(f"{clone} has no training/networks.py: --upstream must be a clone of EndlessSora/DeceiveD.")
    if str(clone) not in sys.path:
        sys.path.insert(0, str(clone))
    return importlib.import_module("training.networks")


class _Torch(ModuleType):
    """``torch`` for their modules, whose 32-bit floats may be 64-bit floats here: they name their precision."""

    float32 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


_TORCH = _Torch("torch")


def set_precision(dtype: torch.dtype) -> None:
    """What their modules take ``torch.float32`` for from now on."""
    _TORCH.float32 = dtype
    for name, module in sys.modules.items():
        if name.startswith(("training.networks", "torch_utils.")) and hasattr(module, "torch"):
            module.torch = _TORCH


def build_upstream(clone: Path, resolution: int, width: float, layers: int, group: int) -> tuple[nn.Module, nn.Module]:
    """The public generator and discriminator with random weights, in 32-bit floats, in training mode."""
    networks = load_upstream(clone)
    common = {"c_dim": 0, "img_resolution": resolution, "img_channels": 3}
    sizes = {"channel_base": int(width * 32768), "channel_max": 512, "conv_clamp": 256}
    generator: nn.Module = networks.Generator(
        z_dim=512, w_dim=512, mapping_kwargs={"num_layers": layers}, synthesis_kwargs=sizes, **common
    )
    discriminator: nn.Module = networks.Discriminator(**common, **sizes, epilogue_kwargs={"mbstd_group_size": group})
    return generator.train(), discriminator.train()
