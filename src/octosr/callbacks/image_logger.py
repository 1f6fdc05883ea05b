"""Pictures of the first validation images, on disk and in the loggers that take pictures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from octosr.callbacks.picture import comparison_picture, save_picture
from octosr.techniques.base import psnr_per_image

log = logging.getLogger(__name__)

_TITLES = {"lr": "LR (pixels enlarged)", "bicubic": "bicubic", "sr": "SR", "hr": "HR"}


class ImageLogger(Callback):
    """After each validation, draws LR | bicubic | SR | HR of the first images, with the PSNR under them.

    Takes what ``validation_step`` returns: a dict with some of ``lr``, ``bicubic``, ``sr``, ``hr``, each
    (B, 3, h, w) in [0, 1]. Only the first process draws.

    Args:
        folder: where the PNG files go, as ``val_step_0001000.png``.
        title: what stands over the SR column, usually the technique's name.
        label: a warning to write across the top, e.g. ``STAND-IN``; None: nothing.
        max_images: number of images, i.e. rows.
    """

    def __init__(self, folder: str | Path, title: str = "SR", label: str | None = None, max_images: int = 4) -> None:
        self.folder = Path(folder)
        self.title = title
        self.label = label
        self.max_images = max_images
        self._images: dict[str, list[Tensor]] = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the images of the validation before."""
        self._images = {}

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images, on the CPU."""
        if trainer.sanity_checking or not trainer.is_global_zero or not isinstance(outputs, Mapping):
            return
        for key in _TITLES.keys() & outputs.keys():
            kept = self._images.setdefault(key, [])
            room = self.max_images - sum(len(t) for t in kept)
            if room > 0:
                kept.append(outputs[key][:room].detach().float().cpu())

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, write, and hand the picture to the loggers."""
        if not self._images or trainer.sanity_checking or not trainer.is_global_zero:
            return
        images = {key: torch.cat(self._images[key]) for key in _TITLES if key in self._images}
        self._images = {}
        titles = _TITLES | {"sr": self.title}
        captions = {
            titles[key]: [f"{value:.2f} dB" for value in psnr_per_image(images[key].clamp(0, 1), images["hr"]).tolist()]
            for key in ("bicubic", "sr")
            if key in images and "hr" in images
        }
        step = trainer.global_step
        label = f"{self.label} · step {step}" if self.label else None
        picture = comparison_picture(
            {titles[key]: value for key, value in images.items()}, label=label, captions=captions or None
        )
        save_picture(picture, self.folder / f"val_step_{step:07d}.png")
        self._hand_over(trainer, picture, step)

    def _hand_over(self, trainer: pl.Trainer, picture: Image.Image, step: int) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("val/images", [picture], caption=[self.label or f"step {step}"], step=step)
            elif isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("val/images", np.asarray(picture), step, dataformats="HWC")
