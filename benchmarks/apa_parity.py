"""Compare our StyleGAN2 and its losses with the public APA implementation on the same random weights, on the CPU.

    python benchmarks/apa_parity.py --upstream PATH_OF_A_CLONE_OF_EndlessSora/DeceiveD

Random weights include noise strengths, biases and the average of w, which begin at zero. Differences are relative: the
largest absolute one divided by the largest absolute value of what is compared, for gradients over all parameters of a
network together. Parameters are compared under their public names.

In float32 two implementations differ by rounding, which leaky ReLUs may turn into another slope; float64 tells that
from a difference in what is computed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from apa_upstream import build_upstream, set_precision
from torch import Tensor, nn

from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.layout import copy_public, discriminator_layout, generator_layout
from octosr.techniques.apa.losses import logistic, path_lengths, path_penalty, r1_penalty
from octosr.techniques.apa.synthesis import Generator

GROUP = 4


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def relative_gradients(ours: Mapping[str, Tensor], theirs: nn.Module) -> float:
    """The same over the gradients of all parameters; a parameter without gradient on both sides is left out."""
    pairs = [(ours[name], parameter) for name, parameter in theirs.named_parameters()]
    assert all((a.grad is None) == (b.grad is None) for a, b in pairs)
    found = [(a.grad.flatten(), b.grad.flatten()) for a, b in pairs if a.grad is not None and b.grad is not None]
    return relative(torch.cat([a for a, _ in found]), torch.cat([b for _, b in found]))


class Case:
    """Both implementations with the same weights."""

    def __init__(self, clone: Path, resolution: int, width: float, layers: int, dtype: torch.dtype) -> None:
        torch.manual_seed(resolution)
        self.generator, self.discriminator = build_upstream(clone, resolution, width, layers, GROUP)
        with torch.no_grad():
            for name, value in (*self.generator.named_parameters(), *self.discriminator.named_parameters()):
                if name.endswith(("noise_strength", ".bias")):
                    value.add_(0.3 * torch.randn_like(value))
            self.generator.get_buffer("mapping.w_avg").normal_()
        self.ours_g = Generator(resolution, width, layers)
        self.ours_d = Discriminator(resolution, width, GROUP)
        memory = Path("memory")
        self.names_g, self.names_d = generator_layout(self.ours_g), discriminator_layout(self.ours_d)
        copy_public(self.names_g, self.generator.state_dict(), "generator", memory)
        copy_public(self.names_d, self.discriminator.state_dict(), "discriminator", memory)
        for network in (self.ours_g, self.ours_d):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for network in (self.generator, self.discriminator, self.ours_g, self.ours_d):
            network.to(dtype)
        set_precision(dtype)
        self.z = torch.from_numpy(np.random.RandomState(1).randn(4, 512)).to(dtype)
        self.images = torch.rand(4, 3, resolution, resolution, dtype=dtype) * 2 - 1

    def clear(self) -> None:
        """Drop all gradients."""
        for network in (self.generator, self.discriminator, self.ours_g, self.ours_d):
            network.zero_grad(set_to_none=True)

    def synthesis(self) -> dict[str, float]:
        """Images of truncated latents; then the generator's loss and its gradients, through both networks."""
        self.clear()
        # Their module changes the average of w as it runs in training mode, so the truncated images are compared first.
        with torch.no_grad():
            self.generator.eval()
            theirs = self.generator(self.z, None, truncation_psi=0.7, noise_mode="const")
            images = relative(self.ours_g(self.z, psi=0.7), theirs)
            self.generator.train()
        fake = self.generator(self.z, None, noise_mode="const")
        loss = nn.functional.softplus(-self.discriminator(fake, None)).mean()
        loss.backward()
        ours = logistic(self.ours_d(self.ours_g(self.z)), real=True).mean()
        ours.backward()
        return {
            "images": images,
            "G loss": relative(ours, loss),
            "its gradient to G": relative_gradients(self.names_g, self.generator),
            "and to D": relative_gradients(self.names_d, self.discriminator),
        }

    def r1(self) -> dict[str, float]:
        """Scores, R1 penalties and their gradients."""
        self.clear()
        theirs = self.images.clone().requires_grad_()
        scores = self.discriminator(theirs, None)
        (gradient,) = torch.autograd.grad(scores.sum(), theirs, create_graph=True)
        penalty = gradient.square().sum((1, 2, 3))
        penalty.mean().backward()
        images = self.images.clone().requires_grad_()
        our_scores = self.ours_d(images)
        ours = r1_penalty(our_scores, images)
        ours.mean().backward()
        return {
            "scores": relative(our_scores, scores[:, 0]),
            "R1": relative(ours, penalty),
            "its gradient": relative_gradients(self.names_d, self.discriminator),
        }

    def path_length(self) -> dict[str, float]:
        """Path lengths and the gradients of the penalty, from a moving average of half the lengths' mean."""
        self.clear()
        direction = torch.randn_like(self.images[:2])
        ws = self.generator.mapping(self.z[:2], None)
        images = self.generator.synthesis(ws, noise_mode="const")
        (gradient,) = torch.autograd.grad((images * direction).sum() / images.shape[-1], ws, create_graph=True)
        lengths = gradient.square().sum(2).mean(1).sqrt()
        before = lengths.mean().detach() / 2
        (lengths - before.lerp(lengths.mean(), 0.01)).square().mean().backward()
        our_ws = self.ours_g.styles(self.z[:2])
        ours = path_lengths(self.ours_g.synthesis(our_ws), our_ws, direction)
        mean = ours.mean().detach()
        path_penalty(ours, mean, before.lerp(mean, 0.01), 0.01).backward()
        return {
            "lengths": relative(ours, lengths),
            "their penalty's gradient": relative_gradients(self.names_g, self.generator),
        }


def main() -> None:
    """Print one line a comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64, 256])
    args = parser.parse_args()
    for resolution in args.resolutions:
        for width, layers in ((0.5, 2), (1.0, 8)):
            for dtype in (torch.float32, torch.float64):
                case = Case(args.upstream, resolution, width, layers, dtype)
                checks: tuple[Callable[[], dict[str, float]], ...] = (case.synthesis, case.r1, case.path_length)
                found = {name: value for check in checks for name, value in check().items()}
                line = ", ".join(f"{name} {value:.1e}" for name, value in found.items())
                kind = str(dtype).removeprefix("torch.")
                print(f"{resolution} px, width {width}, {layers} mapping layers, {kind}: {line}", flush=True)


if __name__ == "__main__":
    main()
