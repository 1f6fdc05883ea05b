"""Lightning without what no command uses; and all of it is there afterwards for whoever asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

PROGRAM = """
import sys
from octosr.runs.light_imports import import_lightning
import_lightning()
import octosr.runs.evaluate

import builtins, torch
from lightning_fabric.wrappers import OptimizedModule, _unwrap_compiled
from pytorch_lightning.utilities.compile import from_compiled, to_uncompiled
from pytorch_lightning import LightningModule
class Doubling(LightningModule):
    def forward(self, x):
        return 2 * x
plain = Doubling()
assert not isinstance(plain, OptimizedModule) and not issubclass(Doubling, OptimizedModule)
assert _unwrap_compiled(plain) == (plain, None)
assert "torch._dynamo" not in sys.modules, "asking must not import it"
compiled = torch.compile(plain, backend="eager")
import torch._dynamo
assert torch._dynamo.OptimizedModule is not OptimizedModule
assert isinstance(compiled, OptimizedModule) and issubclass(type(compiled), OptimizedModule)
assert not isinstance(plain, OptimizedModule)
assert _unwrap_compiled(compiled)[0] is plain and _unwrap_compiled(compiled)[1] == {"backend": "eager"}
assert from_compiled(compiled) is plain and to_uncompiled(plain) is plain
assert torch.compiler.disable.__module__ == "torch.compiler" and builtins.__import__.__module__ == "builtins"

from torchmetrics.image.fid import NoTrainInceptionV3
from torchmetrics.utilities.imports import _TORCH_FIDELITY_AVAILABLE
import importlib.util
there = importlib.util.find_spec("torch_fidelity") is not None
assert bool(_TORCH_FIDELITY_AVAILABLE) == there
assert ("torch_fidelity" in NoTrainInceptionV3.__mro__[1].__module__) == there
import torchvision
print("all there")
"""

EVAL = """
import json, sys
import octosr.commands.eval
from octosr.runs import cell

load, run, before = cell.import_lightning, cell._run_here, []

def load_and_watch():
    load()
    from octosr.techniques.interpolation import Interpolation
    enlarge = Interpolation.super_resolve
    def watched(self, lr):
        before[:] = before or sorted(sys.modules)
        return enlarge(self, lr)
    Interpolation.super_resolve = watched

def run_and_tell(cfg, job):
    result = run(cfg, job)
    with open("modules.json", "w") as file:
        json.dump([before, sorted(sys.modules)], file)
    return result

cell.import_lightning, cell._run_here = load_and_watch, run_and_tell
octosr.commands.eval.main()
"""

NEVER = {
    *("torch._dynamo", "torch._inductor", "torch.onnx", "torch.distributed.fsdp", "torch.distributed.tensor", "sympy"),
    *("torchvision", "matplotlib", "torch_fidelity", "scipy.signal", "scipy.stats", "tensorboard"),
    *("wandb", "pyiqa", "timm", "lpips", "sklearn", "skimage", "jinja2"),
}
"""What ``eval.py metrics=niqe`` of a technique with nothing to learn has no use for."""


def test_a_cell_imports_nothing_heavy_and_finds_it_when_it_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout == "all there\n", done.stderr


def test_eval_with_niqe_loads_only_what_it_uses(tmp_path: Path) -> None:
    """Nor anything of scipy or Numba before the first image is enlarged, nor of Numba if all is done already."""
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "one.png")
    settings = ["technique=bicubic", "dataset=more/folder", f"dataset.path={tmp_path}/photos", "metrics=niqe"]
    settings += ["hardware=cpu", "logger=none", f"output_root={tmp_path}/out"]

    def modules() -> list[set[str]]:
        done = subprocess.run(
            [sys.executable, "-c", EVAL, *settings], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [set(names) for names in json.loads((tmp_path / "modules.json").read_text())]

    before, after = modules()
    assert "octosr.runs.evaluate" in before
    assert [path.name for path in (tmp_path / "out" / "hr").rglob("*.png")] == ["one.png"]
    assert not after & NEVER
    assert not {name for name in before if name.partition(".")[0] in ("scipy", "numba")}
    assert {"scipy.special", "numba"} < after
    before, after = modules()
    assert not before, "all is done already"
    assert "octosr.runs.evaluate" in after
    assert "numba" not in after
