"""How much the batched degradation gains over one sample after another: ``python benchmarks/degradation.py``.

The reference does for each sample what DAN's training does, in plain NumPy and PyTorch: a kernel tap by tap from
its covariance, a dense convolution, and bicubic row by row and column by column. Both give the same image
(checked first). No network, no files; takes about a minute on two CPU cores.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from octosr.degradation.kernels import anisotropic_kernels
from octosr.degradation.pipeline import Degradation
from octosr.degradation.random import SampleRandom
from octosr.degradation.resize import downsample, resize

SIGMA = {2: (0.6, 5.0), 4: (0.6, 5.0), 8: (0.6, 8.0)}
KERNEL_SIZE = {2: 11, 4: 31, 8: 49}


def loop_kernel(sigma_x: float, sigma_y: float, theta: float, size: int) -> np.ndarray:
    """One kernel, as a quadratic form over a grid of vectors."""
    turn = np.array([[math.cos(theta), -math.sin(theta)], [math.sin(theta), math.cos(theta)]])
    inverse = np.linalg.inv(turn @ np.diag([sigma_x**2, sigma_y**2]) @ turn.T)
    line = np.arange(size) - size // 2
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    kernel = np.exp(-0.5 * np.einsum("yxi,ij,yxj->yx", grid, inverse, grid))
    return kernel / kernel.sum()


def loop_bicubic(image: Tensor, scale: int) -> Tensor:
    """(C, H, W) to (C, H/s, W/s), one output row, then one output column after another."""
    for axis in (1, 2):
        image = image.transpose(0, axis)
        n = len(image)
        rows = []
        for i in range(math.ceil(n / scale)):
            centre = (i + 0.5) * scale - 0.5
            index = np.arange(math.floor(centre - 2 * scale), math.ceil(centre + 2 * scale) + 1)
            x = np.abs(index - centre) / scale
            weight = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2) * (x < 2)
            index = np.mod(index, 2 * n)
            source = image[torch.from_numpy(np.minimum(index, 2 * n - 1 - index)).to(image.device)]
            factor = torch.from_numpy(weight / weight.sum()).to(image)
            rows.append((source * factor[:, None, None]).sum(0))
        image = torch.stack(rows).transpose(0, axis)
    return image


def loop(degradation: Degradation, hr: Tensor, scale: int, sample_ids: Tensor) -> Tensor:
    """LR images, one sample after another, before rounding."""
    random, (low, high), size = SampleRandom(0), SIGMA[scale], KERNEL_SIZE[scale]
    out = []
    for image, sample in zip(hr, sample_ids, strict=True):
        u = [random.uniform(sample[None], f"x{scale}/{s}").item() for s in ("sigma_x", "sigma_y", "theta")]
        kernel = loop_kernel(low + (high - low) * u[0], low + (high - low) * u[1], math.pi * (2 * u[2] - 1), size)
        taps = torch.from_numpy(kernel).to(hr)
        padded = pad(image[None], (size // 2,) * 4, mode="reflect")[0][:, None]
        out.append(loop_bicubic(conv2d(padded, taps[None, None])[:, 0], scale).clamp(0, 1))
    return torch.stack(out)


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """The fastest of a few calls."""
    best = math.inf
    for _ in range(repeats + 1):  # the first warms up
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=256)
    args = parser.parse_args()
    device = torch.device(args.device)
    hr = torch.rand(args.batch, 3, args.patch, args.patch, device=device)
    ids = torch.arange(args.batch, device=device)
    degradation = Degradation(kind="anisotropic", sigma=SIGMA, kernel_size=KERNEL_SIZE, quantise=False)
    print(f"{args.batch} x {args.patch}x{args.patch} on {device}, {torch.get_num_threads()} threads")
    for scale in SIGMA:
        difference = (degradation(hr, scale, ids).lr - loop(degradation, hr, scale, ids)).abs().max().item()
        if difference > 5e-6:
            raise SystemExit(f"x{scale}: batched and loop differ by {difference:.1e}")
        batched = seconds(lambda s=scale: degradation(hr, s, ids), device)
        looped = seconds(lambda s=scale: loop(degradation, hr, s, ids), device, repeats=2)
        print(
            f"degrade x{scale} (kernel {KERNEL_SIZE[scale]:2d}): batched {batched * 1e3:8.2f} ms  "
            f"loop {looped * 1e3:8.2f} ms  ratio {looped / batched:6.1f}  (largest difference {difference:.0e})"
        )
    parameters = torch.rand(3, 1000, dtype=torch.float64) * 4 + 0.6
    batched = seconds(lambda: anisotropic_kernels(*parameters, 21), torch.device("cpu"))
    looped = seconds(lambda: [loop_kernel(*p, 21) for p in parameters.T.tolist()], torch.device("cpu"), repeats=2)
    print(
        f"1000 kernels of 21x21: batched {batched * 1e3:.2f} ms  loop {looped * 1e3:.2f} ms  "
        f"ratio {looped / batched:.1f}"
    )
    lr = downsample(hr, 8)
    print(
        f"bicubic x8 up, {tuple(lr.shape)}: "
        f"{seconds(lambda: resize(lr, (args.patch, args.patch)), device) * 1e3:.2f} ms"
    )
    for scale, components in ((2, 10), (4, 15), (8, 15)):
        start = time.perf_counter()
        degradation.pca_basis(scale, components, device=device)
        print(f"PCA of 30,000 kernels, x{scale}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
