"""Checks of APA's arguments; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Mapping

from octosr.errors import ConfigError

AUGMENTATIONS = ("none", "bgc", "bgc_upright")


def resolution(side: int) -> None:
    """A power of two from 8 on."""
    if side < 8 or side & (side - 1):
        raise ConfigError(f"technique.resolution must be a power of two from 8 on, but is {side}.")


def sizes(given: Mapping[str, float]) -> None:
    """Settings given in place of a preset's, by name: above zero, R1's weight from zero on."""
    for key, value in given.items():
        if value < 0 or (value == 0 and key != "r1_gamma"):
            raise ConfigError(f"technique.{key} must be above 0, or null for what technique.cfg says, but is {value}.")


def training(g_interval: int, d_interval: int, path_weight: float, mixing: float, augment: str) -> None:
    """How the networks are trained."""
    if min(g_interval, d_interval) < 1 or path_weight < 0:
        raise ConfigError(
            "technique.g_interval and d_interval must be 1 or more and path_weight 0 or more, but they are "
            f"{g_interval}, {d_interval} and {path_weight}."
        )
    if not 0 <= mixing <= 1:
        raise ConfigError(f"technique.mixing is a probability, from 0 to 1, but is {mixing}.")
    if augment not in AUGMENTATIONS:
        raise ConfigError(f"technique.augment must be one of {', '.join(AUGMENTATIONS)}, not {augment!r}.")
