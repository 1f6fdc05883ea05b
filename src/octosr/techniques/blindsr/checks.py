"""Checks of BlindSR's arguments; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from octosr.errors import ConfigError, nearest


def choice(key: str, value: Any, choices: Sequence[Any]) -> None:
    """One of a few values."""
    if value not in choices:
        hint = nearest(str(value), [str(c) for c in choices])
        raise ConfigError(f"technique.{key} must be one of {list(choices)}, but got {value!r}.{hint}")


def stages(scales: Sequence[int]) -> None:
    """One or more of 2, 4 and 8; the same one may come several times."""
    if not scales:
        raise ConfigError("technique.stages is empty: it takes scales out of 2, 4, 8, for example [2,2,2].")
    for scale in scales:
        choice("stages (each)", scale, (2, 4, 8))


def at_least(values: Mapping[str, float], least: float) -> None:
    """Numbers of a least size, by name."""
    for key, value in values.items():
        if value < least:
            raise ConfigError(f"technique.{key} must be at least {least:g}, but got {value}.")


def above_zero(values: Mapping[str, float]) -> None:
    """Numbers above zero, by name."""
    for key, value in values.items():
        if value <= 0:
            raise ConfigError(f"technique.{key} must be above 0, but got {value}.")


def shares(values: Mapping[str, float]) -> None:
    """Numbers from 0 to 1, by name."""
    for key, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"technique.{key} is a share from 0 to 1, but got {value}.")


def sigmas(bounds: Sequence[float]) -> tuple[float, float]:
    """The smallest and the largest standard deviation in LR pixels."""
    pair = tuple(float(value) for value in bounds)
    if len(pair) != 2 or not 0 < pair[0] < pair[1]:
        raise ConfigError(
            f"technique.sigmas must be [smallest,largest] in LR pixels, 0 < smallest < largest, not {list(bounds)}."
        )
    return pair[0], pair[1]
