"""Import the public DAN implementation from a clone of github.com/greatlog/DAN, for the parity and speed checks.

Nothing of it is part of OctoSR (it has no licence): clone it yourself, anywhere, and pass the path.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn


class _Encoder:
    """Kernel -> PCA code, in place of the public ``utils.PCAEncoder`` (whose module needs LMDB, OpenCV and CUDA)."""

    def __init__(self, weight: Tensor, cuda: bool = False) -> None:
        self.weight = weight

    def __call__(self, kernels: Tensor) -> Tensor:
        basis = self.weight if self.weight.ndim == 3 else self.weight[None]
        return kernels.reshape(kernels.shape[0], 1, -1).matmul(basis).reshape(kernels.shape[0], -1)


def load_upstream(clone: Path, version: int) -> ModuleType:
    """Import ``dan_arch.py`` of version 1 or 2."""
    path = clone / f"codes/config/DANv{version}/models/modules/dan_arch.py"
    if not path.is_file():
        raise SystemExit(f"{path} is not there: --upstream must be a clone of github.com/greatlog/DAN.")
    utils = ModuleType("utils")
    utils.PCAEncoder = _Encoder  # type: ignore[attr-defined]
    sys.modules["utils"] = utils
    spec = importlib.util.spec_from_file_location(f"public_dan_v{version}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_upstream(clone: Path, version: int, scale: int, basis: Tensor, iterations: int = 4) -> nn.Module:
    """The public network at the sizes of its published weights, its PCA being ``basis`` (l*l, p)."""
    module = load_upstream(clone, version)
    with tempfile.TemporaryDirectory() as folder:
        pca = Path(folder) / "pca.pth"
        torch.save(basis, pca)
        sizes = {"nf": 64, "upscale": scale, "input_para": basis.shape[1], "kernel_size": round(basis.shape[0] ** 0.5)}
        blocks = {"nb": 40} if version == 1 else {"nb": 10, "ng": 5}
        network: nn.Module = module.DAN(**sizes, **blocks, loop=iterations, pca_matrix_path=str(pca))
    return network
