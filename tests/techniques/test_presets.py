"""Settings that begin with a preset."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from octosr.errors import ConfigError
from octosr.techniques.presets import from_preset

PRESETS = {"fast": {"steps": 3}, "paper": {"steps": 50, "rate": 0.5}}


@dataclass(frozen=True)
class Settings:
    """Three settings, the last one not the user's."""

    steps: int = 10
    rate: float = 0.1
    seed: int = 0


def make(settings: dict[str, object]) -> Settings:
    return from_preset(Settings, "technique.tuning", PRESETS, settings, seed=7)


def test_what_is_given_goes_before_the_preset_and_that_before_the_defaults() -> None:
    assert make({}) == Settings(3, 0.1, 7)
    assert make({"preset": "paper"}) == Settings(50, 0.5, 7)
    assert make({"preset": "paper", "steps": 4}) == Settings(4, 0.5, 7)


def test_none_stands_for_the_presets_value() -> None:
    assert make({"steps": None, "rate": 0.2}) == Settings(3, 0.2, 7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "papr"}, r"technique\.tuning\.preset must be one of fast, paper, but got 'papr'.*'paper'"),
        ({"step": 1}, r"technique\.tuning has no setting 'step'.*'steps'"),
        ({"seed": 1}, r"technique\.tuning has no setting 'seed'"),
    ],
)
def test_unknown_names_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(settings)
