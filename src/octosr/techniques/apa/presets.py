"""The published settings of training, by the name of the public code's ``--cfg``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from octosr.errors import ConfigError, nearest

Name = Literal["auto", "stylegan2", "paper256", "paper512", "paper1024"]
PUBLISHED_KIMG = 25_000.0


@dataclass(frozen=True)
class Preset:
    """Settings of a training.

    Attributes:
        batch: images an iteration, over all processes.
        group: images whose spread the discriminator compares.
        width: factor on feature maps.
        learning_rate: of both networks.
        r1_gamma: weight of R1.
        ema_kimg: half-life of the generator's moving average, in thousands of images.
        ema_rampup: the half-life is at most this part of the images shown so far; None: no such limit.
        mapping_layers: of the mapping network.
    """

    batch: int
    group: int
    width: float
    learning_rate: float
    r1_gamma: float
    ema_kimg: float
    ema_rampup: float | None
    mapping_layers: int


_FIXED = {
    "stylegan2": Preset(32, 4, 1.0, 0.002, 10.0, 10.0, None, 8),
    "paper256": Preset(64, 8, 0.5, 0.0025, 1.0, 20.0, None, 8),
    "paper512": Preset(64, 8, 1.0, 0.0025, 0.5, 20.0, None, 8),
    "paper1024": Preset(32, 4, 1.0, 0.002, 2.0, 10.0, None, 8),
}


def preset(name: str, resolution: int, batch: int | None = None, processes: int = 1) -> Preset:
    """A preset; ``auto`` depends on the resolution, and on the batch that is really used.

    Args:
        name: see :data:`Name`.
        resolution: R.
        batch: images an iteration, over all processes; None: the one that ``auto`` proposes.
        processes: how many.

    Raises:
        ConfigError: an unknown name.

    >>> preset("auto", 1024).batch, round(preset("auto", 1024).r1_gamma, 1)
    (4, 52.4)
    """
    if name in _FIXED:
        return _FIXED[name]
    if name != "auto":
        choices = get_args(Name)
        raise ConfigError(f"technique.cfg must be one of {', '.join(choices)}, not {name!r}.{nearest(name, choices)}")
    if batch is None:
        batch = max(min(processes * min(4096 // resolution, 32), 64), processes)
    return Preset(
        batch=batch,
        group=min(max(batch // processes, 1), 4),
        width=1.0 if resolution >= 512 else 0.5,
        learning_rate=0.002 if resolution >= 1024 else 0.0025,
        r1_gamma=0.0002 * resolution**2 / batch,
        ema_kimg=batch * 10 / 32,
        ema_rampup=0.05,
        mapping_layers=2,
    )


def describe(name: str, resolution: int, batch: int, processes: int, r1_gamma: float) -> str:
    """One line on a run's batch beside the preset's, since the other settings were chosen for that.

    >>> print(describe("auto", 1024, 8, 1, 26.2))
    cfg=auto: 8 images an iteration (data.batch_size times processes; published: 4), R1 gamma 26.2
    """
    published = preset(name, resolution, None, processes).batch
    return (
        f"cfg={name}: {batch} images an iteration (data.batch_size times processes; published: {published}), "
        f"R1 gamma {r1_gamma:.3g}"
    )
