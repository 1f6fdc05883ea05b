"""APA, adaptive pseudo augmentation: StyleGAN2 for small datasets, deceived on purpose.

L. Jiang, B. Dai, W. Wu, C. C. Loy, "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data",
NeurIPS 2021 (the method); T. Karras et al., CVPR 2020 (StyleGAN2) and NeurIPS 2020 (its settings, and the augmentation
that may be added).

How it works
------------
A generator makes images from random numbers: a mapping network turns a latent z into w, and w says, layer by layer,
how strongly each channel of a growing stack of feature maps counts. A discriminator scores images. It learns to score
those of the dataset above those that are generated, and the generator learns to make images that score high. With a
hundred images to learn from the discriminator soon knows each of them by heart: its scores of real images are all
positive, and what it tells the generator is no longer about images in general. APA watches for that. The mean sign of
the scores of what it calls real, lambda, should be no more than a target of 0.6. While it is more, generated images take
the place of real ones more and more often, and the discriminator is told that they are real. It is wrong about these
whatever it does, and so it cannot be sure. While lambda is less, they do so less often. The probability p changes by
4 * batch / (1000 * apa_kimg) every 4 iterations, up or down, and stays between 0 and ``apa_most``. It is the only thing
that APA adds, at the cost of one comparison an image.

An iteration has four phases, each with latents of its own and a step of Adam:

1. Gmain: the generator learns to be taken for real. Its images, of the weights before this step, are kept: they are the
   pseudo samples of this iteration, each in the place of a real image of the same micro-batch.
2. Greg, every 4th iteration, on half of the images: equal steps in w should move images equally far.
3. Dmain: the discriminator learns to tell generated images from real ones, pseudo samples among the latter.
4. Dreg, every 16th iteration: R1, the discriminator should be flat around what is called real (drawn anew).

Then the moving average of the generator is brought up to date, which is what :meth:`APA.generate` uses, and p is. An
iteration depends on nothing but the weights, p and the counters, all of them in the checkpoint, and on random numbers
that are a function of (seed, image, purpose): so a resumed run is the run that was never stopped, to the bit on a CPU,
and several processes do what one does that goes through the same batch in as many micro-batches.

What differs from the public code: p has an upper bound; each micro-batch has its own pseudo samples; the average of w
and of the path lengths move once a phase, with the mean over micro-batches and processes; style mixing changes over at
the same layer in all of them. Everything else is the same up to rounding (``benchmarks/apa_parity.py``).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from octosr.errors import ConfigError
from octosr.techniques.apa.augment import Augmentation
from octosr.techniques.apa.controller import PseudoAugmentation
from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.draws import Draws, style_cut
from octosr.techniques.apa.losses import path_penalty
from octosr.techniques.apa.mapping import LATENT
from octosr.techniques.apa.official import is_official, load_official
from octosr.techniques.apa.phases import Network, Part, Phases
from octosr.techniques.apa.presets import PUBLISHED_KIMG, average_decay, lazy_adam, preset
from octosr.techniques.apa.synthesis import Generator
from octosr.techniques.base import GenerativeTechnique
from octosr.techniques.generative import average_weights
from octosr.techniques.weights import read_weight_file

log = logging.getLogger(__name__)

BETAS = (0.0, 0.99)
PATH_DECAY = 0.01


class APA(GenerativeTechnique):
    """StyleGAN2 with adaptive pseudo augmentation; see the module's text.

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        cfg: the public code's settings of this name, see :mod:`~octosr.techniques.apa.presets`; those below that are
            None are taken from there.
        width: factor on feature maps.
        mapping_layers: layers of the mapping network.
        latent: length of z and w.
        group: images whose spread the discriminator compares.
        learning_rate: of Adam, for both networks.
        r1_gamma: weight of R1.
        ema_kimg: half-life of the generator's moving average, in thousands of images.
        path_weight: weight of the regularisation of path lengths; 0 leaves it out.
        g_interval: iterations between two steps of it.
        d_interval: iterations between two steps of R1.
        mixing: probability of style mixing.
        apa_target: lambda at which p stays; None: p stays at ``apa_start``.
        apa_kimg: thousands of images in which p would go from 0 to 1.
        apa_interval: iterations between two changes of p.
        apa_start: the first p.
        apa_most: upper bound of p.
        augment: ``none``, ``bgc`` (ADA's augmentation with the same p) or ``bgc_upright`` (that without rotations).
        psi: truncation when images are generated; 1: none.
        channels_last: hold feature maps with the channels of a pixel side by side: on CPUs the convolutions are up to
            three times as fast.
        settings: ``resolution``, ``kimg``, ``enlarge``, ``flip``, ``batch_gpu`` and ``seed`` of
            :class:`~octosr.techniques.base.GenerativeTechnique`.

    Raises:
        ConfigError: a value is out of range.
    """

    run_settings: ClassVar[tuple[str, ...]] = (*GenerativeTechnique.run_settings, "psi", "batch_gpu", "channels_last")
    path_average: Tensor
    iterations: Tensor

    def __init__(
        self,
        name: str = "apa",
        *,
        cfg: str = "auto",
        width: float | None = None,
        mapping_layers: int | None = None,
        latent: int = LATENT,
        group: int | None = None,
        learning_rate: float | None = None,
        r1_gamma: float | None = None,
        ema_kimg: float | None = None,
        path_weight: float = 2.0,
        g_interval: int = 4,
        d_interval: int = 16,
        mixing: float = 0.9,
        apa_target: float | None = 0.6,
        apa_kimg: float = 500.0,
        apa_interval: int = 4,
        apa_start: float = 0.0,
        apa_most: float = 1.0,
        augment: str = "none",
        psi: float = 1.0,
        channels_last: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        side = self.resolution
        if side < 8 or side & (side - 1):
            raise ConfigError(f"technique.resolution of {name} must be a power of two from 8 on, but is {side}.")
        if min(g_interval, d_interval) < 1 or path_weight < 0 or not 0 <= mixing <= 1:
            raise ConfigError(
                "technique.g_interval and d_interval must be 1 or more, path_weight 0 or more and mixing from 0 to 1, "
                f"but they are {g_interval}, {d_interval}, {path_weight} and {mixing}."
            )
        if augment not in ("none", "bgc", "bgc_upright"):
            raise ConfigError(f"technique.augment must be none, bgc or bgc_upright, not {augment!r}.")
        given = {"group": group, "width": width, "learning_rate": learning_rate, "r1_gamma": r1_gamma}
        given |= {"ema_kimg": ema_kimg, "mapping_layers": mapping_layers}
        self.cfg, self.given = cfg, {key: value for key, value in given.items() if value is not None}
        if any(value < 0 or (value == 0 and key != "r1_gamma") for key, value in self.given.items()):
            raise ConfigError(f"These settings of technique must be above 0: {self.given}.")
        self.path_weight, self.mixing, self.psi = path_weight, mixing, psi
        self.intervals = {"Gmain": 1, "Greg": g_interval, "Dmain": 1, "Dreg": d_interval}
        sizes = preset(cfg, side)
        layers = mapping_layers or sizes.mapping_layers
        self.generator = Generator(side, width or sizes.width, layers, latent)
        self.discriminator = Discriminator(side, width or sizes.width, group or sizes.group)
        self.pseudo = PseudoAugmentation(apa_target, apa_kimg, apa_interval, apa_start, apa_most)
        self.augmentation = None if augment == "none" else Augmentation(rotate=augment == "bgc")
        self.register_buffer("path_average", torch.zeros(()))
        self.register_buffer("iterations", torch.zeros((), dtype=torch.int64))
        if channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self._synthesize: Network = self.generator.synthesis.forward
        self._score: Network = self.discriminator.forward
        self._seen: dict[str, Tensor] = {}
        self._iteration: int | None = None  # the buffer's value on the host, so that nothing waits for the device

    @property
    def published_kimg(self) -> float:
        """25,000, whatever the preset."""
        return PUBLISHED_KIMG

    def setting(self, key: str, batch: int | None = None) -> float:
        """A setting that was given, or else the preset's for a batch of so many images over all processes."""
        if key in self.given:
            return self.given[key]
        value = getattr(preset(self.cfg, self.resolution, batch, self._world), key)
        return float(value)

    def generate(self, seeds: Tensor) -> Tensor:
        """One image a seed, (N,) -> (N, 3, R, R) in [0, 1], of the averaged generator, in full precision."""
        latent = len(self.generator_ema.mapping.w_average)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            images: Tensor = self.generator_ema(self.latents(seeds, latent), self.psi)
        return images.mul(0.5).add_(0.5).clamp_(0, 1)

    def forward(self, seeds: Tensor) -> Tensor:
        """Same as :meth:`generate`."""
        return self.generate(seeds)

    # Training

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> dict[str, Tensor]:
        """One iteration: the phases that are due, the moving average, and every 4th time a change of p.

        Args:
            batch: ``hr`` (B, 3, R, R) in [0, 1] and ``sample_id`` (B,).
            batch_idx: not used.

        Returns:
            ``loss_g`` and ``loss_d``, means over the images of this process.
        """
        size, iteration = len(batch["hr"]), self._iterations()
        total = size * self._world
        phases = Phases(
            self.generator, self.discriminator, self.pseudo, self.augmentation, self._synthesize, self._score
        )
        pseudo: list[Tensor] = []
        for phase, interval in self.intervals.items():
            if iteration % interval == 0 and not (phase == "Greg" and self.path_weight == 0):
                self._phase(phase, phases, batch, pseudo)
        self._mean_over_processes(self.generator.mapping.w_average)
        rampup = preset(self.cfg, self.resolution).ema_rampup
        decay = average_decay(total, self._images(), self.setting("ema_kimg", total), rampup)
        average_weights(self.generator_ema, self.generator, decay)
        self.count_images(size)
        self._iteration = iteration + 1
        self.iterations.fill_(iteration + 1)
        if (iteration + 1) % self.pseudo.interval == 0:
            self._adjust(total * self.pseudo.interval)
        for key, value in self._seen.items():
            self.log(f"train/{key}", value, prog_bar=key in ("loss_g", "loss_d", "p"), batch_size=size)
        return {key: self._seen[key] for key in ("loss_g", "loss_d")}

    def _phase(self, phase: str, phases: Phases, batch: dict[str, Tensor], pseudo: list[Tensor]) -> None:
        """One phase: its losses backwards, micro-batch by micro-batch, and its optimiser's step."""
        trained, other = self.generator, self.discriminator
        optimizers: Any = self.optimizers()
        optimizer = optimizers[0]
        if phase[0] == "D":
            trained, other, optimizer = self.discriminator, self.generator, optimizers[1]
        trained.requires_grad_(True)
        other.requires_grad_(False)
        layers = self.generator.synthesis.styles
        phases.begin(style_cut(self.random, self._images(), phase, layers, self.mixing))
        kind = self.path_average.dtype
        parts = [
            Part(part["hr"].to(kind) * 2 - 1, Draws(self.random, part["sample_id"], phase, kind))
            for part in self.micro_batches(batch)
        ]
        {"Gmain": self._g_main, "Greg": self._g_reg, "Dmain": self._d_main, "Dreg": self._d_reg}[phase](
            phases, parts, pseudo
        )
        phases.end()
        self.step(optimizer, trained.parameters(), sanitise=True)

    def _g_main(self, phases: Phases, parts: list[Part], pseudo: list[Tensor]) -> None:
        losses = []
        for part in parts:
            loss, images = phases.g_main(part)
            pseudo.append(images)
            losses.append(loss.detach())
            self.manual_backward(loss.sum() / _images(parts))
        self._seen["loss_g"] = torch.cat(losses).mean()

    def _g_reg(self, phases: Phases, parts: list[Part], pseudo: list[Tensor]) -> None:
        if len(parts) > 1:  # the penalty is about the mean over all of them, so they are measured before
            measured = [phases.path_lengths(part, create_graph=False).detach() for part in parts]
            phases.begin(phases.cut)
        else:
            lengths = phases.path_lengths(parts[0], create_graph=True)
            measured = [lengths.detach()]
        mean = torch.cat(measured).mean()
        self._mean_over_processes(mean)
        self.path_average.lerp_(mean, PATH_DECAY)
        penalties = []
        for index, part in enumerate(parts):
            if len(parts) > 1:
                lengths = phases.path_lengths(part, create_graph=True)
            penalty = path_penalty(lengths, mean, self.path_average, PATH_DECAY)
            share = len(measured[index]) / sum(map(len, measured))
            penalties.append(penalty.detach() * share)
            self.manual_backward(penalty * (share * self.path_weight * self.intervals["Greg"]))
        self._seen |= {"pl": torch.stack(penalties).sum(), "pl_mean": self.path_average.clone()}

    def _d_main(self, phases: Phases, parts: list[Part], pseudo: list[Tensor]) -> None:
        losses = []
        for part, images in zip(parts, pseudo, strict=True):
            # One after the other, so that the feature maps of only one of them are kept at a time.
            for loss in (lambda: phases.d_fake(part), lambda: phases.d_real(part, images)):
                value = loss()
                losses.append(value.detach())
                self.manual_backward(value.sum() / _images(parts))
        self._seen["loss_d"] = torch.cat(losses).mean() * 2

    def _d_reg(self, phases: Phases, parts: list[Part], pseudo: list[Tensor]) -> None:
        gamma = self.setting("r1_gamma", _images(parts) * self._world)
        penalties = []
        for part, images in zip(parts, pseudo, strict=True):
            penalty = phases.r1(part, images)
            penalties.append(penalty.detach())
            self.manual_backward(penalty.sum() * (gamma / 2 * self.intervals["Dreg"] / _images(parts)))
        self._seen["r1"] = torch.cat(penalties).mean()

    def _adjust(self, images: int) -> None:
        """Change p by the signs of all processes since the last change."""
        sums = self.pseudo.sums.clone()
        if self._world > 1:
            torch.distributed.all_reduce(sums)
        shown, real = self.pseudo.adjust(images, sums)
        self._seen |= {"p": self.pseudo.p.clone(), "lambda_r": shown, "lambda_true": real}

    def _mean_over_processes(self, value: Tensor) -> None:
        """Replace a value by its mean over the processes."""
        if self._world > 1:
            torch.distributed.all_reduce(value)
            value.div_(self._world)

    def _iterations(self) -> int:
        if self._iteration is None:
            self._iteration = int(self.iterations)
        return self._iteration

    def on_train_start(self) -> None:
        """Read the count of iterations anew; say where the settings are not those that were published together."""
        self._iteration = None
        super().on_train_start()
        batch = self.trainer.datamodule.batch_size * self._world  # type: ignore[attr-defined]
        published = preset(self.cfg, self.resolution, None, self._world)
        if batch != published.batch:
            log.info(
                "technique.cfg=%s is published for %d images an iteration at %d pixels, and this run has %d "
                "(data.batch_size times processes); R1 gamma is %.3g",
                self.cfg, published.batch, self.resolution, batch, self.setting("r1_gamma", batch),
            )  # fmt: skip

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for each network, corrected for the steps that its regulariser takes."""
        optimizers: list[torch.optim.Optimizer] = []
        for network, interval in ((self.generator, "Greg"), (self.discriminator, "Dreg")):
            rate, betas = lazy_adam(self.setting("learning_rate"), BETAS, self.intervals[interval])
            network.requires_grad_(True)
            optimizers.append(torch.optim.Adam(network.parameters(), lr=rate, betas=betas, eps=1e-8, fused=True))
        return optimizers

    def networks(self) -> list[nn.Module]:
        """Those that are trained and the average."""
        return [self.generator, self.discriminator, self.generator_ema]

    def compile_networks(self) -> None:
        """Compile what has no second derivatives: synthesis and discriminator of the main phases.

        Functions are compiled and not the modules, so that R1 and the path lengths, which differentiate twice and
        cannot be compiled, go through the modules as they are.
        """
        self._synthesize = torch.compile(self.generator.synthesis.forward)
        self._score = torch.compile(self.discriminator.forward)

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Load one of our checkpoints, or a network pickle of APA or StyleGAN2 (the code in it is not run).

        Raises:
            WrongWeightsError: it does not fit; see :func:`~octosr.techniques.apa.official.load_official`.
        """
        pickles = [path for path in paths if path.suffix == ".pkl"]
        if len(paths) == 1 and pickles:
            content = read_weight_file(paths[0])
            if is_official(content):
                load_official(content, paths[0], self.generator, self.generator_ema, self.discriminator)
                return f"published weights {paths[0]}"
        return super().load_weights(paths)


def _images(parts: Sequence[Part]) -> int:
    return sum(len(part.real) for part in parts)
