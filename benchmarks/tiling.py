"""Time and memory of tiled super-resolution at 1, 4, 16 and 64 output megapixels: both should be told by the pixels.

    python benchmarks/tiling.py                               # bicubic, a small DAN and a small MoESR
    python benchmarks/tiling.py --technique bicubic --megapixels 100
    python benchmarks/tiling.py --technique realesrgan --megapixels 1 4 --threads 2
    python benchmarks/tiling.py --technique rrdbnet --megapixels 100 --threads 2

``realesrgan`` is the real network; ``rrdbnet`` has one of its 23 blocks, with random weights: all that is kept of the
image between blocks, and so the memory, is as large.

Every size runs in a process of its own, whose peak memory is then its own too (beside it, what the process takes before
it has seen a pixel). The source makes pixels as they are read and the sink throws rows away: what is measured is the
engine. Time is the processor's, so that a machine that others use too does not matter much.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import octosr._torchvision  # noqa: F401  (before spandrel, which imports torchvision)

# isort: split
import torch
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor

from octosr.degradation.pipeline import Degradation
from octosr.prediction.tiling import upscale
from octosr.techniques.base import SingleImageTechnique
from octosr.techniques.dan.module import DAN
from octosr.techniques.interpolation import Interpolation
from octosr.techniques.moesr.module import MoESR
from octosr.techniques.realesrgan.module import RealESRGAN
from octosr.techniques.spandrel import Spandrel

SCALE = 8


class Waves:
    """A square image with something to see everywhere, made where it is read."""

    def __init__(self, side: int) -> None:
        self.height = self.width = side

    def read(self, top: int, bottom: int, left: int, right: int) -> Tensor:
        """See ``octosr.prediction.tiling.Source``."""
        rows, columns = torch.arange(top, bottom)[:, None], torch.arange(left, right)
        wave = torch.sin(rows * 0.7 + torch.sin(columns * 0.013) * 9) * torch.cos(columns * 0.9)
        return (0.5 + 0.4 * wave).expand(3, -1, -1).contiguous()


class Nowhere:
    """Counts rows."""

    rows = 0

    def write(self, rows: Tensor) -> None:
        """See ``octosr.prediction.tiling.Sink``."""
        self.rows += rows.shape[1]


def build(name: str) -> SingleImageTechnique:
    """A technique with random weights, small where it is a network."""
    torch.manual_seed(0)
    if name == "bicubic":
        return Interpolation("bicubic")
    if name == "realesrgan":
        real = RealESRGAN()
        real.load_weights(RealESRGAN.own_weights({"variant": "x4plus"}))
        return real
    if name == "rrdbnet":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "one_block.pth"
            torch.save(ESRGAN(num_blocks=1).state_dict(), path)
            one = Spandrel("rrdbnet")
            one.load_weights([path])
        return one
    if name == "moesr":
        technique = MoESR(
            name="moesr", features=8, layers=6, ise_features=4, gate_crop=32, gate_crops=2, finetune={"steps": 4}
        )
        for stage in technique.all_stages():
            for steps in (stage.expert_steps, stage.ise_steps, stage.ken_steps):
                steps.fill_(1)
        return technique
    degradation = Degradation(kind="isotropic", sigma={2: (0.5, 2.0), 4: (0.5, 2.0)}, kernel_size={2: 9, 4: 9}, seed=0)
    dan = DAN(
        name="dan",
        degradation=degradation,
        features=16,
        groups=1,
        blocks=2,
        estimator_features=8,
        estimator_blocks=1,
        iterations=2,
        pca_components={2: 4, 4: 4},
        bicubic_skip=True,
    )
    for network in dan.networks():
        network.set_pca_basis(torch.linalg.qr(torch.randn(81, 4))[0])
    return dan


def measure(name: str, megapixels: float) -> str:
    """One run: the report as a line."""
    technique = build(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    side = round((megapixels * 1e6) ** 0.5 / SCALE)
    sink = Nowhere()
    start = time.process_time()
    report = upscale(technique, Waves(side), sink)
    seconds = time.process_time() - start
    assert sink.rows == side * SCALE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{name:<10} {side * SCALE:>6}x{side * SCALE:<6} {seconds:8.1f} s {seconds / megapixels:7.3f} s/megapixel "
        f"{peak:7.0f} MB at most ({before:.0f} before)  tile {report.tile}, {report.tiles} tiles"
    )


def main() -> None:
    """Print one line a technique and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--technique", nargs="+", default=["bicubic", "dan", "moesr"])
    parser.add_argument("--megapixels", nargs="+", type=float, default=[1, 4, 16, 64])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--here", action="store_true", help="measure in this process (the first of each only)")
    options = parser.parse_args()
    if options.here:
        torch.set_num_threads(options.threads)
        print(measure(options.technique[0], options.megapixels[0]))
        return
    for name in options.technique:
        for megapixels in options.megapixels:
            own = ["--here", "--technique", name, "--megapixels", str(megapixels), "--threads", str(options.threads)]
            subprocess.run([sys.executable, __file__, *own], check=True)


if __name__ == "__main__":
    main()
