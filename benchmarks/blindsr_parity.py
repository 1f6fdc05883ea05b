"""Compare our BlindSR with the public implementation on the same random weights, its quirks switched on.

    python benchmarks/blindsr_parity.py --upstream PATH_OF_A_CLONE_OF_sunreef/BlindSR

Weights go through files in the published layout, which both read. Convolutions are initialised so that signals keep
their size from layer to layer: with PyTorch's own initialisation they would fade, and 1e-5 would mean little.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from blindsr_parity_search import compare_search
from blindsr_upstream import load_upstream, on_cpu
from PIL import Image
from torch import Tensor, nn

from octosr.techniques.blindsr.kernels import KernelSpace
from octosr.techniques.blindsr.module import BlindSR
from octosr.techniques.blindsr.official import names, to_official

SIDE = (40, 36)


def build(folder: Path) -> BlindSR:
    """A BlindSR with random weights, loaded from files in the published layout."""
    # Weights for which the search begins at a kernel of several pixels: of one pixel, the gradient is rounding errors.
    torch.manual_seed(2)
    source = BlindSR(name="blindsr", official_quirks=True)
    stage = source.stage(2)
    with torch.no_grad():
        stage.generator.encoder.weight.mul_(10)
        for network in (stage.generator, stage.discriminator):
            for module in network.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu").mul_(0.5)
            network.last.weight.mul_(0.1)
    for name in ("generator", "discriminator"):
        torch.save(to_official(getattr(stage, name)), folder / f"{name}.pth")
    ours = BlindSR(name="blindsr", official_quirks=True)
    print(ours.load_weights(sorted(folder.glob("*.pth"))))
    return ours


def worst(name: str, ours: Any, theirs: Any) -> None:
    """Print the largest absolute difference, and how large the numbers are."""
    ours, theirs = (torch.as_tensor(np.asarray(value), dtype=torch.float64) for value in (ours, theirs))
    difference = (ours - theirs).abs().max().item()
    print(f"  {name:46s} {difference:.1e}  (values up to {theirs.abs().max().item():.3g})", flush=True)


def compare_kernels(upstream: dict[str, ModuleType]) -> None:
    """The kernel formula at all starts of the public search, degenerate ones included, and the reduction."""
    space, size = KernelSpace.published(), upstream["degradation"].KERNEL_SIZE
    sigmas = [0.001 + n * 4 / 6 for n in range(6)]
    starts = [(a, b, n * math.pi / 8) for a in sigmas for b in sigmas for n in range(4)]
    theirs = [upstream["degradation"].Degradation(size, theta, [a, b]).get_kernel() for a, b, theta in starts]
    worst("144 blur kernels", space.kernels(torch.tensor(starts)), torch.stack(theirs))
    hr = torch.rand(3, 54, 62)
    reduced = upstream["degradation"].Degradation(size, 0.4, [2.5, 0.9]).apply(hr)
    ours = space.degrade(hr[None], space.kernels(torch.tensor([[2.5, 0.9, 0.4]])))
    worst("reduced image", ours[0], reduced)


def compare_enlargement(ours: BlindSR) -> Tensor:
    """The second input of the generator; the 8-bit LR image itself is returned."""
    picture = np.random.default_rng(0).integers(0, 256, (SIDE[0] // 4, SIDE[1] // 4, 3), dtype=np.uint8)
    image = Image.fromarray(picture).resize(SIDE[::-1], Image.Resampling.BICUBIC)
    lr = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    theirs = np.array(image.resize((2 * SIDE[1], 2 * SIDE[0]), Image.Resampling.BICUBIC))
    off = (ours.stage(2).enlarge(lr)[0].permute(1, 2, 0).mul(255).round().numpy() - theirs).astype(int)
    print(f"  bicubic enlargement: {np.abs(off).max()} levels of 255 off at most, at {(off != 0).mean():.2%} of values")
    return lr


def compare_networks(ours: BlindSR, upstream: dict[str, ModuleType], folder: Path, lr: Tensor) -> None:
    """Both networks forward, and backward to every weight and to the kernel's parameters."""
    stage = ours.stage(2)
    generator, discriminator = upstream["model"].Generator(), upstream["model"].Discriminator()
    generator.load_state_dict(torch.load(folder / "generator.pth")["generator_state_dict"])
    discriminator.load_state_dict(torch.load(folder / "discriminator.pth")["discriminator_state_dict"])
    enlarged = stage.enlarge(lr)

    sigma, theta = torch.tensor([2.3, 1.2], requires_grad=True), torch.tensor(0.7, requires_grad=True)
    blur = upstream["degradation"].Degradation()
    blur.set_parameters(sigma, theta)
    sr, seen = generator(lr, enlarged, blur.get_features()[None])
    error = discriminator(lr, seen["final_feature_maps"], seen["degradation_map"])
    (error.abs().mean() + sr.square().mean()).backward()

    parameters = torch.tensor([[2.3, 1.2, 0.7]], requires_grad=True)
    made = stage.generator(lr, enlarged, stage.encode(parameters))
    found = stage.discriminator(lr, made.features, made.codes)
    (found.abs().mean() + made.sr.square().mean()).backward()

    worst("generator: image", made.sr.detach(), sr.detach())
    worst("generator: features", made.features.detach(), seen["final_feature_maps"].detach())
    worst("generator: code map", made.codes.detach(), seen["degradation_map"].detach())
    worst("discriminator: error", found.detach(), error.detach())
    theirs = torch.cat([torch.atleast_1d(torch.as_tensor(value.grad)) for value in (sigma, theta)])
    worst("gradient by sigma_1, sigma_2, theta", parameters.grad, theirs[None])
    for label, mine, public in (
        ("generator", stage.generator, generator),
        ("discriminator", stage.discriminator, discriminator),
    ):
        own, other, table = dict(mine.named_parameters()), dict(public.named_parameters()), names(mine)
        gradients = [(own[table[name]].grad, value.grad) for name, value in other.items()]
        worst(
            f"{label}: gradients by {len(gradients)} weights",
            torch.cat([a.flatten() for a, _ in gradients if a is not None]),
            torch.cat([b.flatten() for _, b in gradients]),
        )


def main() -> None:
    """Everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True)
    upstream = load_upstream(parser.parse_args().upstream)
    with tempfile.TemporaryDirectory() as name, on_cpu():
        folder = Path(name)
        ours = build(folder)
        compare_kernels(upstream)
        lr = compare_enlargement(ours)
        compare_networks(ours, upstream, folder, lr)
        compare_search(ours.stage(2), folder, worst)


if __name__ == "__main__":
    main()
