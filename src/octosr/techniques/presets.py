"""Settings that begin with a preset: a named set of values, and what a user has otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from octosr.errors import ConfigError, nearest

Settings = TypeVar("Settings")


def from_preset(
    made: type[Settings], key: str, presets: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any], **fixed: Any
) -> Settings:
    """Settings from a preset (``preset``: fast if not given) and what differs from it.

    Args:
        made: a dataclass of settings.
        key: where the settings stand in the configuration, for messages.
        presets: values by the presets' names.
        settings: what is given; None stands for the preset's value.
        fixed: values that cannot be given.

    Raises:
        ConfigError: an unknown preset or setting.
    """
    given = {name: value for name, value in settings.items() if value is not None and name != "preset"}
    preset = str(settings.get("preset", "fast"))
    if preset not in presets:
        raise ConfigError(
            f"{key}.preset must be one of {', '.join(sorted(presets))}, but got {preset!r}.{nearest(preset, presets)}"
        )
    known = [f.name for f in fields(made) if f.name not in fixed]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise ConfigError(f"{key} has no setting {name!r}.{nearest(str(name), known)}")
    return made(**{**presets[preset], **given, **fixed})
