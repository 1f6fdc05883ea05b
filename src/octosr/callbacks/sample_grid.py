"""A grid of samples with fixed seeds, so that one sees the same latents grow up, or grow alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from PIL import Image, ImageDraw, ImageFont
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from octosr.callbacks.length import KimgInterval
from octosr.callbacks.picture import save_picture
from octosr.callbacks.samples import samples
from octosr.techniques.base import GenerativeTechnique

_GAP, _LINE = 4, 24
_PAPER, _INK, _ALERT = (255, 255, 255), (20, 20, 20), (176, 32, 32)


class SampleGrid(Callback):
    """Draws the images of seeds 0, 1, ... before training, every so many kimg, and at the end.

    Only the first process draws; generating changes nothing of the training.

    Args:
        folder: where the PNG files go, as ``samples_kimg_000010.000.png``.
        every_kimg: thousands of images shown between two grids; 0: none.
        columns: images in a row.
        rows: rows.
        largest: larger images are averaged down to so many pixels a side.
        label: a warning to write across the top, e.g. ``STAND-IN``; None: nothing.
    """

    def __init__(
        self,
        folder: str | Path,
        every_kimg: float = 10.0,
        columns: int = 5,
        rows: int = 4,
        largest: int = 256,
        label: str | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.columns, self.rows, self.largest, self.label = columns, rows, largest, label
        self._interval = KimgInterval(every_kimg)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A first grid, unless training goes on from somewhere."""
        if isinstance(pl_module, GenerativeTechnique):
            self._interval.start(pl_module.kimg)
            if pl_module.kimg == 0 and self._interval.every > 0:
                self._draw(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """A grid when the interval has passed, and after the last step."""
        if isinstance(pl_module, GenerativeTechnique) and self._interval.every > 0:
            due = self._interval.due(pl_module.kimg)
            if due or trainer.should_stop:
                self._draw(trainer, pl_module)

    def _draw(self, trainer: pl.Trainer, technique: GenerativeTechnique) -> None:
        if not trainer.is_global_zero:
            return
        images = samples(trainer, technique, self.columns * self.rows)
        title = f"{technique.name} · {technique.kimg:g} kimg"
        picture = grid_picture(images, self.columns, self.largest, title, self.label)
        save_picture(picture, self.folder / f"samples_kimg_{technique.kimg:010.3f}.png")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("train/samples", [picture], step=trainer.global_step, caption=[self.label or title])
            elif isinstance(logger, TensorBoardLogger):
                array = np.asarray(picture)
                logger.experiment.add_image("train/samples", array, trainer.global_step, dataformats="HWC")


def grid_picture(images: Tensor, columns: int, largest: int, title: str, label: str | None = None) -> Image.Image:
    """Images of one size in rows, with a title, and a warning in red where there is one.

    Args:
        images: uint8 (N, 3, H, W).
        columns: images in a row.
        largest: larger images are averaged down to so many pixels a side.
        title: what stands above.
        label: a warning to stand before the title.
    """
    height, width = images.shape[-2:]
    shrink = min(1.0, largest / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    rows = -(-len(images) // columns)
    picture = Image.new("RGB", (_GAP + columns * (size[0] + _GAP), _LINE + _GAP + rows * (size[1] + _GAP)), _PAPER)
    font = ImageFont.load_default(size=14)
    draw = ImageDraw.Draw(picture)
    draw.text((_GAP, _GAP), f"{label}: {title}" if label else title, fill=_ALERT if label else _INK, font=font)
    for number, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
        tile = Image.fromarray(image)
        if tile.size != size:
            tile = tile.resize(size, Image.Resampling.BOX)
        row, column = divmod(number, columns)
        picture.paste(tile, (_GAP + column * (size[0] + _GAP), _LINE + _GAP + row * (size[1] + _GAP)))
    return picture
