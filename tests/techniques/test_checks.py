"""Checks of arguments: what passes, and messages that name the key and the value."""

from __future__ import annotations

import pytest

from octosr.errors import ConfigError
from octosr.techniques import checks


def test_values_in_range_pass() -> None:
    checks.choice("phase", "all", ("one", "all"))
    checks.at_least({"steps": 0, "layers": 3}, 0)
    checks.above_zero({"rate": 1e-9})
    checks.shares({"low": 0, "high": 1})
    assert checks.kernel_sizes((2, 4), {2: 25, 4: 49, 8: 97}) == {2: 25, 4: 49, 8: 97}


def test_choice_proposes_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"technique\.phase must be one of \['one', 'all'\], but got 'al'.*'all'"):
        checks.choice("phase", "al", ("one", "all"))


def test_numbers_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"technique\.layers must be at least 3, but got 2\."):
        checks.at_least({"steps": 3, "layers": 2}, 3)
    with pytest.raises(ConfigError, match=r"technique\.rate must be above 0, but got 0\."):
        checks.above_zero({"rate": 0})
    for value in (-0.1, 1.1):
        with pytest.raises(ConfigError, match=rf"technique\.mosaic is a share from 0 to 1, but got {value}\."):
            checks.shares({"mosaic": value})


def test_scale_without_a_kernel_size_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"technique\.kernel_sizes has no entry for x4: it has \{2: 25\}\."):
        checks.kernel_sizes((2, 4), {2: 25})
