"""Time :func:`octosr.nn.convolution.conv3x3` against PyTorch's convolution, layer by layer, forward and backward.

    python benchmarks/convolution.py

``octosr.nn.convolution.worthwhile`` goes by what this shows. Both take turns; medians of processor time (``--wall``: of
the clock).
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from statistics import median

import torch
import torch.nn.functional as F

from octosr.nn.convolution import conv3x3


def main() -> None:
    """Print a line a layer and memory layout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.perf_counter if args.wall else time.process_time
    for channels, side in ((32, 128), (64, 256), (64, 64), (128, 128), (128, 32), (256, 64), (512, 32), (512, 16)):
        for layout in (torch.contiguous_format, torch.channels_last):
            x, gradient = (torch.randn(args.batch, channels, side, side).to(memory_format=layout) for _ in range(2))
            weight = torch.randn(channels, channels, 3, 3).requires_grad_()
            x.requires_grad_()
            forms = {"torch": partial(F.conv2d, padding=1), "ours": conv3x3}
            times: dict[str, list[float]] = {name: [] for name in forms}
            for _ in range(args.repeats + 1):
                for name, form in forms.items():
                    start = clock()
                    form(x, weight).backward(gradient)
                    times[name].append(clock() - start)
            torch_, ours = (median(times[name][1:]) for name in forms)
            name = str(layout).removeprefix("torch.")
            print(f"{channels:4} channels, {side:3} px, {name:17} {1e3 * torch_:5.0f} ms, ours {torch_ / ours:.2f}x")


if __name__ == "__main__":
    main()
