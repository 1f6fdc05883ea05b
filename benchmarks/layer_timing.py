"""What the benchmarks of single layers share: their options, and forms of a layer that take turns."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from statistics import median

import torch
from torch import Tensor

Form = Callable[[Tensor, Tensor], Tensor]


def arguments(text: str | None, batch: int = 2) -> argparse.ArgumentParser:
    """``--batch``, ``--repeats``, ``--threads`` and ``--wall``; a benchmark may add its own."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="seconds of the clock instead of processor time")
    return parser


def take_turns(forms: Mapping[str, Form], x: Tensor, weight: Tensor, args: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a forward and a backward pass of each form; a first round warms up.

    Args:
        forms: functions of x and weight.
        x: with a gradient.
        weight: with a gradient.
        args: see :func:`arguments`.
    """
    torch.set_num_threads(args.threads)
    clock = time.perf_counter if args.wall else time.process_time
    times: dict[str, list[float]] = {name: [] for name in forms}
    gradient: Tensor | None = None
    for _ in range(args.repeats + 1):
        for name, form in forms.items():
            start = clock()
            result = form(x, weight)
            if gradient is None:
                gradient = torch.randn_like(result)
                start = clock()
            result.backward(gradient)
            times[name].append(clock() - start)
            x.grad = weight.grad = None
    return {name: median(spent[1:]) for name, spent in times.items()}
