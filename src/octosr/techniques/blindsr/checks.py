"""Checks of arguments that BlindSR alone has; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Sequence

from octosr.errors import ConfigError
from octosr.techniques.checks import choice


def check_stages(scales: Sequence[int]) -> None:
    """One or more of 2, 4 and 8; the same one may come several times."""
    if not scales:
        raise ConfigError("technique.stages is empty: it takes scales out of 2, 4, 8, for example [2,2,2].")
    for scale in scales:
        choice("stages (each)", scale, (2, 4, 8))


def check_sigmas(bounds: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest standard deviation in LR pixels."""
    pair = tuple(float(value) for value in bounds)
    if len(pair) != 2 or not 0 < pair[0] < pair[1]:
        raise ConfigError(
            f"technique.sigmas must be [smallest,largest] in LR pixels, 0 < smallest < largest, not {list(bounds)}."
        )
    return pair[0], pair[1]
