"""The smallest honest GAN: what the base class, the data and the callbacks of the generative family are tested with."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from octosr.techniques.base import GenerativeTechnique
from octosr.techniques.generative import average_weights

DIM = 8
HERE = Path(__file__).parent


class ToyGan(GenerativeTechnique):
    """A linear generator and a linear discriminator with the logistic loss."""

    def __init__(self, name: str = "toy_gan", **settings: Any) -> None:
        super().__init__(name, **({"resolution": 16, "kimg": 0.048} | settings))
        generator = torch.Generator().manual_seed(5)
        side = self.resolution
        self.generator = nn.Sequential(nn.Linear(DIM, 16), nn.LeakyReLU(0.2), nn.Linear(16, 3 * side * side))
        self.discriminator = nn.Sequential(nn.Linear(3 * side * side, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        for parameter in (*self.generator.parameters(), *self.discriminator.parameters()):
            nn.init.normal_(parameter, std=0.1, generator=generator)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.register_buffer("steps_seen", torch.zeros((), dtype=torch.int64))

    def make(self, network: nn.Module, z: Tensor) -> Tensor:
        return torch.sigmoid(network(z)).view(-1, 3, self.resolution, self.resolution)

    def generate(self, seeds: Tensor) -> Tensor:
        return self.make(self.generator_ema, self.latents(seeds, DIM))

    def judge(self, images: Tensor) -> Tensor:
        return self.discriminator(images.flatten(1) * 2 - 1)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int = 0) -> dict[str, Tensor]:
        g, d = self.optimizers()
        size = len(batch["hr"])
        losses: dict[str, Tensor] = {}
        for phase, optimizer, network in (("g", g, self.generator), ("d", d, self.discriminator)):
            self.generator.requires_grad_(phase == "g")
            self.discriminator.requires_grad_(phase == "d")
            total = torch.zeros((), device=self.device)
            for part in self.micro_batches(batch):
                z = self.random.normal(part["sample_id"], f"toy/{phase}", (DIM,), dtype=torch.float32)
                fake = self.judge(self.make(self.generator, z))
                loss = nn.functional.softplus(-fake if phase == "g" else fake).sum() / size
                if phase == "d":
                    loss = loss + nn.functional.softplus(-self.judge(part["hr"])).sum() / size
                self.manual_backward(loss)
                total = total + loss.detach()
            self.step(optimizer, network.parameters())
            losses[f"loss_{phase}"] = total
            self.log(f"train/loss_{phase}", total, prog_bar=True)
        average_weights(self.generator_ema, self.generator, 0.9)
        self.steps_seen += 1
        self.count_images(size)
        crash_at = os.environ.get("TOY_GAN_CRASH_AT")  # kill -9 in the middle of a run, for the test of resuming
        if crash_at is not None and self.kimg >= float(crash_at):
            os.kill(os.getpid(), 9)
        return losses

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(n.parameters(), lr=2e-3) for n in (self.generator, self.discriminator)]


def settings(photographs: Path, out: Path) -> list[str]:
    """The settings of a run on a folder of images, as on the command line."""
    return [
        f"hydra.searchpath=[file://{HERE / 'conf'}]", "technique=toy_gan", "dataset=more/folder",
        f"dataset.path={photographs}", f"output_root={out}", "hardware=cpu", "logger=none", "metrics=[niqe]",
        "trainer.enable_progress_bar=false", "trainer.enable_model_summary=false", "data.batch_size=4",
        "callbacks.last.every_kimg=0.016",
    ]  # fmt: skip
