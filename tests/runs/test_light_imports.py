"""Lightning without what no command uses; and all of it is there afterwards for whoever asks."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from octosr.runs.light_imports import import_lightning
import_lightning()
import octosr.runs.evaluate
heavy = {"torchvision", "matplotlib", "scipy.signal", "torch_fidelity", "wandb", "pyiqa", "timm"} & set(sys.modules)
assert not heavy, heavy
from torchmetrics.image.fid import NoTrainInceptionV3
from torchmetrics.utilities.imports import _TORCH_FIDELITY_AVAILABLE
import importlib.util
there = importlib.util.find_spec("torch_fidelity") is not None
assert bool(_TORCH_FIDELITY_AVAILABLE) == there
assert ("torch_fidelity" in NoTrainInceptionV3.__mro__[1].__module__) == there
import torchvision
print("all there")
"""


def test_a_cell_imports_nothing_heavy_and_finds_it_when_it_needs_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout == "all there\n", done.stderr
