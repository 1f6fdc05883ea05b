"""What batching brings to BlindSR's search, as ratios in one run.

    python benchmarks/blindsr_speed.py starts        # distinct starts, batched, against 144 passes: the same scores
    python benchmarks/blindsr_speed.py refinement    # 16 images together against one at a time
    python benchmarks/blindsr_speed.py refinement --device cuda

Both sides alternate, and the best time of each counts. The plain side is what the description says, with the same
networks: a loop over images and kernels; a loop over images and steps with one optimiser, gradients for everything that
has some, and everything computed when it is needed. A third side is our own search given one image at a time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.rounding import quantise
from octosr.techniques.blindsr import patches
from octosr.techniques.blindsr.errors import frozen, mean_errors
from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.network import Sizes
from octosr.techniques.blindsr.refine import refine
from octosr.techniques.blindsr.settings import Search
from octosr.techniques.blindsr.shapes import to_parameters, to_shapes
from octosr.techniques.blindsr.stage import BlindSRStage
from octosr.techniques.blindsr.starts import distinct, published_grid


def predicted_error(stage: BlindSRStage, lr: Tensor, parameters: Tensor) -> Tensor:
    """The mean |error| of one image and kernel, everything computed anew."""
    made = stage.generator(lr, stage.enlarge(lr), stage.encode(parameters)[None])
    return stage.discriminator(lr, made.features, made.codes).abs().mean()


@torch.no_grad()
def our_scores(stage: BlindSRStage, lr: Tensor) -> Tensor:
    """All 144 scores of every image from the distinct kernels."""
    starts = published_grid(stage.space)
    first = distinct(stage.space, starts)
    kernels = stage.space.kernels(starts)
    same_as = torch.cdist(kernels.flatten(1), kernels[first].flatten(1)).argmin(1).to(lr.device)
    pieces = patches.covering(lr, stage.enlarge(lr), 200)
    codes = stage.encode(starts[first].to(lr.device))
    return mean_errors(stage, pieces, codes.expand(len(lr), -1, -1))[:, same_as]


@torch.no_grad()
def plain_scores(stage: BlindSRStage, lr: Tensor) -> Tensor:
    """144 passes over each image."""
    starts = published_grid(stage.space).to(lr.device)
    return torch.stack([torch.stack([predicted_error(stage, image[None], s) for s in starts]) for image in lr])


def our_refinement(stage: BlindSRStage, lr: Tensor, start: Tensor, settings: Search) -> Tensor:
    """All images together."""
    with torch.no_grad(), frozen(stage):
        pieces = patches.covering(lr, stage.enlarge(lr), settings.patch)
        return refine(stage, pieces, start, (lr.shape[-2], lr.shape[-1]), settings)


def plain_refinement(stage: BlindSRStage, lr: Tensor, start: Tensor, settings: Search) -> Tensor:
    """One image after the other, one step after the other."""
    found = []
    for image, parameters in zip(lr, start, strict=True):
        shape = to_shapes(parameters.double(), stage.space).requires_grad_()
        optimizer = torch.optim.Adam([shape], lr=settings.rate, eps=1e-12)
        best, lowest = parameters.double(), lr.new_full((), float("inf"))
        for step in range(settings.steps + 1):
            optimizer.param_groups[0]["lr"] = settings.rate * (1 - 0.9 * step / settings.steps)
            optimizer.zero_grad()
            parameters = to_parameters(shape, stage.space)
            loss = predicted_error(stage, image[None], parameters) - settings.sharpness * parameters[:2].sum()
            better = loss.detach() < lowest
            best, lowest = torch.where(better, parameters.detach(), best), torch.where(better, loss.detach(), lowest)
            loss.backward()
            optimizer.step()
        found.append(best)
    stage.zero_grad()
    return torch.stack(found)


def finished(device: torch.device) -> float:
    """The time, when everything that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def alternate(what: str, sides: dict[str, Callable[[], Tensor]], repeats: int, device: torch.device) -> None:
    """Time all sides in turns; print the best of each, the ratios to the first, and how far the results are apart."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, Tensor] = {}
    for _ in range(repeats):
        for name, function in sides.items():
            start = finished(device)
            results[name] = function()
            times[name].append(finished(device) - start)
    print(what)
    (ours, fast), *others = ((name, min(values)) for name, values in times.items())
    print(f"  {ours:24s} {fast:8.2f} s")
    for name, slow in others:
        apart = (results[name] - results[ours]).abs().max() / results[name].abs().max()
        print(f"  {name:24s} {slow:8.2f} s: {slow / fast:.2f} times; largest difference {apart:.1e}", flush=True)


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("starts", "refinement"))
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=2)
    parser.add_argument("--side", type=int, default=64, help="side of the LR images")
    parser.add_argument("--images", type=int, default=None, help="default: 1 for starts, 16 for the refinement")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--features", type=int, default=64, help="16 with --growth 8 --blocks 2: the demo sizes")
    parser.add_argument("--growth", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    arguments = parser.parse_args()
    device = arguments.device
    # Products rounded to 10 bits would make a batch differ from single images.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    space = (KernelSpace.published if arguments.what == "starts" else KernelSpace.standard)(arguments.scale)
    stage = BlindSRStage(space, Sizes(features=arguments.features, growth=arguments.growth, blocks=arguments.blocks))
    with torch.no_grad():
        stage.generator.encoder.weight.mul_(10)
    stage.to(device)
    count = arguments.images or (1 if arguments.what == "starts" else 16)
    coarse = torch.rand(count, 3, arguments.side // 4, arguments.side // 4)
    lr = quantise(F.interpolate(coarse, scale_factor=4, mode="bicubic")).to(device)
    size = f"x{arguments.scale}, {count} of {arguments.side}x{arguments.side}, {arguments.features} features, "
    size += torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    if arguments.what == "starts":
        sides = {"distinct, batched": lambda: our_scores(stage, lr), "144 passes": lambda: plain_scores(stage, lr)}
        alternate(f"scores of the starts, {size}", sides, arguments.repeats, device)
        return
    settings = Search(steps=arguments.steps)
    start = space.draw(0, torch.arange(count)).to(device)
    sides = {
        "together": lambda: our_refinement(stage, lr, start, settings),
        "plain, one at a time": lambda: plain_refinement(stage, lr, start, settings),
        "ours, one at a time": lambda: torch.cat(
            [our_refinement(stage, lr[n : n + 1], start[n : n + 1], settings) for n in range(count)]
        ),
    }
    alternate(f"refinement for {arguments.steps} steps, {size}", sides, arguments.repeats, device)


if __name__ == "__main__":
    main()
