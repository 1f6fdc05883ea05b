"""Durations as people write and read them. No torch here."""

from __future__ import annotations

import re
from datetime import timedelta

from octosr.errors import ConfigError

Duration = str | float | timedelta | None

_UNITS = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_CLOCK = re.compile(r"(?:(\d+)[-:])?(\d+):(\d\d):(\d\d)")
_SECONDS = (86400.0, 3600.0, 60.0, 1.0)


def parse_duration(value: Duration, key: str = "duration") -> float | None:
    """A duration in seconds.

    Args:
        value: seconds, or ``4d``, ``12h``, ``90m``, ``30s``, ``3d12h``, ``HH:MM:SS``, ``DD:HH:MM:SS``
            (``D-HH:MM:SS`` as SLURM writes it); None for no limit.
        key: the setting it comes from, for the message.

    Raises:
        ConfigError: not a duration, or negative.

    >>> parse_duration("3d12h"), parse_duration("04:00:00"), parse_duration(90)
    (302400.0, 14400.0, 90.0)
    """
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    text = str(value).strip().lower()
    found = _CLOCK.fullmatch(text) or (_UNITS.fullmatch(text) if text else None)
    if found is not None:
        return sum(float(number or 0) * unit for number, unit in zip(found.groups(), _SECONDS, strict=True))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigError(
            f"{key}={value} is not a duration. Write 4d, 12h, 90m, 3d12h, HH:MM:SS, DD:HH:MM:SS or a number of seconds."
        )
    return seconds


def format_duration(seconds: float) -> str:
    """A duration for people, in its two largest units.

    >>> format_duration(302400), format_duration(59.4)
    ('3d 12h', '59s')
    """
    rest, parts = round(seconds), []
    for unit, letter in zip((86400, 3600, 60, 1), "dhms", strict=True):
        count, rest = divmod(rest, unit)
        if count:
            parts.append(f"{count}{letter}")
    return " ".join(parts[:2]) or "0s"
