"""Checks of arguments that MoESR alone has; each raises a ConfigError that names the key."""

from __future__ import annotations

from collections.abc import Sequence

from octosr.errors import ConfigError
from octosr.techniques.checks import choice
from octosr.techniques.moesr.grid import EXPERTS


def check_stages(scales: Sequence[int]) -> None:
    """Different scales out of 2, 4 and 8."""
    if not scales or len(set(scales)) != len(scales):
        raise ConfigError(f"technique.stages must be one or more different scales, but got {list(scales)}.")
    for scale in scales:
        choice("stages (each)", scale, (2, 4, 8))


def check_expert(number: int | None) -> None:
    """One of the 25, or None."""
    if number is not None and not 0 <= number < len(EXPERTS):
        raise ConfigError(f"technique.expert must be 0 to {len(EXPERTS) - 1}, or null for all, but got {number}.")
