"""Compare our MoESR with the public implementation on the same random weights, its quirks switched on.

    python benchmarks/moesr_parity.py --upstream PATH_OF_A_CLONE_OF_memad73/MoESR

Weights go through files in the published layout, which both read. Its own pipeline runs: kernel estimation over 85
experts, then fine-tuning. Random experts are noise, so the last convolution of each is a tenth of what it would be:
images are of order one, as with trained weights, and 1e-5 means what it should. Learning rates are raised to 1e-3, so
that a step moves weights by far more than the difference allowed.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from moesr_upstream import configuration, load_upstream, on_cpu
from PIL import Image

from octosr.techniques.moesr.finetune import FineTuning, tune_stack
from octosr.techniques.moesr.gating import gating_scores
from octosr.techniques.moesr.module import MoESR
from octosr.techniques.moesr.official import network_to_official, to_official

SIDES = {2: (40, 36), 4: (48, 40)}
STEPS, RATE = 3, 1e-3


def build(scale: int, folder: Path, dtype: torch.dtype) -> MoESR:
    """A full-size MoESR with random weights, loaded from files in the published layout."""
    torch.manual_seed(scale)
    source = MoESR(name="moesr", stages=(scale,), kernel_code="angle", official_quirks=True)
    stage = source.stage(scale)
    with torch.no_grad():
        for number, weight in enumerate(stage.bank.weights):
            if number % stage.bank.layers == stage.bank.layers - 1:
                weight.mul_(10)
        stage.estimator.layers[-1].bias.copy_(torch.tensor([2.5, 1.6, 9.3]) * torch.tensor([scale, scale, 1.0]))
    torch.save(to_official(stage.bank), folder / "SR_networks_ensemble.pt")
    torch.save(network_to_official(stage.evaluator), folder / "ISE.pt")
    torch.save(network_to_official(stage.estimator), folder / "KEN.pt")
    ours = MoESR(name="moesr", stages=(scale,), official_quirks=True)
    print(ours.load_weights(sorted(folder.glob("*.pt"))))
    return ours.to(dtype)


def worst(name: str, ours: Any, theirs: Any) -> None:
    """Print the largest absolute difference, and how large the numbers are."""
    ours, theirs = (torch.as_tensor(np.asarray(value), dtype=torch.float64) for value in (ours, theirs))
    difference = (ours - theirs).abs().max().item()
    print(f"  {name:38s} {difference:.1e}  (values up to {theirs.abs().max().item():.3g})", flush=True)


def compare(clone: Path, scale: int, dtype: torch.dtype) -> None:
    """Print one line a part."""
    upstream = load_upstream(clone)
    with tempfile.TemporaryDirectory() as name, on_cpu(dtype):
        folder = Path(name)
        ours = build(scale, folder, dtype)
        stage = ours.stage(scale)
        picture = np.random.default_rng(0).integers(0, 256, (*(s // 4 for s in SIDES[scale]), 3), dtype=np.uint8)
        image = Image.fromarray(picture).resize(SIDES[scale][::-1], Image.Resampling.BICUBIC)
        image.save(folder / "image.png")
        lr = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(dtype) / 255
        crop = min(SIDES[scale]) // scale * scale
        theirs = upstream["MoESR"].MoESR(configuration(folder / "image.png", folder, scale, STEPS, crop, RATE))
        print(f"x{scale}, LR {SIDES[scale][0]}x{SIDES[scale][1]}")

        seen: list[torch.Tensor] = []
        estimator = upstream["networks"].KEN_Net
        forward = estimator.forward

        def watch(self: Any, scores: torch.Tensor) -> torch.Tensor:
            seen.append(scores.clone())
            return forward(self, scores)

        estimator.forward = watch
        theirs.estimate_kernel()
        estimator.forward = forward
        scores = gating_scores(stage.bank, stage.evaluator, lr)
        parameters = stage.estimator(scores)
        worst("85 scores, relative to the largest", scores / seen[0].max(), seen[0] / seen[0].max())
        worst("KEN: kernel parameters", parameters.detach(), theirs.ker_params[None])
        worst("blur kernel", stage.kernels(parameters)[0].detach(), upstream["util"].gen_kernel(
            theirs.ker_params, k_size=stage.kernel_size, scale_factor=scale))  # fmt: skip

        theirs.finetune_network()
        settings = FineTuning(steps=STEPS, crop=crop, max_rate=RATE, block=2, official_quirks=True)
        experts, symmetries = stage.grid.choose(parameters, official_quirks=True)
        start = stage.bank.turned_stack(experts, symmetries, official_quirks=True)
        stack = tune_stack(stage, start, lr, parameters.detach(), settings)
        networks = [theirs.U1] + ([theirs.U2] if scale == 4 else [])
        moved = [a - b for a, b in zip(stack.tensors(), start.tensors(), strict=True)]
        print(f"  fine-tuning of setting {int(stage.grid.nearest(parameters, True)[0])} moved weights by up to "
              f"{max(m.abs().max().item() for m in moved):.1e}")  # fmt: skip
        for level, network in enumerate(networks):
            convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
            mine = torch.cat([w[0].flatten() for w in stack.weights[level]])
            public = torch.cat([c.weight.flatten() for c in convs])
            worst(f"weights after {STEPS} steps, level {level + 1}", mine.detach(), public.detach())
        with torch.no_grad():
            expected = lr
            for network in networks:
                expected = network(expected)
            untuned = lr
            for level, network in enumerate(networks):
                convs = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
                for conv, weight, bias in zip(convs, start.weights[level], start.biases[level], strict=True):
                    conv.weight.copy_(weight[0])
                    conv.bias.copy_(bias[0])
                untuned = network(untuned)
            worst("HR image of the fine-tuned expert", stack.enlarge(lr[None])[-1][0], expected)
            worst("HR image of the untuned expert", start.enlarge(lr[None])[-1][0], untuned)
            ise = upstream["networks"].ISE_Net()
            ise.load_state_dict(network_to_official(stage.evaluator))
            enlarged = torch.nn.functional.interpolate(lr, scale_factor=scale, mode="bicubic")
            worst("ISE map", stage.evaluator(untuned, enlarged), ise(untuned, enlarged))


def main() -> None:
    """Both published scales."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--scale", type=int, choices=(2, 4), help="only this one")
    parser.add_argument("--double", action="store_true", help="both in 64-bit floats, where rounding decides nothing")
    arguments = parser.parse_args()
    for scale in (2, 4) if arguments.scale is None else (arguments.scale,):
        compare(arguments.upstream, scale, torch.float64 if arguments.double else torch.float32)


if __name__ == "__main__":
    main()
