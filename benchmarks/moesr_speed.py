"""What batching brings to MoESR at test time, as ratios in one run.

    python benchmarks/moesr_speed.py gating        # all experts at once against 85 passes, the same scores
    python benchmarks/moesr_speed.py finetuning    # 16 images together against one at a time
    python benchmarks/moesr_speed.py crops --side 144 --weights LAST.ckpt --photographs FOLDER

``crops`` gates on informative crops against whole images and tells how far the kernel that KEN reads drifts: the median
over the images of |S - S'|/|S| (Frobenius norms) of the covariances; with photographs, which are then reduced with
random kernels, also how far both are from the true one. Without trained weights and photographs it means nothing.

Both sides alternate, and the best time of each counts. The plain side is what the description says, with plain modules:
85 passes that load an expert each, on the turned image; a loop over images and steps with one module, one optimiser
and everything about a crop computed when it is needed.

What can be hoped for on a CPU. The plain loops are nearly all 3x3 convolutions of 64 channels, which oneDNN does
directly at about 100 GFLOPS a core (Zen 4, AVX-512). Fine-tuning, a step of an image of 64x64: 64x64 and 52x52 HR
pixels, 10 layers of 36,864 products a pixel, three passes: 15 GFLOP. F(4x4, 3x3) does it in 3.8 GFLOP of
products, in matrices of 64 columns at which MKL reaches 65 to 80 GFLOPS, plus transforms that read and write each map
about seven times: a layer of 64x64 takes 2.0 ms forward and 4.1 backward against 3.0 and 6.7 of direct convolution
(one core of a busy machine). Gating, one image of 64x64: 85 passes of 6.1 GMAC and 0.5 of ISE (0.3 with its last two
convolutions as one), 1.1 TFLOP; with a quarter of the products in the experts at most 3.6 times if products
ran as fast as direct convolution, which they do not. CPUs with AMX do the products in
tiles (``octosr.nn.amx``), which is beyond that bound; ``--no-tiles`` leaves them out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from recovery import TEST_IDS, distance, test_images
from torch import Tensor

from octosr.degradation.aligned import covariances, strided_blur, trim
from octosr.degradation.rounding import quantise
from octosr.nn import amx
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
    device = next(stage.parameters()).device
    return [Expert(stage.bank.features, stage.bank.layers).to(device) for _ in range(stage.bank.levels)]


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


def drift(ours: Tensor, whole: Tensor) -> float:
    """How far covariances are apart, of parameters (B, 3) each."""
    one, other = covariances(ours), covariances(whole)
    return float(((one - other).norm(dim=(1, 2)) / other.norm(dim=(1, 2))).median())


def reduced(stage: MoESRStage, folder: Path, count: int, side: int) -> tuple[Tensor, Tensor]:
    """LR images of a side from photographs and random kernels, and the kernels' parameters (B, 3)."""
    truth = stage.random_parameters(0, torch.arange(TEST_IDS, TEST_IDS + count))
    hr = test_images(folder, count, stage.scale * (side + 2 * stage.margin))
    return quantise(strided_blur(hr, stage.kernels(truth), stage.scale)), truth


def compare_crops(
    stage: MoESRStage, lr: Tensor, truth: Tensor | None, crop: int, crops: int, repeats: int, size: str
) -> None:
    """Gating on crops against whole images."""
    on_crops, on_all = alternate(
        lambda: stage.estimate(lr, crop, crops),
        lambda: stage.estimate(lr),
        repeats,
        f"gating on {crops} crops of {crop}x{crop} against whole images, {size}",
    )
    print(f"drift of the covariance: {drift(on_crops, on_all):.3f}", flush=True)
    if truth is not None:
        wanted = covariances(truth)
        errors = [distance(covariances(found), wanted).mean() for found in (on_crops, on_all)]
        print(f"error of the covariance, mean: {errors[0]:.3f} on crops, {errors[1]:.3f} on whole images", flush=True)


def alternate(
    ours: Callable[[], Tensor], plain: Callable[[], Tensor], repeats: int, what: str
) -> tuple[Tensor, Tensor]:
    """Time both in turns; print the best of each, the ratio, and how far the results are apart; return them."""
    times: list[list[float]] = [[], []]
    results: list[Tensor] = []
    for _ in range(repeats):
        for side, function in enumerate((ours, plain)):
            start = time.perf_counter()
            result = function()
            if result.is_cuda:
                torch.cuda.synchronize()
            times[side].append(time.perf_counter() - start)
            results = [*results, result][-2:]
    apart = (results[0] - results[1]).abs().max() / results[1].abs().max()
    fast, slow = min(times[0]), min(times[1])
    print(
        f"{what}: {fast:.2f} s against {slow:.2f} s: {slow / fast:.2f} times; largest difference {apart:.1e}",
        flush=True,
    )
    return results[0], results[1]


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("gating", "finetuning", "crops"))
    parser.add_argument("--scale", type=int, choices=(2, 4, 8), default=2)
    parser.add_argument("--side", type=int, default=64, help="side of the LR images")
    parser.add_argument("--images", type=int, default=None, help="default: 1 (gating), 16 (finetuning), 2 (crops)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--features", type=int, default=64, help="16 with --layers 6: the demo sizes")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--crop", type=int, default=64, help="side of the crops in LR pixels")
    parser.add_argument("--crops", type=int, default=4, help="crops an image")
    parser.add_argument("--weights", type=Path, help="a checkpoint of MoESR with a stage of this scale")
    parser.add_argument("--photographs", type=Path, help="crops: a folder of images to reduce; default: random images")
    parser.add_argument("--no-tiles", action="store_true", help="gating as on a CPU without AMX")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.no_tiles:
        amx.available = lambda: False
    scale = arguments.scale
    stage = MoESRStage(
        scale, arguments.features, arguments.layers, arguments.features, {2: 13, 4: 33, 8: 65}[scale], "matrix"
    )
    if arguments.weights:
        state = torch.load(arguments.weights, map_location="cpu", weights_only=True)["state_dict"]
        prefix = f"stage_networks.x{scale}."
        stage.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    stage.requires_grad_(False).to(arguments.device)
    experts = states(stage)
    count = arguments.images or {"gating": 1, "finetuning": 16, "crops": 2}[arguments.what]
    lr = quantise(
        F.interpolate(torch.rand(count, 3, arguments.side // 4, arguments.side // 4), scale_factor=4, mode="bicubic")
    ).to(arguments.device)
    size = f"x{scale}, {count} of {arguments.side}x{arguments.side}, {arguments.features} features, "
    size += arguments.device if arguments.device != "cpu" else f"{torch.get_num_threads()} threads"
    if arguments.what == "gating":
        alternate(
            lambda: gating_scores(stage.bank, stage.evaluator, lr),
            lambda: torch.stack([plain_scores(stage, experts, image[None]) for image in lr]),
            arguments.repeats,
            f"gating, {size}",
        )
        return
    if arguments.what == "crops":
        truth = None
        if arguments.photographs:
            lr, truth = reduced(stage, arguments.photographs, count, arguments.side)
        compare_crops(stage, lr, truth, arguments.crop, arguments.crops, arguments.repeats, size)
        return
    settings = FineTuning(steps=arguments.steps, crop=arguments.side)
    parameters = stage.random_parameters(0, torch.arange(count).to(arguments.device))
    alternate(
        lambda: fine_tune(stage, lr, parameters, settings),
        lambda: plain_tuning(stage, experts, lr, parameters, settings),
        arguments.repeats,
        f"fine-tuning for {arguments.steps} steps, {size}",
    )


if __name__ == "__main__":
    main()
