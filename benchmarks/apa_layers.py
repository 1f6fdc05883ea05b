"""Time the exact forms of the resampling convolutions of StyleGAN2, layer by layer, forward and backward.

    python benchmarks/apa_layers.py

``octosr.techniques.apa.resample.form_for`` chooses between them by what this shows. The forms take turns; medians of
processor time (``--wall``: of the clock).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import get_args

import torch
from torch import Tensor

from octosr.techniques.apa.layers import channels
from octosr.techniques.apa.resample import Form, conv_down, conv_up


def spent(run: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, clock: Callable[[], float]) -> float:
    """Seconds of a forward and a backward pass."""
    start = clock()
    run(x, weight).sum().backward()
    seconds = clock() - start
    x.grad = weight.grad = None
    return seconds


def main() -> None:
    """Print a line a layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.perf_counter if args.wall else time.process_time
    forms: tuple[Form, ...] = get_args(Form)
    for side in args.sides:
        small, large = channels(side // 2, args.width), channels(side, args.width)
        cases: dict[str, tuple[Callable[..., Tensor], Tensor, Tensor]] = {
            f"up {small} -> {large}": (
                conv_up, torch.randn(args.batch, small, side // 2, side // 2), torch.randn(large, small, 3, 3)
            ),
            f"down {large} -> {small}": (
                lambda x, w, form: conv_down(x, w, None, form),
                torch.randn(args.batch, large, side, side), torch.randn(small, large, 3, 3),
            ),
        }  # fmt: skip
        for name, (function, x, weight) in cases.items():
            x, weight = (value.to(memory_format=torch.channels_last).requires_grad_() for value in (x, weight))
            times: dict[str, list[float]] = {form: [] for form in forms}
            for _ in range(args.repeats + 1):
                for form in forms:
                    times[form].append(spent(partial(function, form=form), x, weight, clock))
            line = ", ".join(f"{form} {median(times[form][1:]):.3f} s" for form in forms)
            print(f"{side} px, {name}: {line}", flush=True)


if __name__ == "__main__":
    main()
