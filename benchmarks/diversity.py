"""What the diversity statistics say of sets that are known: python benchmarks/diversity.py FOLDER [FOLDER ...]

Each folder holds images of one size. Half of them against the other half is what a perfect generator would score; the
others are copies, worse and worse disguised, and a collapse. Ratios to the real images, see
octosr.metrics.functional.diversity.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import octosr._torchvision  # noqa: F401
from octosr.data.bank import load_bank
from octosr.data.locate import images_under
from octosr.data.whole import WholeSettings, prepare_whole
from octosr.metrics.functional.diversity import diversity


def sets(reals: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Name -> (samples, the real images that they are compared with)."""
    noise = torch.randn(reals.shape, generator=torch.Generator().manual_seed(0))
    blurred = F.interpolate(F.avg_pool2d(reals, 4), size=reals.shape[-2:], mode="bilinear")
    centre = reals.mean(0, keepdim=True)
    return {
        "other half": (reals[::2], reals[1::2]),
        "copies + noise 0.05": (reals + 0.05 * noise, reals),
        "blurred copies": (blurred, reals),
        "means of two": ((reals + reals.roll(1, 0)) / 2, reals),
        "collapsed to 1/10": (centre + 0.1 * (reals - centre), reals),
    }


def main(folders: list[str]) -> None:
    """Print pairs/nearest/gap of every set."""
    for folder in folders:
        images = prepare_whole(load_bank(images_under(folder)), WholeSettings(128)).pixels.float() / 255
        cells = []
        for name, (samples, reals) in sets(images).items():
            found = diversity(samples, reals)
            cells.append(f"{name} {found.pairwise_ratio:.2f}/{found.nearest_ratio:.2f}/{found.gap:.3f}")
        print(f"{Path(folder).name} ({len(images)})  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
