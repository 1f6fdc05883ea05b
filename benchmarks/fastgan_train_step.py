"""Time an iteration of FastGAN against its straight form, with the same weights, inputs and random numbers.

    python benchmarks/fastgan_train_step.py                       # 256 pixels, batch 4, reconstruction by l1
    python benchmarks/fastgan_train_step.py --reconstruction lpips

The straight form enlarges before it convolves, uses torch's spectral norm, index grids for shifts, gradients for all
parameters in the generator's step, three calls of LPIPS, Adam and the moving average one parameter at a time, and the
public code's order of work (``fastgan_plain.py``). LPIPS has a random backbone here: the work is the same. The forms
take turns, and the median of the ratios of each round is taken. On a machine that others use too, ``--cpu-time`` counts
the processor's seconds instead of the clock's.
"""

from __future__ import annotations

import argparse
import copy
import time
from statistics import median

import torch
import torch.nn.functional as F
from fastgan_plain import PlainDiscriminator, PlainGenerator, plain_translation
from torch import Tensor, nn
from torchmetrics.functional.image.lpips import _LPIPS

from octosr.nn.average import average_weights
from octosr.techniques.fastgan import augment as augmentation
from octosr.techniques.fastgan.discriminator import Discriminator, crop_quadrant
from octosr.techniques.fastgan.generator import Generator
from octosr.techniques.fastgan.layers import follow_spectra
from octosr.techniques.fastgan.losses import hinge
from octosr.techniques.fastgan.reconstruction import AbsoluteDifference, Perceptual, reconstruction_targets


def inputs(generator: Generator, batch: int) -> dict[str, Tensor | list[Tensor]]:
    """All random numbers of an iteration, on the generator's device."""
    side, where = generator.resolution, generator.start.weight.device
    return {
        "real": torch.rand(batch, 3, side, side, device=where) * 2 - 1,
        "z": torch.randn(batch, generator.latent, device=where),
        "noise": [torch.randn(batch, 1, s, s, device=where) for s in generator.noise_sides],
        "augment": torch.rand(3, batch, augmentation.NUMBERS, device=where),
        "margins": torch.rand(2, batch, 50, device=where),
    }


class Ours:
    """The technique's iteration."""

    def __init__(
        self, generator: Generator, discriminator: Discriminator, lpips: nn.Module | None, layout: torch.memory_format
    ) -> None:
        self.generator = copy.deepcopy(generator).to(memory_format=layout)  # type: ignore[call-overload]
        self.discriminator = copy.deepcopy(discriminator).to(memory_format=layout)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator)
        self.difference = AbsoluteDifference() if lpips is None else Perceptual(copy.deepcopy(lpips))
        adam = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
        self.optimizers = [torch.optim.Adam(n.parameters(), **adam) for n in (self.generator, self.discriminator)]

    def step(self, given: dict, quadrant: int) -> tuple[float, float]:
        """Losses of discriminator (with reconstruction) and generator."""
        follow_spectra(self.generator)
        self.discriminator.requires_grad_(True)
        numbers, margins = given["augment"], given["margins"]
        pair = [
            augmentation.augment(x, n)
            for x, n in zip(self.generator(given["z"], given["noise"]), numbers, strict=False)
        ]
        big = augmentation.augment(given["real"], numbers[2])
        follow_spectra(self.discriminator)
        logits, made = self.discriminator(big, F.interpolate(big, size=128), quadrant)
        loss = hinge(logits, margins[0], real=True)
        loss = loss + self.difference(made, reconstruction_targets(big, quadrant, 128)).sum()
        loss.backward()
        follow_spectra(self.discriminator)
        fake = hinge(self.discriminator(*(x.detach() for x in pair))[0], margins[1], real=False)
        fake.backward()
        self._update(1)
        self.discriminator.requires_grad_(False)
        follow_spectra(self.discriminator)
        loss_g = -self.discriminator(*pair)[0].mean()
        loss_g.backward()
        self._update(0)
        average_weights(self.average, self.generator, 0.999)
        return float(loss.detach() + fake.detach()), float(loss_g.detach())

    def _update(self, number: int) -> None:
        self.optimizers[number].step()
        self.optimizers[number].zero_grad(set_to_none=True)


class Straight:
    """The same without any rewrite, in the public code's order."""

    def __init__(self, generator: Generator, discriminator: Discriminator, lpips: nn.Module | None) -> None:
        self.generator, self.discriminator = PlainGenerator(generator), PlainDiscriminator(discriminator)
        self.average = [p.detach().clone() for p in self.generator.parameters()]
        self.lpips = lpips
        adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
        self.optimizers = [torch.optim.Adam(n.parameters(), **adam) for n in (self.generator, self.discriminator)]

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        if self.lpips is None:
            return (a - b).abs().mean((1, 2, 3)).sum()
        total = torch.zeros((), device=a.device)
        one, two = (self.lpips.net(self.lpips.scaling_layer(x)) for x in (a, b))  # type: ignore[operator]
        for head, x, y in zip(self.lpips.lins, one, two, strict=True):  # type: ignore[call-overload]
            x, y = (f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10) for f in (x, y))
            total = total + head((x - y).square()).mean((2, 3)).sum()
        return total

    def step(self, given: dict, quadrant: int) -> tuple[float, float]:
        """As :meth:`Ours.step`."""
        numbers, margins = given["augment"], given["margins"]
        shift = augmentation.translate
        augmentation.translate = plain_translation
        try:
            pair = [
                augmentation.augment(x, n)
                for x, n in zip(self.generator(given["z"], given["noise"]), numbers, strict=False)
            ]
            big = augmentation.augment(given["real"], numbers[2])
            self.discriminator.zero_grad()
            side = self.discriminator.resolution
            logits, made = self.discriminator(F.interpolate(big, size=side), F.interpolate(big, size=128), quadrant)
            assert made is not None
            loss = hinge(logits, margins[0], real=True)
            for image, target in zip(made, (big, big, crop_quadrant(big, quadrant)), strict=True):
                loss = loss + self._distance(image, F.interpolate(target, size=128))
            loss.backward()
            fake = hinge(self.discriminator(*(x.detach() for x in pair))[0], margins[1], real=False)
            fake.backward()
            self.optimizers[1].step()
            self.generator.zero_grad()
            loss_g = -self.discriminator(*pair)[0].mean()
            loss_g.backward()
            self.optimizers[0].step()
        finally:
            augmentation.translate = shift
        for parameter, average in zip(self.generator.parameters(), self.average, strict=True):
            average.mul_(0.999).add_(0.001 * parameter.data)
        return float(loss.detach() + fake.detach()), float(loss_g.detach())


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reconstruction", choices=("l1", "lpips"), default="l1")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of processor time instead of wall time")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    clock = time.process_time if args.cpu_time else time.perf_counter
    generator, discriminator = Generator(256), Discriminator(256)
    lpips = (
        _LPIPS(pretrained=True, net="vgg", pnet_rand=True).requires_grad_(False).eval()
        if args.reconstruction == "lpips"
        else None
    )
    forms = {
        "straight": Straight(generator, discriminator, lpips),
        "ours": Ours(generator, discriminator, lpips, torch.contiguous_format),
        "ours, hardware.channels_last": Ours(generator, discriminator, lpips, torch.channels_last),
    }
    spent: dict[str, list[float]] = {name: [] for name in forms}
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {args.threads} threads, "
        f"{args.reconstruction}"
    )
    for repeat in range(args.repeats + 1):  # the first round warms up, and shows that all compute the same
        given = inputs(generator, args.batch)
        for name, form in forms.items():
            start = clock()
            losses = form.step(given, repeat % 4)
            if repeat:
                spent[name].append(clock() - start)
            print(
                f"round {repeat} {name:26} loss_d {losses[0]:.6f} loss_g {losses[1]:.6f} {clock() - start:.2f} s",
                flush=True,
            )
    for name, times in spent.items():
        ratio = median(a / b for a, b in zip(spent["straight"], times, strict=True))
        print(f"256 px, batch {args.batch} | {name:26} | {median(times):6.2f} s | {ratio:.2f}x faster than straight")


if __name__ == "__main__":
    main()
