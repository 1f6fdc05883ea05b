"""FastGAN as a technique: its settings, one iteration of training, generation, weights.

How it works: :mod:`octosr.techniques.fastgan`.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from octosr.nn.average import average_weights
from octosr.techniques.base import GenerativeTechnique
from octosr.techniques.fastgan import checks
from octosr.techniques.fastgan.augment import NUMBERS, augment
from octosr.techniques.fastgan.discriminator import Discriminator
from octosr.techniques.fastgan.draws import noise_maps, quadrant
from octosr.techniques.fastgan.generator import LATENT, Generator
from octosr.techniques.fastgan.layers import follow_spectra
from octosr.techniques.fastgan.losses import hinge
from octosr.techniques.fastgan.official import is_official, load_official
from octosr.techniques.fastgan.reconstruction import AbsoluteDifference, load_perceptual, reconstruction_targets
from octosr.techniques.fastgan.sampling import Sampler
from octosr.techniques.weights import read_weight_file

BETAS = (0.5, 0.999)
PUBLISHED_KIMG = 400.0
"""50,000 iterations with batches of 8."""
Part = dict[str, Tensor]
Pair = tuple[Tensor, Tensor]


class FastGAN(GenerativeTechnique):
    """FastGAN; see the package's text.

    Args:
        name: see :class:`~octosr.techniques.base.Technique`.
        width: channels, 64 as published; see the networks.
        latent: length of a latent.
        learning_rate: of Adam, for both networks.
        ema_decay: of the generator's moving average, for each iteration.
        reconstruction: ``lpips`` as published, which needs VGG16's weights, or ``l1``.
        vgg_weights: their file, ``vgg16-397923af.pth``; None: looked for in torch's cache folder.
        sampling_bn: ``ema`` or ``batch``, see :mod:`~octosr.techniques.fastgan.sampling`.
        sampling_latents: over how many latents ``ema`` measures its statistics.
        official_quirks: no tanh at 256 and 512 pixels, as in the public code; published weights of these sizes need it.
        settings: ``resolution``, ``kimg``, ``enlarge``, ``flip``, ``batch_gpu`` and ``seed`` of
            :class:`~octosr.techniques.base.GenerativeTechnique`.

    Raises:
        ConfigError: a value is out of range.
    """

    run_settings: ClassVar[tuple[str, ...]] = (
        *GenerativeTechnique.run_settings,
        "batch_gpu",
        "sampling_bn",
        "sampling_latents",
        "vgg_weights",
    )

    def __init__(
        self,
        name: str = "fastgan",
        *,
        width: int = 64,
        latent: int = LATENT,
        learning_rate: float = 2e-4,
        ema_decay: float = 0.999,
        reconstruction: str = "lpips",
        vgg_weights: str | None = None,
        sampling_bn: str = "ema",
        sampling_latents: int = 128,
        official_quirks: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(name, **settings)
        checks.settings(self.resolution, width, latent, learning_rate, ema_decay, sampling_latents)
        checks.choices(reconstruction, sampling_bn)
        self.learning_rate, self.ema_decay, self.reconstruction = learning_rate, ema_decay, reconstruction
        self.vgg_weights, self.sampling_bn, self.sampling_latents = vgg_weights, sampling_bn, sampling_latents
        self.generator = Generator(self.resolution, width, latent, quirks=official_quirks)
        self.discriminator = Discriminator(self.resolution, width)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self._difference: list[nn.Module] = []  # in a list, so that it is no part of the state dict
        self._sampler = Sampler(self.generator_ema, sampling_latents if sampling_bn == "ema" else None, self.latents)
        self.register_load_state_dict_post_hook(_forget)

    @property
    def published_kimg(self) -> float:
        """400: 50,000 iterations with batches of 8."""
        return PUBLISHED_KIMG

    # Generation

    def generate(self, seeds: Tensor) -> Tensor:
        """One image a seed, (N,) -> (N, 3, R, R) in [0, 1], of the averaged generator, in full precision."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self._sampler.images(seeds)

    # Training

    def setup(self, stage: str) -> None:
        """Get the reconstruction loss, so that a missing file is known before anything is done."""
        if stage == "fit" and not self._difference:
            lpips = self.reconstruction == "lpips"
            self._difference.append(load_perceptual(self.vgg_weights) if lpips else AbsoluteDifference())

    def on_train_start(self) -> None:
        """Bring the reconstruction loss to the device of the networks."""
        weight = self.generator.start.weight
        self._difference[0].to(weight.device, weight.dtype)
        super().on_train_start()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> dict[str, Tensor]:
        """One iteration: the discriminator's step, the generator's, the moving average.

        Args:
            batch: ``hr`` (B, 3, R, R) in [0, 1] and ``sample_id`` (B,).
            batch_idx: not used.

        Returns:
            ``loss_g``, ``loss_d`` and ``reconstruction``, means over the images of this process.
        """
        size = len(batch["hr"])
        optimizers: Any = self.optimizers()
        parts = list(self.micro_batches(batch))
        self.generator.requires_grad_(True)
        self.discriminator.requires_grad_(True)
        follow_spectra(self.generator)
        with torch.set_grad_enabled(len(parts) == 1):
            fakes = [self._fake(part) for part in parts]
        losses = self._discriminator_phase(parts, fakes, size)
        self.step(optimizers[1], self.discriminator.parameters())
        losses["loss_g"] = self._generator_phase(parts, fakes, size)
        self.step(optimizers[0], self.generator.parameters())
        average_weights(self.generator_ema, self.generator, self.ema_decay)
        self._sampler.forget()
        self.count_images(size)
        for key, value in losses.items():
            self.log(f"train/{key}", value, prog_bar=True, batch_size=size)
        return losses

    def _discriminator_phase(self, parts: list[Part], fakes: list[Pair], size: int) -> dict[str, Tensor]:
        """Backward passes of real images with their reconstructions, then of generated ones."""
        where = quadrant(self.random, self._images())
        hinges, differences = [], []
        follow_spectra(self.discriminator)
        for part in parts:
            big = augment(part["hr"].to(self._kind) * 2 - 1, self._uniform(part, "augment/real", NUMBERS))
            small = F.interpolate(big, size=self.discriminator.small)
            logits, made = self.discriminator(big, small, torch.tensor(where, device=big.device))
            targets = reconstruction_targets(big, where, self.discriminator.small)
            difference = self._difference[0](made, targets).to(self._kind).sum()
            loss = hinge(logits, self._margins(part, logits, "real"), real=True) * (len(big) / size)
            # Added up over the batch and not averaged, as published; gradients are averaged over the processes.
            self.manual_backward(loss + difference * self._world)
            hinges.append(loss.detach())
            differences.append(difference.detach())
        follow_spectra(self.discriminator, without=self.discriminator.decoders)
        for part, fake in zip(parts, fakes, strict=True):
            logits, _ = self.discriminator(fake[0].detach(), fake[1].detach())
            loss = hinge(logits, self._margins(part, logits, "fake"), real=False) * (len(logits) / size)
            self.manual_backward(loss)
            hinges.append(loss.detach())
        return {"loss_d": torch.stack(hinges).sum(), "reconstruction": torch.stack(differences).sum() / size}

    def _generator_phase(self, parts: list[Part], fakes: list[Pair], size: int) -> Tensor:
        """Backward passes through the discriminator, which is held fixed and learns nothing from them.

        In micro-batches the images are made again: the graphs of all at once are what does not fit.
        """
        self.discriminator.requires_grad_(False)
        follow_spectra(self.discriminator, without=self.discriminator.decoders)
        losses = []
        for part, fake in zip(parts, fakes, strict=True):
            pair = fake if len(parts) == 1 else self._fake(part)
            logits, _ = self.discriminator(*pair)
            loss = -logits.mean() * (len(logits) / size)
            self.manual_backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _fake(self, part: Part) -> Pair:
        """Generated images of a micro-batch, large and small augmented differently, as published."""
        ids = part["sample_id"]
        z = self.random.normal(ids, "z", (self.generator.latent,)).to(self._kind)
        big, small = self.generator(z, noise_maps(self.random, ids, self.generator.noise_sides, "noise", self._kind))
        return (
            augment(big.to(self._kind), self._uniform(part, "augment/big", NUMBERS)),
            augment(small.to(self._kind), self._uniform(part, "augment/small", NUMBERS)),
        )

    @property
    def _kind(self) -> torch.dtype:
        return self.generator.start.weight.dtype

    def _uniform(self, part: Part, purpose: str, count: int) -> Tensor:
        return self.random.uniform(part["sample_id"], purpose, (count,))

    def _margins(self, part: Part, logits: Tensor, purpose: str) -> Tensor:
        return self._uniform(part, f"margin/{purpose}", logits.shape[1])

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for each network."""
        return [
            torch.optim.Adam(network.parameters(), lr=self.learning_rate, betas=BETAS, fused=True)
            for network in (self.generator, self.discriminator)
        ]

    def networks(self) -> list[nn.Module]:
        """Those that are trained; the average is called through a copy of its own."""
        return [self.generator, self.discriminator]

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Load one of our checkpoints, or one of FastGAN's (no code in it is run).

        Raises:
            WrongWeightsError: it does not fit; see :func:`~octosr.techniques.fastgan.official.load_official`.
        """
        if len(paths) == 1 and paths[0].suffix != ".safetensors":
            content = read_weight_file(paths[0])
            if is_official(content):
                load_official(content, paths[0], self.generator, self.generator_ema, self.discriminator)
                self._sampler.forget()
                return f"published weights {paths[0]}"
        return super().load_weights(paths)


def _forget(module: nn.Module, keys: Any) -> None:
    """After loading a state dict: what was made from the weights of before is void."""
    assert isinstance(module, FastGAN)
    module._sampler.forget()
