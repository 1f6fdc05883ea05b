"""What batching brings to MoESR at test time, as ratios in one run.

    python benchmarks/moesr_speed.py gating        # all experts at once against 85 passes, the same scores
    python benchmarks/moesr_speed.py finetuning    # 16 images together against one at a time

Both sides alternate, and the best time of each counts. The plain side is what the description says, with plain modules:
85 passes that load an expert each, on the turned image; a loop over images and steps with one module, one optimiser
and everything about a crop computed when it is needed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from octosr.degradation.aligned import trim
from octosr.degradation.rounding import quantise
from octosr.techniques.moesr.finetune import FineTuning, fine_tune
from octosr.techniques.moesr.gating import gating_scores
from octosr.techniques.moesr.network import Expert, bicubic
from octosr.techniques.moesr.plan import Plan, crop_sizes, one_cycle
from octosr.techniques.moesr.stage import MoESRStage
from octosr.techniques.moesr.symmetry import turn, turn_back
from octosr.techniques.moesr.training import sobel_magnitude


def states(stage: MoESRStage) -> list[list[dict[str, Tensor]]]:
    """A state dict for each expert and level."""
    bank = stage.bank
    return [
        [
            {
                f"convs.{n}.{kind}": getattr(bank, f"{plural}")[level * bank.layers + n][e].detach().clone()
                for n in range(bank.layers)
                for kind, plural in (("weight", "weights"), ("bias", "biases"))
            }
            for level in range(bank.levels)
        ]
        for e in range(25)
    ]


def modules_of(stage: MoESRStage) -> list[Expert]:
    """Empty networks, one a level."""
    return [Expert(stage.bank.features, stage.bank.layers) for _ in range(stage.bank.levels)]


@torch.no_grad()
def plain_scores(stage: MoESRStage, experts: list[list[dict[str, Tensor]]], lr: Tensor) -> Tensor:
    """85 passes over one image."""
    modules, enlarged = modules_of(stage), bicubic(lr, stage.scale)
    found = []
    for setting in stage.grid.settings:
        x = turn(lr, setting.symmetry)
        for module, state in zip(modules, experts[setting.expert], strict=True):
            module.load_state_dict(state)
            x = module(x)
        found.append(stage.evaluator(turn_back(x, setting.symmetry), enlarged).square().mean())
    return torch.stack(found)


def plain_tuning(
    stage: MoESRStage, experts: list[list[dict[str, Tensor]]], lr: Tensor, parameters: Tensor, settings: FineTuning
) -> Tensor:
    """One image after the other, one step after the other."""
    results = []
    rates, _ = one_cycle(settings.steps, settings.max_rate, settings.div_factor)
    for n in range(len(lr)):
        image, chosen = lr[n : n + 1], parameters[n : n + 1]
        places, turns = stage.grid.choose(chosen)
        modules = modules_of(stage)
        for module, state in zip(modules, experts[int(places)], strict=True):
            module.load_state_dict(state)
            for conv in module.convs:
                conv.weight.data = turn_back(conv.weight.data, int(turns)).contiguous()
        kernels = [stage.kernels(chosen, level).float()[:, None] for level in range(stage.bank.levels)]
        sizes = crop_sizes(lr.shape[-2:], stage, settings.crop, settings.real, False)
        plan = Plan(stage, image, chosen, sizes, settings)
        optimizer = torch.optim.Adam([p for m in modules for p in m.parameters()], betas=(settings.beta1, 0.999))
        for step in range(settings.steps):
            optimizer.param_groups[0]["lr"] = rates[step]
            y, x = (crop[:, 0] for crop in plan.crops(range(step, step + 1)))
            optimizer.zero_grad()
            _plain_loss(stage, modules, kernels, x, y, settings, sizes.backward).backward()
            optimizer.step()
        with torch.no_grad():
            for module in modules:
                image = module(image)
        results.append(image)
    return torch.cat(results)


def _plain_loss(
    stage: MoESRStage,
    modules: list[Expert],
    kernels: list[Tensor],
    x: Tensor,
    y: Tensor,
    settings: FineTuning,
    backward: bool,
) -> Tensor:
    def reduce(images: Tensor, level: int) -> Tensor:
        return F.conv2d(images.transpose(0, 1), kernels[level], stride=stage.scale >> level).transpose(0, 1)

    fake = x
    for module in modules:
        fake = module(fake)
    restored = reduce(fake, 0)
    loss = settings.cycle * F.l1_loss(restored, trim(x, restored))
    if backward:
        made = quantise(reduce(y, 0))
        for level, module in enumerate(modules, 1):
            made = module(made)
            target = reduce(y, level) if level < len(modules) else y
            loss = loss + settings.cycle * F.l1_loss(made, trim(target, made))
    enlarged = bicubic(x, stage.scale)
    mask = 1 - sobel_magnitude(enlarged).clamp(0, 1)
    return loss + settings.interpolation * F.l1_loss(mask * fake, mask * enlarged)


def alternate(ours: Callable[[], Tensor], plain: Callable[[], Tensor], repeats: int, what: str) -> None:
    """Time both in turns; print the best of each, the ratio, and how far the results are apart."""
    times: list[list[float]] = [[], []]
    results: list[Tensor] = []
    for _ in range(repeats):
        for side, function in enumerate((ours, plain)):
            start = time.perf_counter()
            result = function()
            times[side].append(time.perf_counter() - start)
            results = [*results, result][-2:]
    apart = (results[0] - results[1]).abs().max() / results[1].abs().max()
    fast, slow = min(times[0]), min(times[1])
    print(
        f"{what}: {fast:.2f} s against {slow:.2f} s: {slow / fast:.2f} times; largest difference {apart:.1e}",
        flush=True,
    )


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gating", "finetuning"))
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=2)
    parser.add_argument("--side", type=int, default=64, help="side of the LR images")
    parser.add_argument("--images", type=int, default=None, help="default: 1 for gating, 16 for fine-tuning")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--features", type=int, default=64, help="16 with --layers 6: the demo sizes")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    scale = arguments.scale
    stage = MoESRStage(
        scale, arguments.features, arguments.layers, arguments.features, {2: 13, 4: 33, 8: 65}[scale], "matrix"
    )
    stage.requires_grad_(False)
    experts = states(stage)
    count = arguments.images or (1 if arguments.what == "gating" else 16)
    lr = quantise(
        F.interpolate(torch.rand(count, 3, arguments.side // 4, arguments.side // 4), scale_factor=4, mode="bicubic")
    )
    size = f"x{scale}, {count} of {arguments.side}x{arguments.side}, {arguments.features} features, "
    size += f"{torch.get_num_threads()} threads"
    if arguments.what == "gating":
        alternate(
            lambda: gating_scores(stage.bank, stage.evaluator, lr),
            lambda: torch.stack([plain_scores(stage, experts, image[None]) for image in lr]),
            arguments.repeats,
            f"gating, {size}",
        )
        return
    settings = FineTuning(steps=arguments.steps, crop=arguments.side)
    parameters = stage.random_parameters(0, torch.arange(count))
    alternate(
        lambda: fine_tune(stage, lr, parameters, settings),
        lambda: plain_tuning(stage, experts, lr, parameters, settings),
        arguments.repeats,
        f"fine-tuning for {arguments.steps} steps, {size}",
    )


if __name__ == "__main__":
    main()
