"""Compare our FastGAN with the public implementation on the same random weights, forward and backward, on the CPU.

    python benchmarks/fastgan_parity.py --upstream CLONE

The clone has to be of a fork with the code as first published (say kecol/FastGAN-pytorch): the original repository is
empty now. Nothing of it is part of OctoSR (its licence is the GPL). Its draws are replaced by ours while it runs: noise
by given maps, the quadrant by a given one. Noise strengths, which begin at zero, are random. Differences are relative:
the largest absolute one over the largest absolute value, for gradients over all parameters of a network together.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from octosr.techniques.fastgan.augment import augment
from octosr.techniques.fastgan.discriminator import Discriminator
from octosr.techniques.fastgan.generator import Generator
from octosr.techniques.fastgan.layers import follow_spectra
from octosr.techniques.fastgan.official import copy_published, discriminator_layout, generator_layout

BATCH = 2


def load(clone: Path, name: str) -> ModuleType:
    """Import a module of the clone."""
    if not (clone / f"{name}.py").is_file():
        raise SystemExit(f"{clone} has no {name}.py: --upstream must be a clone of FastGAN's code.")
    if str(clone) not in sys.path:
        sys.path.insert(0, str(clone))
    return importlib.import_module(name)


@contextmanager
def given(function: str, values: Sequence[Any]) -> Iterator[None]:
    """Let a function return given values, one a call; all have to be asked for."""
    with patch(function, side_effect=list(values)) as mock:
        yield
    assert mock.call_count == len(values), f"{function} was called {mock.call_count} times, not {len(values)}"


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def gradients(layout: list[tuple[str, Tensor]], theirs: nn.Module) -> float:
    """Relative difference over the gradients of all parameters."""
    known = dict(theirs.named_parameters())
    pairs = [(ours.grad, known[name].grad) for name, ours in layout if isinstance(ours, nn.Parameter)]
    assert len(pairs) == len(known)
    assert all((a is None) == (b is None) for a, b in pairs)
    found = [(a.flatten(), b.flatten()) for a, b in pairs if a is not None and b is not None]
    return relative(torch.cat([a for a, _ in found]), torch.cat([b for _, b in found]))


def weigh(tensors: Sequence[Tensor]) -> Tensor:
    """A number that depends on every value."""
    return torch.stack([(x * torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)).sum() for x in tensors]).sum()


def compare(clone: Path, resolution: int, dtype: torch.dtype) -> None:
    """Print a line for each part."""
    models = load(clone, "models")
    torch.manual_seed(0)
    theirs_g = models.Generator(nz=256, im_size=resolution).to(dtype)
    theirs_d = models.Discriminator(im_size=resolution).to(dtype)
    for network in (theirs_g, theirs_d):
        network.apply(models.weights_init)
    with torch.no_grad():
        for parameter in theirs_g.parameters():
            if parameter.shape == (1,):
                parameter.normal_()
    ours_g, ours_d = Generator(resolution, quirks=True).to(dtype), Discriminator(resolution).to(dtype)
    layout_g, layout_d = generator_layout(ours_g), discriminator_layout(ours_d)
    copy_published(layout_g, theirs_g.state_dict(), "generator", clone)
    copy_published(layout_d, theirs_d.state_dict(), "discriminator", clone)

    def say(what: str, value: float) -> None:
        print(f"{resolution:5} {str(dtype)[6:]:8} {what:42} {value:.1e}", flush=True)

    z = torch.randn(BATCH, 256, dtype=dtype)
    noise = [torch.randn(BATCH, 1, s, s, dtype=dtype) for s in ours_g.noise_sides]
    with given("torch.randn", noise):
        expected = theirs_g(z)
    follow_spectra(ours_g)
    pair = ours_g(z, noise)
    say("generator, large image", relative(pair[0], expected[0]))
    say("generator, small image", relative(pair[1], expected[1]))
    weigh(expected).backward(retain_graph=True)
    weigh(pair).backward(retain_graph=True)
    say("generator, gradients", gradients(layout_g, theirs_g))
    real = torch.rand(BATCH, 3, resolution, resolution, dtype=dtype) * 2 - 1
    images = [real, nn.functional.interpolate(real, size=128)]
    for quadrant in range(4 if resolution == 256 else 1):
        with given("random.randint", [quadrant]):
            scores, drawn, _ = theirs_d(real, "real")
        follow_spectra(ours_d)
        logits, made = ours_d(*images, quadrant)
        assert made is not None
        flat = torch.cat((logits[:, :25].flatten(), logits[:, 25:].flatten()))
        say(f"discriminator, scores (quadrant {quadrant})", relative(flat, scores))
        say("discriminator, three reconstructions", max(relative(a, b) for a, b in zip(made, drawn, strict=True)))
        theirs_d.zero_grad()
        ours_d.zero_grad()
        weigh([scores, *drawn]).backward()
        weigh([flat, *made]).backward()
        say("discriminator, gradients", gradients(layout_d, theirs_d))
    theirs_g.zero_grad()
    ours_g.zero_grad()
    scores = theirs_d(list(expected), "fake")
    ours_d.requires_grad_(False)
    follow_spectra(ours_d)
    logits, _ = ours_d(*pair)
    scores.mean().backward()
    logits.mean().backward()
    say("generator, gradients through the scores", gradients(layout_g, theirs_g))


def compare_augmentation(clone: Path, dtype: torch.dtype) -> None:
    """DiffAugment with the same numbers."""
    public: Callable[..., Tensor] = load(clone, "diffaug").DiffAugment
    torch.manual_seed(1)
    images, numbers = torch.rand(4, 3, 64, 64, dtype=dtype) * 2 - 1, torch.rand(4, 5, dtype=dtype)
    offsets = [((numbers[:, i] * 17).floor().long() - 8).view(4, 1, 1) for i in (3, 4)]
    colours = [numbers[:, i].view(4, 1, 1, 1) for i in range(3)]
    with given("torch.rand", colours), given("torch.randint", offsets):
        expected = public(images, policy="color,translation")
    print(f"      {str(dtype)[6:]:8} {'DiffAugment':42} {relative(augment(images, numbers), expected):.1e}")


def main() -> None:
    """Compare at the resolutions asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", type=Path, required=True)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--float64", action="store_true")
    args = parser.parse_args()
    dtype = torch.float64 if args.float64 else torch.float32
    compare_augmentation(args.upstream, dtype)
    for resolution in args.resolutions:
        compare(args.upstream, resolution, dtype)


if __name__ == "__main__":
    main()
