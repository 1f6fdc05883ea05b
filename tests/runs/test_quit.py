"""A signal ends an evaluation at once, though Lightning, which is predicting, would swallow it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import octosr._torchvision  # noqa: F401

# isort: split
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from octosr.callbacks.image_writer import ImageWriter
from octosr.data.decode import decode
from octosr.runs.quit import end_on_signal


class Slow(pl.LightningModule):
    """Makes images; is told to end while it makes the second one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.seen = number, 0

    def predict_step(self, batch: Tensor, batch_idx: int) -> dict[str, Any]:
        self.seen += 1
        if self.seen == 2:
            signal.raise_signal(self.number)
        return {"name": [f"image{self.seen}"], "sr": torch.full((1, 3, 64, 64), 0.5)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_saved_is_whole_and_nothing_more_is_begun(tmp_path: Path, number: int) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    module = Slow(number)
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, callbacks=[ImageWriter(tmp_path)], enable_progress_bar=False, **settings
    )
    with pytest.raises(SystemExit) as ended, end_on_signal():
        trainer.predict(module, DataLoader(torch.zeros(5, 1)), return_predictions=False)
    assert ended.value.code == 128 + number
    assert module.seen == 2
    assert [path.name for path in tmp_path.iterdir()] == ["image1.png"]
    assert decode(tmp_path / "image1.png").shape == (64, 64, 3)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before
