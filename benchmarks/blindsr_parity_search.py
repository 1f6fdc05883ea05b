"""The whole search of the public BlindSR, run by its own code, beside ours with the quirks switched on.

A part of ``blindsr_parity.py``. The public code makes 50 sweeps over four patches of a portrait image here, starts from
the best of its 144 kernels, and blends the patches.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.errors import frozen
from octosr.techniques.blindsr.published import best_published, sweep_published
from octosr.techniques.blindsr.search import super_resolve_stage
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.stage import BlindSRStage

PATCH, SIDE = 16, (25, 20)
SWEEPS = 50


class Watched:
    """What the public code does while it runs: kernels after every step, and the arrays it saves."""

    def __init__(self) -> None:
        self.path: list[Tensor] = []
        self.saved: dict[str, np.ndarray] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Adam notes (sigma_1, sigma_2, theta) at the start and after each step; images are kept and not written."""
        path = self.path

        class Adam(torch.optim.Adam):
            def __init__(self, parameters: list[Tensor], lr: float) -> None:
                super().__init__(parameters, lr=lr)
                self.note()

            def note(self) -> None:
                path.append(torch.cat([p.detach().flatten() for p in self.param_groups[0]["params"]]))

            def step(self, closure: Any = None) -> None:
                super().step(closure)
                self.note()

        def keep(name: str, array: np.ndarray) -> None:
            self.saved["kernel" if Path(name).stem.endswith("_kernel") else "image"] = np.array(array)

        import imageio

        with mock.patch.object(torch.optim, "Adam", Adam), mock.patch.object(imageio, "imwrite", keep):
            yield


def run_upstream(folder: Path, lr: np.ndarray) -> Watched:
    """Its test mode on one image, with the weights of ``folder``."""
    sys.modules.setdefault("tensorboardX", ModuleType("tensorboardX"))  # for its training only
    from manager import Manager  # of the clone, see blindsr_upstream

    (folder / "input").mkdir()
    Image.fromarray(lr).save(folder / "input/picture.png")
    watched = Watched()
    with watched.watching():
        Manager(
            Namespace(
                mode="test",
                input=str(folder / "input"),
                output=str(folder / "output"),
                patch_size=PATCH,
                checkpoint_folder=str(folder),
                network_type="discriminator",
            )
        )
    return watched


def compare_search(stage: BlindSRStage, folder: Path, worst: Any) -> None:
    """One step, one sweep, the whole search and the image it ends with.

    Args:
        stage: ours, with the weights of ``folder``.
        folder: with published files.
        worst: prints a name and the largest difference of two arrays.
    """
    coarse = np.random.default_rng(1).integers(0, 256, (SIDE[0] // 4, SIDE[1] // 4, 3), dtype=np.uint8)
    picture = np.array(Image.fromarray(coarse).resize(SIDE[::-1], Image.Resampling.BICUBIC))
    theirs = run_upstream(folder, picture)
    lr = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    lying = lr.transpose(-2, -1)
    with torch.no_grad(), frozen(stage):
        pieces = patches.published(lying, stage.enlarge(lying), PATCH)
        start = best_published(stage, pieces)
        count = pieces.lr.shape[1]
        step = sweep_published(stage, pieces.only(0), start, SIDE[::-1], Search(steps=1))
        sweeps = {n: sweep_published(stage, pieces, start, SIDE[::-1], Search(steps=n)) for n in (1, 10)}
    print(f"  search on {count} patches from sigma {start[0, :2].tolist()}, theta {start[0, 2].item():.4f}")
    worst("start of the search", start[0], theirs.path[0])
    worst("kernel parameters after one step", step[0], theirs.path[1])
    for n, sweep in sweeps.items():
        worst(f"after {n} sweeps over all patches", sweep[0], theirs.path[n * count])
    found = super_resolve_stage(stage, lr, Search(patch=PATCH, steps=SWEEPS, official_quirks=True))
    moved = (theirs.path[-1] - theirs.path[0]).abs().max()
    public = theirs.path[-1].clone()
    public[2] = torch.pi / 2 - public[2]  # of the image on its side
    worst(f"after {SWEEPS} sweeps, which moved it by {moved:.2f}", found.parameters[0], public)
    kernel = found.kernel[0] / found.kernel[0].max()
    worst("saved kernel", kernel, theirs.saved["kernel"])
    worst("saved image", found.sr[0].clamp(0, 1).permute(1, 2, 0), theirs.saved["image"])
