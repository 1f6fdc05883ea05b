"""The card in every checkpoint that says what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from octosr.callbacks.atomic_io import require_plain


class RunCard(Callback):
    """Puts a plain description of the run into every checkpoint, under ``checkpoint["octosr"]``.

    Args:
        card: what the weights were made with: the technique's arguments, dataset, kind of data, versions, seed.

    Raises:
        TypeError: the card holds something that is not a plain value; the message says where.
    """

    def __init__(self, card: Mapping[str, Any]) -> None:
        self.card = dict(card)
        require_plain(self.card, "card")

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the card."""
        checkpoint["octosr"] = self.card
