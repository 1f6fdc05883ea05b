"""Import the public MoESR implementation from a clone of github.com/memad73/MoESR, for the parity check.

Nothing of it is part of OctoSR (it has no licence): clone it yourself, anywhere, and pass the path. It is written for
CUDA; here ``.cuda()`` is made to do nothing for as long as its code runs. Two names that newer SciPy versions have
moved are given back, and tqdm is replaced by a plain loop where it is not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import scipy.ndimage
import torch
from torch import nn

LAMBDAS = {2: [0.85, 1.47, 2.27, 3.23, 4.37], 4: [4.25, 7.35, 11.35, 16.15, 21.85]}
KERNEL = {2: 13, 4: 33}


@contextmanager
def on_cpu(dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """``.cuda()`` does nothing, noise for "cuda" is made on the CPU, and floats are of a precision."""
    randn, before = torch.randn, torch.get_default_dtype()

    def randn_here(*size: Any, device: Any = None, **rest: Any) -> torch.Tensor:
        return randn(*size, **rest)

    with (
        mock.patch.object(torch.Tensor, "cuda", lambda self, *a, **k: self),
        mock.patch.object(nn.Module, "cuda", lambda self, *a, **k: self),
        mock.patch.object(torch, "randn", randn_here),
        mock.patch.object(torch, "FloatTensor", torch.DoubleTensor if dtype == torch.float64 else torch.FloatTensor),
    ):
        torch.set_default_dtype(dtype)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def load_upstream(clone: Path) -> dict[str, ModuleType]:
    """Its modules ``networks``, ``util``, ``data`` and ``MoESR``."""
    folder = clone / "codes"
    if not (folder / "MoESR.py").is_file():
        raise SystemExit(f"{folder / 'MoESR.py'} is not there: --upstream must be a clone of github.com/memad73/MoESR.")
    for moved in ("measurements", "interpolation"):
        sys.modules.setdefault(f"scipy.ndimage.{moved}", scipy.ndimage)
        if not hasattr(scipy.ndimage, moved):
            setattr(scipy.ndimage, moved, scipy.ndimage)
    if importlib.util.find_spec("tqdm") is None:
        progress = ModuleType("tqdm")
        progress.tqdm = lambda items: items  # type: ignore[attr-defined]
        sys.modules["tqdm"] = progress
    sys.path.insert(0, str(folder))
    return {name: importlib.import_module(name) for name in ("networks", "util", "data", "MoESR")}


def configuration(image: Path, weights: Path, scale: int, steps: int, crop: int, rate: float) -> Namespace:
    """The settings of its command line at their defaults, for one image."""
    return Namespace(
        input_image_path=str(image),
        gt_path=None,
        abs_img_name=image.stem,
        out_dir=str(image.parent),
        sr_networks_path=str(weights / "SR_networks_ensemble.pt"),
        ise_path=str(weights / "ISE.pt"),
        ken_path=str(weights / "KEN.pt"),
        scale=scale,
        lambda_set=LAMBDAS[scale],
        theta_set=[(2 * i + 1) * np.pi / 16 for i in range(8)],
        ker_size=KERNEL[scale],
        input_crop_size=crop,
        batch_size=1,
        lambda_cycle=5,
        lambda_interp=1,
        max_lr=rate,
        div_factor=10,
        beta1=0.5,
        finetune_iters=steps,
        real=False,
        noise_std=0.04,
    )
