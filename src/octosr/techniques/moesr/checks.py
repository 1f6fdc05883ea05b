"""Checks of MoESR's arguments; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from octosr.errors import ConfigError, nearest
from octosr.techniques.moesr.grid import EXPERTS


def choice(key: str, value: Any, choices: Sequence[Any]) -> None:
    """One of a few values."""
    if value not in choices:
        hint = nearest(str(value), [str(c) for c in choices])
        raise ConfigError(f"technique.{key} must be one of {list(choices)}, but got {value!r}.{hint}")


def stages(scales: Sequence[int]) -> None:
    """Different scales out of 2, 4 and 8."""
    if not scales or len(set(scales)) != len(scales):
        raise ConfigError(f"technique.stages must be one or more different scales, but got {list(scales)}.")
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


def expert(number: int | None) -> None:
    """One of the 25, or None."""
    if number is not None and not 0 <= number < len(EXPERTS):
        raise ConfigError(f"technique.expert must be 0 to {len(EXPERTS) - 1}, or null for all, but got {number}.")
