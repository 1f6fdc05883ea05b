"""Time one training step of DAN against the public implementation's step: same sizes, same weights, same machine.

    python benchmarks/dan_train_step.py --upstream PATH_OF_A_CLONE_OF_greatlog/DAN

A step is forward, L1 losses on the last iteration, backward and Adam, as the public ``optimize_parameters`` does it.
On a machine that others use too, ``--threads 1 --cpu-time`` counts the processor's seconds instead of the clock's.
The two take turns, so that a busy machine slows both; the ratio of each pair is taken, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from dan_upstream import build_upstream
from torch import Tensor, nn

from octosr.techniques.dan.layout import load_official
from octosr.techniques.dan.network_v1 import build_v1
from octosr.techniques.dan.network_v2 import build_v2

ADAM = {"lr": 4e-4, "betas": (0.9, 0.99)}


def upstream_step(network: nn.Module, version: int, lr: Tensor, hr: Tensor, target: Tensor) -> Callable[[], float]:
    """The public step: everything under autograd, the last iteration's losses."""
    optimizer = torch.optim.Adam(network.parameters(), **ADAM)  # type: ignore[arg-type]
    criterion = nn.L1Loss()

    def step() -> float:
        optimizer.zero_grad()
        images, codes, *kernels = network(lr)
        predicted = codes[-1] if version == 1 else kernels[0][-1]
        loss = criterion(images[-1], hr) + criterion(predicted.reshape(target.shape), target)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def our_step(network: nn.Module, version: int, lr: Tensor, hr: Tensor, target: Tensor) -> Callable[[], float]:
    """The same step with our network and the optimiser our module uses on a CPU."""
    optimizer = torch.optim.Adam(network.parameters(), fused=True, **ADAM)  # type: ignore[arg-type]

    def step() -> float:
        optimizer.zero_grad()
        estimate = network(lr)
        loss = F.l1_loss(estimate.sr, hr) + F.l1_loss(estimate.code if version == 1 else estimate.kernel, target)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def timed(step: Callable[[], float], clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds and loss of one step."""
    start = clock()
    loss = step()
    return clock() - start, loss


def compare(
    clone: Path, version: int, scale: int, side: int, batch: int, repeats: int, clock: Callable[[], float]
) -> None:
    """Print medians and ratios for one version and scale."""
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(441, 10))[0]
    lr, hr = torch.rand(batch, 3, side, side), torch.rand(batch, 3, side * scale, side * scale)
    target = torch.rand(batch, 10) if version == 1 else torch.rand(batch, 441).softmax(1)
    theirs = build_upstream(clone, version, scale, basis)
    build = build_v1 if version == 1 else build_v2
    steps = {"public": upstream_step(theirs, version, lr, hr, target)}
    for name, layout, winograd in (
        ("ours", torch.contiguous_format, True),
        ("ours, winograd=false", torch.contiguous_format, False),
        ("  and channels_last", torch.channels_last, False),
    ):
        network = build(scale, winograd=winograd)
        load_official(network, theirs.state_dict(), Path("memory"))
        network.to(memory_format=layout)  # type: ignore[call-overload]
        steps[name] = our_step(network, version, lr.to(memory_format=layout), hr.to(memory_format=layout), target)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    first_loss = {}
    for repeat in range(repeats + 1):  # the first round warms up
        for name, step in steps.items():
            spent, loss = timed(step, clock)
            if repeat == 0:
                first_loss[name] = loss
            else:
                seconds[name].append(spent)
    for name, times in seconds.items():
        ratio = median(a / b for a, b in zip(seconds["public"], times, strict=True))
        print(
            f"v{version} x{scale} LR {side}x{side} batch {batch} | {name:20} | median {median(times):6.3f} s | "
            f"{ratio:4.2f}x the public step's speed | first loss {first_loss[name]:.6f}",
            flush=True,
        )


def main() -> None:
    """Compare all versions and scales asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--versions", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu-time", action="store_true", help="seconds of processor time instead of wall time")
    args = parser.parse_args()
    clock = time.process_time if args.cpu_time else time.perf_counter
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {args.threads} threads")
    for version in args.versions:
        for scale in args.scales:
            compare(args.upstream, version, scale, args.side, args.batch, args.repeats, clock)


if __name__ == "__main__":
    main()
