"""Time the four phases of an iteration of APA against StyleGAN2 in its straight form, with the same weights and inputs.

    python benchmarks/apa_train_step.py

A phase is forward, backward and Adam. An iteration has a Gmain and a Dmain, a Greg every 4th and a Dreg every 16th;
``iteration`` is their sum weighted so. The implementations take turns, and the median of the ratios of each round is
taken. On a machine that others use too, ``--threads 1 --cpu-time`` counts the processor's seconds instead of the
clock's.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from apa_plain import PlainScore, PlainSynthesis
from torch import Tensor

from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.losses import logistic, path_lengths, r1_penalty
from octosr.techniques.apa.presets import preset
from octosr.techniques.apa.synthesis import Generator

FORMS = ("scaled", "grouped", "channels_last", "direct")
SHARES = {"Gmain": 1.0, "Greg": 1 / 4, "Dmain": 1.0, "Dreg": 1 / 16}


class Implementation:
    """One form of both networks, with parameters and optimisers of its own.

    Args:
        generator: copied.
        discriminator: copied.
        form: ``ours``, ``ours, winograd=false``, or ``scaled`` or ``grouped`` for the straight forms.
        layout: of the weights, and so of the maps.
    """

    def __init__(
        self, generator: Generator, discriminator: Discriminator, form: str, layout: torch.memory_format
    ) -> None:
        self.generator, self.discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
        for network in (self.generator, self.discriminator):
            network.to(memory_format=layout)  # type: ignore[call-overload]
        ours = form.startswith("ours")
        # The regularisers differentiate twice; the main phases do not, and may use other convolutions.
        self.synthesis: Callable[[Tensor, Tensor], Tensor] = self.generator.synthesis
        self.score: Callable[[Tensor], Tensor] = self.discriminator
        if not ours:
            self.synthesis = PlainSynthesis(self.generator.synthesis, form == "grouped")
            self.score = PlainScore(self.discriminator)
        self.main_synthesis, self.main_score = self.synthesis, self.score
        if form == "ours":
            self.main_synthesis = partial(self.generator.synthesis, once=True)
            self.main_score = partial(self.discriminator, once=True)
        fused = True if ours else None
        self.optimizers = {
            "G": torch.optim.Adam(self.generator.parameters(), lr=1e-4, betas=(0.0, 0.99), fused=fused),
            "D": torch.optim.Adam(self.discriminator.parameters(), lr=1e-4, betas=(0.0, 0.99), fused=fused),
        }

    def phase(self, name: str, z: Tensor, noise: Tensor, real: Tensor, direction: Tensor) -> float:
        """One phase; the loss of the first of them."""
        self.generator.requires_grad_(name[0] == "G")
        self.discriminator.requires_grad_(name[0] == "D")
        loss = getattr(self, f"_{name.lower()}")(z, noise, real, direction)
        self.optimizers[name[0]].step()
        self.optimizers[name[0]].zero_grad(set_to_none=True)
        return float(loss.detach())

    def _gmain(self, z: Tensor, noise: Tensor, real: Tensor, direction: Tensor) -> Tensor:
        loss = logistic(self.main_score(self.main_synthesis(self.generator.styles(z), noise)), real=True).mean()
        loss.backward()
        return loss

    def _greg(self, z: Tensor, noise: Tensor, real: Tensor, direction: Tensor) -> Tensor:
        half = max(len(z) // 2, 1)
        ws = self.generator.styles(z[:half])
        lengths = path_lengths(self.synthesis(ws, noise[:half]), ws, direction[:half])
        loss = (lengths - 0.5).square().mean()
        loss.backward()
        return loss

    def _dmain(self, z: Tensor, noise: Tensor, real: Tensor, direction: Tensor) -> Tensor:
        with torch.no_grad():
            images = self.main_synthesis(self.generator.styles(z), noise)
        fake = logistic(self.main_score(images), real=False).mean()
        fake.backward()
        loss = logistic(self.main_score(real), real=True).mean()
        loss.backward()
        return loss + fake.detach()

    def _dreg(self, z: Tensor, noise: Tensor, real: Tensor, direction: Tensor) -> Tensor:
        images = real.detach().requires_grad_()
        loss = r1_penalty(self.score(images), images).mean()
        loss.backward()
        return loss


def compare(resolution: int, batch: int, repeats: int, names: list[str], clock: Callable[[], float]) -> None:
    """Print a line a phase and implementation."""
    torch.manual_seed(0)
    sizes = preset("auto", resolution, batch)
    generator = Generator(resolution, sizes.width, sizes.mapping_layers)
    discriminator = Discriminator(resolution, sizes.width, min(sizes.group, batch))
    forms = {
        "ours": ("ours", torch.contiguous_format),
        "ours, hardware.channels_last": ("ours", torch.channels_last),
        "ours, winograd=false": ("ours, winograd=false", torch.contiguous_format),
        "straight, scaled": ("scaled", torch.contiguous_format),
        "straight, grouped": ("grouped", torch.contiguous_format),
    }
    built = {name: Implementation(generator, discriminator, *forms[name]) for name in names}
    inputs = (
        torch.randn(batch, 512), torch.randn(batch, generator.synthesis.noise_numbers),
        torch.rand(batch, 3, resolution, resolution) * 2 - 1, torch.randn(batch, 3, resolution, resolution),
    )  # fmt: skip
    spent: dict[tuple[str, str], list[float]] = {(name, phase): [] for name in names for phase in SHARES}
    for repeat in range(repeats + 1):  # the first round warms up, and shows that all compute the same
        for phase in SHARES:
            for name, implementation in built.items():
                start = clock()
                loss = implementation.phase(phase, *inputs)
                if repeat:
                    spent[name, phase].append(clock() - start)
                else:
                    print(f"{phase} {name:26} first loss {loss:.6g}", flush=True)
    for name in names:
        whole = [sum(SHARES[phase] * spent[name, phase][i] for phase in SHARES) for i in range(repeats)]
        for phase, times in [*((phase, spent[name, phase]) for phase in SHARES), ("iteration", whole)]:
            ours = [sum(SHARES[p] * spent["ours", p][i] for p in SHARES) for i in range(repeats)]
            ours = ours if phase == "iteration" else spent["ours", phase]
            ratio = median(a / b for a, b in zip(times, ours, strict=True))
            print(f"{resolution} px, batch {batch} | {name:26} | {phase:9} {median(times):7.2f} s | {ratio:5.2f}x ours")


def main() -> None:
    """Compare the forms asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=["scaled", "grouped"], help=f"of {FORMS}")
    parser.add_argument("--cpu-time", action="store_true", help="seconds of processor time instead of wall time")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    names = {"scaled": "straight, scaled", "grouped": "straight, grouped"}
    names |= {"channels_last": "ours, hardware.channels_last", "direct": "ours, winograd=false"}
    clock = time.process_time if args.cpu_time else time.perf_counter
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {args.threads} threads")
    compare(args.resolution, args.batch, args.repeats, ["ours", *(names[form] for form in args.forms)], clock)


if __name__ == "__main__":
    main()
