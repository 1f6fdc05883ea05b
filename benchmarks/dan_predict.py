"""Images a second: DAN from LR images of 128x128 to 1024x1024 (x2, then x4) against the public implementation's loop.

    python benchmarks/dan_predict.py --upstream PATH_OF_A_CLONE_OF_greatlog/DAN
    python benchmarks/dan_predict.py                 # against the same loop written out below, if there is no clone

Same sizes, same random weights, images in memory, 8-bit arrays out. The public loop (``inference.py``) takes
one image at a time and returns every iteration's image and kernel; ours is ``octosr.prediction.tiling.upscale``, one
image at a time, and the technique on ``--batch`` images at once. All take turns, so that a busy machine slows all; the
ratio of every turn is taken, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from dan_upstream import build_upstream
from torch import Tensor, nn

from octosr.degradation.pipeline import Degradation
from octosr.prediction.tiling import ArraySource, ListSink, upscale
from octosr.techniques.dan.layout import load_official
from octosr.techniques.dan.module import DAN
from octosr.techniques.dan.network import DANNetwork
from octosr.techniques.dan.network_v2 import DualPathBlock, EstimatorV2, RestorerV2

STAGES = (2, 4)
KERNEL, COMPONENTS = 21, 10
Upscaler = Callable[[list[Tensor]], list[np.ndarray]]


class PlainDAN(nn.Module):
    """DAN v2 as its paper writes it, every iteration from the start, on the weights of one of our networks."""

    def __init__(self, network: DANNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Images, codes and kernels of all iterations."""
        restorer, estimator, basis = self.network.restorer, self.network.estimator, self.network.pca_basis
        assert isinstance(restorer, RestorerV2)
        assert isinstance(estimator, EstimatorV2)
        code = self.network.initial_code.expand(len(lr), -1)
        images, codes, kernels = [], [], []
        for _ in range(self.network.iterations):
            x, y = restorer.head(lr), restorer.head_code(code)[:, :, None, None]
            for group in restorer.groups:
                x, y = _group(group, x, y)
            sr = restorer.upscale(restorer.fusion(x))
            x, _ = _group(estimator.blocks, estimator.head_lr(lr), estimator.head_sr(sr))
            kernel = estimator.kernel(estimator.tail(x).mean((2, 3))).softmax(1)
            code = kernel @ basis
            images.append(sr)
            codes.append(code)
            kernels.append(kernel)
        return images, codes, kernels


def _group(blocks: list[DualPathBlock], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    for block in blocks:
        a = block.main2(F.leaky_relu(block.main1(x), 0.2))
        b = block.condition2(F.leaky_relu(block.condition1(y), 0.2))
        x, y = x + a * b, y + b
    return 2 * x, 2 * y


def networks(clone: Path | None) -> tuple[list[nn.Module], DAN]:
    """The other side's networks and our technique, with the same weights."""
    torch.manual_seed(0)
    sizes = dict.fromkeys(STAGES, KERNEL)
    degradation = Degradation(kind="isotropic", sigma=dict.fromkeys(STAGES, (0.2, 4.0)), kernel_size=sizes, seed=0)
    ours = DAN(name="dan", degradation=degradation, stages=STAGES, pca_components=dict.fromkeys(STAGES, COMPONENTS))
    ours.eval()
    others: list[nn.Module] = []
    for scale in STAGES:
        basis = torch.linalg.qr(torch.randn(KERNEL**2, COMPONENTS))[0]
        network = ours.network(scale)
        if clone is None:
            network.set_pca_basis(basis)
            network.restorer.fusion.weight.data.div_(1000)  # see dan_parity.py
            others.append(PlainDAN(network))
            continue
        theirs = build_upstream(clone, 2, scale, basis)
        theirs.get_parameter("Restorer.fusion.weight").data.div_(1000)
        load_official(network, theirs.state_dict(), Path("memory"))
        others.append(theirs.eval())
    return others, ours


def to_bytes(sr: Tensor) -> np.ndarray:
    """(3, H, W) to 8 bits, (H, W, 3)."""
    return np.transpose((sr.clamp(0, 1) * 255).round().byte().numpy(), (1, 2, 0))


def public_loop(stages: list[nn.Module]) -> Upscaler:
    """The loop of ``inference.py``, for two networks in a row."""

    def run(images: list[Tensor]) -> list[np.ndarray]:
        found = []
        for image in images:
            x = image[None]
            with torch.no_grad():
                for network in stages:
                    x = network(x.clamp(0, 1))[0][-1]
            found.append(to_bytes(x[0]))
        return found

    return run


def our_predict(technique: DAN) -> Upscaler:
    """``upscale``, image after image."""

    def run(images: list[Tensor]) -> list[np.ndarray]:
        found = []
        for image in images:
            sink = ListSink()
            upscale(technique, ArraySource(image), sink)
            found.append(to_bytes(sink.image()))
        return found

    return run


def our_batches(technique: DAN) -> Upscaler:
    """All images of a turn at once."""

    def run(images: list[Tensor]) -> list[np.ndarray]:
        with torch.inference_mode():
            return [to_bytes(sr) for sr in technique.super_resolve(torch.stack(images))]

    return run


def main() -> None:
    """Print images a second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, help="a clone of github.com/greatlog/DAN")
    parser.add_argument("--images", type=int, default=100, help="images in all")
    parser.add_argument("--batch", type=int, default=2, help="images a turn")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's seconds instead of the clock's")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.cpu_time else time.perf_counter
    others, ours = networks(options.upstream)
    name = "plain loop" if options.upstream is None else "public loop"
    ways = {name: public_loop(others), "upscale()": our_predict(ours), f"batches of {options.batch}": our_batches(ours)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    worst = 0
    for turn in range(max(1, options.images // options.batch)):
        torch.manual_seed(turn)
        images = list(torch.rand(options.batch, 3, options.side, options.side))
        made = {}
        for way, run in ways.items():
            start = clock()
            made[way] = run(images)
            seconds[way].append(clock() - start)
        for way in ways:
            pairs = zip(made[way], made[name], strict=True)
            worst = max(worst, *(int(np.abs(a.astype(int) - b).max()) for a, b in pairs))
    print(f"DAN v2, x2 then x4, {options.side}x{options.side}, {options.threads} threads, {turn + 1} turns:")
    for way, found in seconds.items():
        ratio = median(theirs / ours for theirs, ours in zip(seconds[name], found, strict=True))
        print(f"  {way:<14} {options.batch / median(found):7.3f} images a second, {ratio:.2f} times the {name}")
    print(f"  largest difference of the 8-bit images: {worst}")


if __name__ == "__main__":
    main()
