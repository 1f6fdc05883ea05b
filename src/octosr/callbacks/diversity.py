"""The mode-collapse alarm: while a generative technique trains, are its samples varied, and are they not copies?"""

from __future__ import annotations

import logging
import math
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from octosr.callbacks.length import KimgInterval
from octosr.callbacks.samples import samples
from octosr.errors import ConfigError
from octosr.metrics.functional.diversity import (
    FAIL_BELOW,
    FAR_ABOVE,
    GAP_ABOVE,
    WARN_BELOW,
    Diversity,
    diversity,
    findings,
)
from octosr.techniques.base import GenerativeTechnique

log = logging.getLogger(__name__)

MOST_REALS = 1000
"""Real images looked at, the first ones: beyond that all distances between them would take minutes."""


class DiversityAlarm(Callback):
    """Measures every so many kimg how varied the samples are against the training images, and warns with the figures.

    Logs ``diversity/pairwise_ratio``, ``nearest_ratio``, ``gap`` and ``copies``, see
    :mod:`octosr.metrics.functional.diversity`. There is a warning when things get worse (fine, suspect, failed): a long
    collapse does not fill the log; the figures are logged each time. Needs no weights and no network.

    Args:
        every_kimg: thousands of images shown between two looks; 0: none.
        samples: images of seeds 0, 1, ... to look at.
        warn_below: ratio to the real images below which there is a warning.
        fail_below: ratio below which it is an error.
        far_above: ratio above which samples are unlike the training images, a warning too.
        gap_above: gap above which they are, as a set, as before training.

    Raises:
        ConfigError: limits that are no limits.
    """

    def __init__(
        self,
        every_kimg: float = 20.0,
        samples: int = 100,
        warn_below: float = WARN_BELOW,
        fail_below: float = FAIL_BELOW,
        far_above: float = FAR_ABOVE,
        gap_above: float = GAP_ABOVE,
    ) -> None:
        if samples < 2:
            raise ConfigError(f"diversity.samples must be 2 or more, to be compared with each other, but is {samples}.")
        if not 0 <= fail_below <= warn_below:
            raise ConfigError(
                f"diversity.fail_below={fail_below:g} must not be above diversity.warn_below={warn_below:g}."
            )
        self.samples, self.warn_below, self.fail_below = samples, warn_below, fail_below
        self.far_above, self.gap_above = far_above, gap_above
        self.last: Diversity | None = None
        self._interval = KimgInterval(every_kimg)
        self._worst: dict[str, str] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from where training goes on."""
        if isinstance(pl_module, GenerativeTechnique):
            self._interval.start(pl_module.kimg)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any) -> None:
        """Look when the interval has passed, and after the last step."""
        if not isinstance(pl_module, GenerativeTechnique) or self._interval.every <= 0:
            return
        due = self._interval.due(pl_module.kimg)
        if (due or trainer.should_stop) and trainer.is_global_zero:
            self._look(trainer, pl_module)

    @torch.no_grad()
    def _look(self, trainer: pl.Trainer, technique: GenerativeTechnique) -> None:
        self.last = found = diversity(samples(trainer, technique, self.samples), _reals(trainer, technique.device))
        values = {
            "diversity/pairwise_ratio": found.pairwise_ratio,
            "diversity/nearest_ratio": found.nearest_ratio,
            "diversity/gap": found.gap,
            "diversity/copies": found.copies(self.fail_below),
        }
        for logger in trainer.loggers:
            known = {key: value for key, value in values.items() if not math.isnan(value)}
            logger.log_metrics(known, step=trainer.global_step)
        lines = findings(found, self.warn_below, self.fail_below, self.far_above, self.gap_above)
        now = {line.split(":")[0]: severity for severity, line in lines}
        for severity, line in lines:
            what = line.split(":")[0]
            if severity != self._worst.get(what) and self._worst.get(what) != "fail":
                say = log.error if severity == "fail" else log.warning
                say("%s at %g kimg: %s", technique.name, technique.kimg, line)
        self._worst = now
        log.info(
            "kimg %g  diversity: pairs %.2fx and nearest training image %.2fx of the real images' distance, gap %.3f",
            technique.kimg, found.pairwise_ratio, found.nearest_ratio, found.gap,
        )  # fmt: skip


def _reals(trainer: pl.Trainer, device: torch.device) -> Tensor:
    """The training images, as the technique is shown them."""
    return trainer.datamodule.whole_images(device).pixels[:MOST_REALS].to(device)  # type: ignore[attr-defined]
