"""The three loaders: none has worker processes, since everything they give is already in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from octosr.data.bank import ImageBank


class TickLoader:
    """Says "one more training step"; the batch itself is made on the training device, when the tick gets there.

    Args:
        steps: ticks an epoch.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.steps):
            yield {"tick": torch.zeros(1, dtype=torch.int64)}

    def state_dict(self) -> dict[str, Any]:
        """Empty: what has been drawn is counted by the data module. Having it tells Lightning that mid-epoch resume
        is exact."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to restore."""


class ValidationLoader:
    """Batches of crops of one size.

    Args:
        crops: (N, 3, V, V) uint8.
        positions: which of them this process does, in order.
        batch_size: largest batch.
        first_id: sample id of crop 0.
    """

    def __init__(self, crops: Tensor, positions: Sequence[int], batch_size: int, first_id: int) -> None:
        self.crops = crops
        self.batches = [list(positions[n : n + batch_size]) for n in range(0, len(positions), batch_size)]
        self.first_id = first_id

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in self.batches:
            yield {"hr": self.crops[batch], "sample_id": self.first_id + torch.tensor(batch, dtype=torch.int64)}


class PredictLoader:
    """Batches of whole LR images, each batch of one size.

    Args:
        bank: the LR images.
        names: name of each.
        positions: which of them this process does, in order.
        batch_size: largest batch.
    """

    def __init__(self, bank: ImageBank, names: Sequence[str], positions: Sequence[int], batch_size: int) -> None:
        self.bank = bank
        self.names = names
        groups: dict[tuple[int, int, bool], list[int]] = {}
        for position in positions:
            groups.setdefault((*bank.size(position), position in bank.deep), []).append(position)
        self.batches = [g[n : n + batch_size] for g in groups.values() for n in range(0, len(g), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.batches:
            yield {
                "name": [self.names[position] for position in batch],
                "lr": torch.stack([self.bank.image(position) for position in batch]).permute(0, 3, 1, 2).contiguous(),
                "index": torch.tensor(batch, dtype=torch.int64),
            }


def shard(positions: Sequence[int], rank: int, world: int) -> list[int]:
    """The positions that process ``rank`` of ``world`` does: each is done by exactly one process."""
    return list(positions[rank::world])


def shard_or_all(positions: Sequence[int], rank: int, world: int) -> list[int]:
    """As :func:`shard`, but with fewer positions than processes every process does all of them.

    For validation: a process without a batch would skip the end of the validation epoch, where the others wait for
    it. The mean over all processes is the same either way.
    """
    return list(positions) if len(positions) < world else shard(positions, rank, world)
