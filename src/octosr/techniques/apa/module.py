"""APA as a technique: its settings, one iteration of training, generation, weights.

How it works: :mod:`octosr.techniques.apa`.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from octosr.techniques.apa import checks
from octosr.techniques.apa.augment import Augmentation
from octosr.techniques.apa.controller import PseudoAugmentation
from octosr.techniques.apa.discriminator import Discriminator
from octosr.techniques.apa.draws import style_cut
from octosr.techniques.apa.iteration import Iteration
from octosr.techniques.apa.mapping import LATENT
from octosr.techniques.apa.official import is_official, load_official
from octosr.techniques.apa.optimizers import average_decay, lazy_adam
from octosr.techniques.apa.phases import Network, Part, Phases
from octosr.techniques.apa.presets import PUBLISHED_KIMG, describe, preset
from octosr.techniques.apa.synthesis import Generator
from octosr.techniques.base import GenerativeTechnique
from octosr.techniques.generative import average_weights
from octosr.techniques.weights import read_weight_file

log = logging.getLogger(__name__)


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
        noise: give the synthesis network noise while it is trained; see the demo preset for what speaks against it.
        apa_target: lambda at which p stays; None: p stays at ``apa_start``.
        apa_kimg: thousands of images in which p would go from 0 to 1.
        apa_interval: iterations between two changes of p.
        apa_start: the first p.
        apa_most: upper bound of p.
        augment: ``none``, ``bgc`` (ADA's augmentation with the same p) or ``bgc_upright`` (that without rotations).
        psi: truncation when images are generated; 1: none.
        winograd: allow fast convolutions on CPUs where no second derivatives are wanted, see
            :mod:`octosr.nn.convolution`; the same numbers up to rounding.
        settings: ``resolution``, ``kimg``, ``enlarge``, ``flip``, ``batch_gpu`` and ``seed`` of
            :class:`~octosr.techniques.base.GenerativeTechnique`.

    Raises:
        ConfigError: a value is out of range.
    """

    run_settings: ClassVar[tuple[str, ...]] = (*GenerativeTechnique.run_settings, "psi", "batch_gpu", "winograd")
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
        noise: bool = True,
        apa_target: float | None = 0.6,
        apa_kimg: float = 500.0,
        apa_interval: int = 4,
        apa_start: float = 0.0,
        apa_most: float = 1.0,
        augment: str = "none",
        psi: float = 1.0,
        winograd: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        side = self.resolution
        given = {"group": group, "width": width, "learning_rate": learning_rate, "r1_gamma": r1_gamma}
        given |= {"ema_kimg": ema_kimg, "mapping_layers": mapping_layers}
        self.cfg, self.winograd = cfg, winograd
        self.given = {key: value for key, value in given.items() if value is not None}
        checks.resolution(side)
        checks.sizes(self.given)
        checks.training(g_interval, d_interval, path_weight, mixing, augment)
        self.path_weight, self.mixing, self.noise, self.psi = path_weight, mixing, noise, psi
        self.intervals = {"Gmain": 1, "Greg": g_interval, "Dmain": 1, "Dreg": d_interval}
        sizes = preset(cfg, side)
        layers = mapping_layers or sizes.mapping_layers
        self.generator = Generator(side, width or sizes.width, layers, latent)
        self.discriminator = Discriminator(side, width or sizes.width, group or sizes.group)
        self.pseudo = PseudoAugmentation(apa_target, apa_kimg, apa_interval, apa_start, apa_most)
        self.augmentation = None if augment == "none" else Augmentation(rotate=augment == "bgc")
        self.register_buffer("path_average", torch.zeros(()))
        self.register_buffer("iterations", torch.zeros((), dtype=torch.int64))
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self._synthesize: Network = partial(self.generator.synthesis.forward, once=winograd)
        self._score: Network = partial(self.discriminator.forward, once=winograd)
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
            images: Tensor = self.generator_ema(self.latents(seeds, latent), self.psi, self.winograd)
            return images.mul(0.5).add_(0.5).clamp_(0, 1)

    # Training

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> dict[str, Tensor]:
        """One iteration: the phases that are due, the moving average, and every 4th time a change of p.

        Args:
            batch: ``hr`` (B, 3, R, R) in [0, 1] and ``sample_id`` (B,).
            batch_idx: not used.

        Returns:
            ``loss_g`` and ``loss_d``, means over the images of this process.
        """
        size = len(batch["hr"])
        total = size * self._world
        done = self._iterations(total)
        iteration = self._begin(total)
        for phase, interval in self.intervals.items():
            if done % interval == 0 and not (phase == "Greg" and self.path_weight == 0):
                self._phase(phase, iteration, batch)
        self._mean_over_processes(self.generator.mapping.w_average)
        rampup = preset(self.cfg, self.resolution).ema_rampup
        decay = average_decay(total, self._images(), self.setting("ema_kimg", total), rampup)
        average_weights(self.generator_ema, self.generator, decay)
        self.count_images(size)
        self._iteration = done + 1
        self.iterations.fill_(done + 1)
        if (done + 1) % self.pseudo.interval == 0:
            self._seen |= self.pseudo.adjust_together(total * self.pseudo.interval, self._world)
        for key, value in self._seen.items():
            self.log(f"train/{key}", value, prog_bar=key in ("loss_g", "loss_d", "p"), batch_size=size)
        return {key: self._seen[key] for key in ("loss_g", "loss_d")}

    def _begin(self, total: int) -> Iteration:
        networks = self.generator, self.discriminator, self.pseudo, self.augmentation, self._synthesize, self._score
        phases = Phases(*networks, self.noise)
        weights = {
            "Greg": self.path_weight * self.intervals["Greg"],
            "Dreg": self.setting("r1_gamma", total) / 2 * self.intervals["Dreg"],
        }
        return Iteration(
            phases, weights, self.path_average, self.manual_backward, self._mean_over_processes, self._seen
        )

    def _phase(self, phase: str, iteration: Iteration, batch: dict[str, Tensor]) -> None:
        """One phase: its losses backwards, micro-batch by micro-batch, and its optimiser's step."""
        optimizers: Any = self.optimizers()
        networks: list[nn.Module] = [self.generator, self.discriminator]
        number = int(phase[0] == "D")
        for index, network in enumerate(networks):
            network.requires_grad_(index == number)
        cut = style_cut(self.random, self._images(), phase, self.generator.synthesis.styles, self.mixing)
        kind = self.path_average.dtype
        parts = [Part.of(part, self.random, phase, kind) for part in self.micro_batches(batch)]
        iteration.run(phase, parts, cut)
        self.step(optimizers[number], networks[number].parameters(), sanitise=True)

    def _mean_over_processes(self, value: Tensor) -> None:
        """Replace a value by its mean over the processes."""
        if self._world > 1:
            torch.distributed.all_reduce(value)
            value.div_(self._world)

    def _iterations(self, total: int) -> int:
        if self._iteration is None:
            self._iteration = int(self.iterations)
            log.info("%s", describe(self.cfg, self.resolution, total, self._world, self.setting("r1_gamma", total)))
        return self._iteration

    def on_train_start(self) -> None:
        """Read the count of iterations anew: weights may have been loaded."""
        self._iteration = None
        super().on_train_start()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for each network, corrected for the steps that its regulariser takes."""
        rate = self.setting("learning_rate")
        return [
            lazy_adam(self.generator, rate, self.intervals["Greg"]),
            lazy_adam(self.discriminator, rate, self.intervals["Dreg"]),
        ]

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
        if len(paths) == 1 and paths[0].suffix == ".pkl":
            content = read_weight_file(paths[0])
            if is_official(content):
                load_official(content, paths[0], self.generator, self.generator_ema, self.discriminator)
                return f"published weights {paths[0]}"
        return super().load_weights(paths)
