"""What a generative technique is evaluated on: seeds in place of LR images, one image a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from octosr.data.loaders import shard


def sample_names(count: int) -> dict[str, int]:
    """The names of a dataset's generated images and their seeds, as StyleGAN2's sampler names its files.

    Image i of a dataset is seed i, and there are as many as the dataset has LR images.

    >>> sample_names(2)
    {'seed0000': 0, 'seed0001': 1}
    """
    return {f"seed{seed:04d}": seed for seed in range(count)}


class SeedLoader:
    """Batches of seeds.

    Args:
        seeds: name of an image -> its seed.
        batch_size: largest batch.
    """

    def __init__(self, seeds: Sequence[tuple[str, int]], batch_size: int) -> None:
        self.batches = [seeds[n : n + batch_size] for n in range(0, len(seeds), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches:
            yield {
                "name": [name for name, _ in batch],
                "seed": torch.tensor([seed for _, seed in batch], dtype=torch.int64),
            }


class SeedData(pl.LightningDataModule):
    """The seeds to make images of, shared out over the processes.

    Args:
        seeds: name of an image -> its seed.
        batch_size: largest batch.
    """

    def __init__(self, seeds: dict[str, int], batch_size: int = 4) -> None:
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self.seeds, self.batch_size = dict(seeds), batch_size

    def predict_dataloader(self) -> SeedLoader:
        """This process's share."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        items = list(self.seeds.items())
        return SeedLoader([items[n] for n in shard(range(len(items)), rank, world)], self.batch_size)
