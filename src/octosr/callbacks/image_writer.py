"""Writes every super-resolved image as soon as it is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BasePredictionWriter

from octosr.data.encode import to_uint8, write_png
from octosr.data.kernel_files import write_kernel, write_kernel_map


class ImageWriter(BasePredictionWriter):
    """Writes ``folder/NAME.png`` (8-bit RGB) for each image that ``predict_step`` returns.

    Where it returns estimated blur kernels too, ``NAME.kernel.npy`` and ``NAME.kernel.png`` are written beside it,
    before it: an image that is there has its kernel. So are ``NAME.kernels.npy`` and ``NAME.kernels.png`` where it
    returns a kernel for each part of an image.

    Use it with ``Trainer.predict(..., return_predictions=False)``, so that no more than one batch is in memory.
    Each process of a DDP run writes its own images; names are unique in a dataset.

    Args:
        folder: where the images go.
        text: metadata for the PNG files (tEXt), e.g. technique, dataset, weights and the label STAND-IN; the same for
            all, or a function of the image's name.
        threads: files encoded at the same time (the encoder runs outside Python's lock).
    """

    def __init__(
        self,
        folder: str | Path,
        text: Mapping[str, str] | Callable[[str], Mapping[str, str]] | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(write_interval="batch")
        self.folder = Path(folder)
        self.text = text
        self.threads = threads or min(4, os.cpu_count() or 1)
        self.written: list[Path] = []

    def write_on_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        prediction: Mapping[str, Any],
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Round on the device, fetch one byte a value, and write.

        Args:
            trainer: the trainer.
            pl_module: the technique.
            prediction: ``name`` (B strings), ``sr`` (B, 3, H, W) in [0, 1], and perhaps ``kernel`` (B, K, K)
                and ``kernel_map`` (B, gy, gx, K, K).
            batch_indices: not used.
            batch: not used.
            batch_idx: not used.
            dataloader_idx: not used.
        """
        names: Sequence[str] = prediction["name"]
        images = to_uint8(prediction["sr"]).cpu()
        paths = [self.folder / f"{name}.png" for name in names]
        texts = [self.text(name) if callable(self.text) else self.text for name in names]
        with ThreadPoolExecutor(self.threads) as pool:
            if prediction.get("kernel") is not None:
                list(pool.map(write_kernel, paths, prediction["kernel"].cpu()))
            if prediction.get("kernel_map") is not None:
                list(pool.map(write_kernel_map, paths, prediction["kernel_map"].cpu()))
            list(pool.map(write_png, paths, images, texts))  # list: an error in a thread comes out here
        self.written.extend(paths)
