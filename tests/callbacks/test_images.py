"""The image logger and the image writer, in a real Trainer."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from toy_training import Toy, ToyData, make_trainer

from octosr.callbacks.image_logger import ImageLogger
from octosr.callbacks.image_writer import ImageWriter
from octosr.errors import OctoSRError


def test_a_picture_after_each_validation(tmp_path: Path) -> None:
    folder = tmp_path / "images/dan/isaid"
    logger = ImageLogger(folder, title="dan", label="STAND-IN", max_images=3)
    trainer = make_trainer(tmp_path, [logger], max_steps=8, num_sanity_val_steps=2, enable_checkpointing=False)
    trainer.fit(Toy(), datamodule=ToyData())
    assert sorted(p.name for p in folder.iterdir()) == ["val_step_0000004.png", "val_step_0000008.png"]
    picture = Image.open(folder / "val_step_0000008.png")
    side = 8 * 28  # HR of 8 pixels, enlarged to 224
    assert picture.size == (8 + 4 * (side + 8), 8 + 26 + 26 + 3 * (side + 20 + 8))


def test_the_picture_goes_to_tensorboard(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = TensorBoardLogger(tmp_path, name="tb")
    trainer = make_trainer(
        tmp_path, [ImageLogger(tmp_path / "i")], max_steps=4, logger=logger, enable_checkpointing=False
    )
    trainer.fit(Toy(), datamodule=ToyData())
    events = event_accumulator.EventAccumulator(logger.log_dir, size_guidance={"images": 0}).Reload()
    assert [event.step for event in events.Images("val/images")] == [4]


def test_modules_that_return_no_images_are_fine(tmp_path: Path) -> None:
    class Silent(Toy):
        def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> None:  # type: ignore[override]
            super().validation_step(batch, batch_idx)

    trainer = make_trainer(tmp_path, [ImageLogger(tmp_path / "i")], max_steps=4, enable_checkpointing=False)
    trainer.fit(Silent(), datamodule=ToyData())
    assert not (tmp_path / "i").exists()


class Upscale(pl.LightningModule):
    """Predicts constant images; remembers which outputs are still alive."""

    def __init__(self, value: float = 0.5) -> None:
        super().__init__()
        self.value = value
        self.alive: list[weakref.ref[Any]] = []

    def predict_step(self, batch: torch.Tensor, batch_idx: int) -> dict[str, Any]:
        gc.collect()
        assert sum(ref() is not None for ref in self.alive) <= 1  # at most the batch before
        sr = torch.full((len(batch), 3, 16, 24), self.value) + batch.view(-1, 1, 1, 1) / 255
        self.alive.append(weakref.ref(sr))
        return {"name": [f"img_{int(i)}" for i in batch], "sr": sr}


def predict(folder: Path, module: Upscale, **arguments: Any) -> ImageWriter:
    writer = ImageWriter(folder, **arguments)
    trainer = make_trainer(folder, [writer], enable_checkpointing=False)
    trainer.predict(module, DataLoader(range(7), batch_size=3), return_predictions=False)  # type: ignore[arg-type]
    return writer


def test_every_image_is_written_with_its_text(tmp_path: Path) -> None:
    writer = predict(tmp_path / "hr", Upscale(), text=lambda name: {"octosr:name": name, "octosr:data": "STAND-IN"})
    assert writer.written == [tmp_path / f"hr/img_{i}.png" for i in range(7)]
    for index, path in enumerate(writer.written):
        image = Image.open(path)
        assert image.size == (24, 16)
        assert image.mode == "RGB"
        assert image.text == {"octosr:name": f"img_{index}", "octosr:data": "STAND-IN"}  # type: ignore[attr-defined]
        assert (np.asarray(image) == round(127.5 + index)).all()
    same = predict(tmp_path / "b", Upscale(), text={"a": "b"})
    assert Image.open(same.written[0]).text == {"a": "b"}  # type: ignore[attr-defined]


def test_estimated_kernels_are_written_beside_their_images(tmp_path: Path) -> None:
    class Estimating(Upscale):
        def predict_step(self, batch: torch.Tensor, batch_idx: int) -> dict[str, Any]:
            kernel = torch.zeros(len(batch), 5, 5)
            kernel[range(len(batch)), 0, batch.long() % 5] = 1
            kernel_map = kernel[:, None, None].expand(-1, 2, 3, -1, -1)
            return super().predict_step(batch, batch_idx) | {"kernel": kernel, "kernel_map": kernel_map}

    writer = predict(tmp_path / "hr", Estimating())
    assert writer.written == [tmp_path / f"hr/img_{i}.png" for i in range(7)]
    for index in range(7):
        kernel = np.load(tmp_path / f"hr/img_{index}.kernel.npy", allow_pickle=False)
        assert kernel[0, index % 5] == kernel.sum() == 1
        assert Image.open(tmp_path / f"hr/img_{index}.kernel.png").size == (160, 160)
        kernels = np.load(tmp_path / f"hr/img_{index}.kernels.npy", allow_pickle=False)
        assert kernels.shape == (2, 3, 5, 5)
        assert (kernels == kernel).all()


def test_an_error_while_writing_comes_through(tmp_path: Path) -> None:
    with pytest.raises(OctoSRError, match="NaN or infinite"):
        predict(tmp_path, Upscale(float("nan")))
