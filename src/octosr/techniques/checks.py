"""Checks of techniques' arguments; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from octosr.errors import ConfigError, nearest


def choice(key: str, value: Any, choices: Sequence[Any]) -> None:
    """One of a few values."""
    if value not in choices:
        hint = nearest(str(value), [str(c) for c in choices])
        raise ConfigError(f"technique.{key} must be one of {list(choices)}, but got {value!r}.{hint}")


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


def kernel_sizes(scales: Sequence[int], sizes: Mapping[int, int]) -> dict[int, int]:
    """The side of the blur kernels at every scale; returns all of them, as plain integers."""
    found = {int(scale): int(size) for scale, size in sizes.items()}
    for scale in scales:
        if scale not in found:
            raise ConfigError(f"technique.kernel_sizes has no entry for x{scale}: it has {found}.")
    return found
