"""What every technique promises.

A technique is a LightningModule whose constructor takes plain typed arguments; it never reads the
config. ``conf/technique/NAME.yaml`` holds its ``_target_`` and the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import nn

from octosr.errors import MissingWeightsError
from octosr.techniques.weights import load_checkpoint_weights
from octosr.typed import typed


class Technique(pl.LightningModule):
    """What both families share.

    Args:
        name: the name under which checkpoints, images and scores of this technique are filed.

    Attributes:
        record_passes: set by ``hardware.cuda_graphs``, see :meth:`may_record_passes`.
    """

    trainable: ClassVar[bool] = True
    """False for baselines with nothing to learn: they need no weights and cannot be trained."""
    pretrained: ClassVar[bool] = False
    """True where the weights come from elsewhere: it takes weights although nothing here trains it."""
    needs_grad: ClassVar[bool] = False
    """True where inference itself optimises on the image, so autograd must be on."""
    run_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that say what a run trains and not what the network is: a resumed run may have others."""
    inference_settings: ClassVar[tuple[str, ...]] = ()
    """Settings that say how images are made with trained weights: asked for anew, whatever training was given."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.record_passes = False

    @property
    def published_steps(self) -> int:
        """Optimiser steps of the published training, used when no length is given; -1: none is known."""
        return -1

    def load_weights(self, paths: Sequence[Path]) -> str:
        """Load weights from files: one of our checkpoints here; techniques add official releases.

        Returns:
            One line that says what was loaded.

        Raises:
            WrongWeightsError: a file does not fit this technique.
        """
        return load_checkpoint_weights(self, paths)

    @classmethod
    def own_weights(cls, arguments: Mapping[str, Any]) -> list[Path]:
        """The weight files of a pretrained technique where none are given.

        Args:
            arguments: the technique's settings.

        Raises:
            MissingWeightsError: it brings none, or they are not here; the message says how to get them.
        """
        raise MissingWeightsError(
            f"technique={arguments['name']} runs a network that you give: weights=FILE (.pth, .ckpt, .safetensors), "
            f"an address with its hash (weights='https://...#sha256=...'), or a name: {typed('prepare')} weights=list."
        )

    def described(self) -> dict[str, Any]:
        """What there is to say of the network beyond settings and files, as plain values, for the record of a run."""
        return {}

    def networks(self) -> list[nn.Module]:
        """The networks worth compiling, each called as a module; those with parameters directly below this one."""
        return [child for child in self.children() if next(child.parameters(), None) is not None]

    def may_record_passes(self) -> bool:
        """Whether training may replay recorded passes (:mod:`octosr.nn.graphs`): on request, and on one GPU only.

        Gradients are then overwritten by the next pass, so they may not be added up over several batches; other
        processes' gradients are exchanged by hooks that a replay would not call.
        """
        if not self.record_passes or self.device.type != "cuda" or not torch.is_grad_enabled():
            return False
        return self.trainer.world_size == 1 and self.trainer.accumulate_grad_batches == 1

    def compile_networks(self) -> None:
        """Compile the networks in place: names in the state dict stay as they are."""
        for network in self.networks():
            network.compile()
