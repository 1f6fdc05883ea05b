"""Checks of DAN's arguments; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from octosr.errors import ConfigError
from octosr.techniques.dan.layers import PIXEL_SHUFFLES


def choice(key: str, value: Any, choices: Sequence[Any]) -> None:
    """One of a few values."""
    if value not in choices:
        raise ConfigError(f"technique.{key} must be one of {list(choices)}, but got {value!r}.")


def stages(scales: Sequence[int]) -> None:
    """Different scales that DAN can be built for."""
    if not scales or len(set(scales)) != len(scales):
        raise ConfigError(f"technique.stages must be one or more different scales, but got {list(scales)}.")
    for scale in scales:
        choice("stages (each)", scale, tuple(PIXEL_SHUFFLES))


def positive(values: Mapping[str, float]) -> None:
    """Numbers above zero, by name."""
    for key, value in values.items():
        if value <= 0:
            raise ConfigError(f"technique.{key} must be above 0, but got {value}.")


def betas(values: Sequence[float]) -> tuple[float, float]:
    """Adam's two decay rates."""
    if len(values) != 2 or not all(0 <= value < 1 for value in values):
        raise ConfigError(f"technique.betas must be two numbers from 0 to below 1, but got {list(values)}.")
    return float(values[0]), float(values[1])


def components(lengths: Mapping[int, int], scale: int, kernel_size: int) -> None:
    """Length of the kernel code at a scale."""
    if scale not in lengths:
        raise ConfigError(f"technique.pca_components has no entry for x{scale}: it has {dict(lengths)}.")
    if not 1 <= lengths[scale] <= kernel_size**2:
        raise ConfigError(
            f"technique.pca_components.{scale} is {lengths[scale]}, but must be 1 to {kernel_size**2}, "
            f"the number of taps of the x{scale} kernels."
        )
