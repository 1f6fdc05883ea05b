"""Checks of the data settings, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from octosr.data.sources import check_name
from octosr.errors import ConfigError, nearest


def check_settings(
    *,
    dataset: str,
    source: str,
    hr_root: Path | str | None,
    on_bad_image: str,
    scale: int,
    multiples: Mapping[str, int | None],
    positive: Mapping[str, int],
    validation_fraction: float,
) -> None:
    """Refuse settings that make no sense; each message names the key.

    Args:
        dataset, source, hr_root, on_bad_image, scale, validation_fraction: as in the data module.
        multiples: settings that must be positive multiples of ``scale``, or None.
        positive: settings that must be 1 or more.

    Raises:
        ConfigError: the first of them that is wrong.
    """
    check_name(dataset)
    _one_of("data.source", source, ("self", "hr_root"))
    _one_of("data.on_bad_image", on_bad_image, ("error", "skip"))
    if source == "hr_root" and hr_root is None:
        raise ConfigError("data.source=hr_root needs the folder: data.hr_root=FOLDER.")
    if source == "self" and hr_root is not None:
        raise ConfigError(f"data.hr_root={hr_root} is used with data.source=hr_root only; set both, or neither.")
    for key, value in {"scale": scale, **{f"data.{key}": value for key, value in positive.items()}}.items():
        if value < 1:
            raise ConfigError(f"{key} must be 1 or more, but is {value}.")
    for key, side in multiples.items():
        if side is not None and (side < scale or side % scale):
            raise ConfigError(
                f"data.{key} must be a multiple of scale={scale}, since LR sides are whole numbers; {side} is not."
            )
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"data.validation_fraction must lie between 0 and 1, but is {validation_fraction}.")


def _one_of(key: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ConfigError(f"{key} must be one of {', '.join(options)}, but is {value!r}.{nearest(str(value), options)}")
