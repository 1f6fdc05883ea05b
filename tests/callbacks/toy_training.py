"""A tiny technique and tiny data whose resume is exact, for running the callbacks in a real Trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import octosr._torchvision  # noqa: F401  (before anything that imports torchvision)

import pytorch_lightning as pl  # isort: skip
from torch.utils.data import DataLoader, Dataset  # isort: skip

from octosr.callbacks.atomic_io import AtomicCheckpointIO

SIDE = 8


class Ticks(Dataset):  # type: ignore[type-arg]
    """Yields indices; the loader over it has a state, so that Lightning takes it as resumable."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        return index


class TickLoader(DataLoader):  # type: ignore[type-arg]
    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class ToyData(pl.LightningDataModule):
    """Batches that depend on the number of samples drawn so far and on nothing else."""

    def __init__(self, steps_per_epoch: int = 5, val_batches: int = 3) -> None:
        super().__init__()
        self.steps_per_epoch, self.val_batches, self.drawn = steps_per_epoch, val_batches, 0
        self.log_of_ids: list[int] = []

    def train_dataloader(self) -> TickLoader:
        return TickLoader(Ticks(self.steps_per_epoch))

    def val_dataloader(self) -> DataLoader:  # type: ignore[type-arg]
        return DataLoader(Ticks(self.val_batches))

    def on_after_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> dict[str, Tensor]:
        if self.trainer is not None and self.trainer.training:
            number, self.drawn = self.drawn, self.drawn + 1
            self.log_of_ids.append(number)
        else:
            number = 10_000 + int(batch[0])
        generator = torch.Generator().manual_seed(number)
        return {"hr": torch.rand(2, 3, SIDE, SIDE, generator=generator), "id": torch.tensor(number)}

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


class Toy(pl.LightningModule):
    """A small network with a constant buffer, Adam and a schedule; hooks let a test break it."""

    def __init__(
        self,
        loss_at: dict[int, float] | None = None,
        on_step: Callable[[int], None] | None = None,
        on_val: Callable[[int], None] | None = None,
        psnr: Callable[[int], float] | None = None,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
        self.register_buffer("constant", torch.full((3,), 0.1))
        self.loss_at, self.on_step, self.on_val, self.psnr = loss_at or {}, on_step, on_val, psnr
        self.losses: list[float] = []
        self.val_seen = 0

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        lr = nn.functional.avg_pool2d(batch["hr"], 2)
        sr = self.net(nn.functional.interpolate(lr, scale_factor=2))
        loss = (sr - batch["hr"]).abs().mean()
        step = self.trainer.global_step + 1
        if self.on_step is not None:
            self.on_step(step)
        if step in self.loss_at:
            loss = loss * self.loss_at[step]
        self.losses.append(float(loss.detach()))
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        hr = batch["hr"]
        lr = nn.functional.avg_pool2d(hr, 2)
        bicubic = nn.functional.interpolate(lr, scale_factor=2, mode="bicubic").clamp(0, 1)
        sr = self.net(bicubic).clamp(0, 1)
        self.val_seen += 1
        if self.on_val is not None:
            self.on_val(self.val_seen)
        value = self.psnr(self.trainer.global_step) if self.psnr else -10 * torch.log10((sr - hr).square().mean())
        self.log("val/psnr", torch.as_tensor(value, dtype=torch.float32), on_epoch=True, batch_size=len(hr))
        return {"lr": lr, "sr": sr, "bicubic": bicubic, "hr": hr}

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 9], gamma=0.5)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def make_trainer(root: Path, callbacks: list[pl.Callback], **arguments: Any) -> pl.Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "max_steps": 12,
        "val_check_interval": 4,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "default_root_dir": root,
        "plugins": [AtomicCheckpointIO()],
    }
    return pl.Trainer(callbacks=callbacks, **(defaults | arguments))
