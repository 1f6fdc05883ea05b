"""Values to text, and data inside a script element."""

import doctest
import json

import numpy as np
import pandas as pd
import pytest

from octosr.study.page import picks, pictures, sources, text
from octosr.study.page.text import cell_text, checked_key, fact_text, number_text, printable, script_json


@pytest.mark.parametrize("module", [text, sources, picks, pictures])
def test_examples(module):
    result = doctest.testmod(module, extraglobs={"np": np, "Path": sources.Path})
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (14.9996, 3, "15.000"),
        (-0.25, 2, "\N{MINUS SIGN}0.25"),
        (0.0004, 3, "<0.001"),
        (-0.0004, 3, ">\N{MINUS SIGN}0.001"),
        (0.0, 3, "0.000"),
        (7000, None, "7000"),
        (np.float64(1.0), None, "1"),
        (1e-9, None, "1e-09"),
        (float("inf"), 2, "∞"),
    ],
)
def test_numbers(value, digits, shown):
    assert number_text(value, digits) == shown


@pytest.mark.parametrize("value", [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT])
def test_what_is_missing_says_so(value):
    assert cell_text(value, 3, "not scored") == "not scored"


def test_cells_that_are_no_numbers():
    assert cell_text((3, 1, 10), None, "") == "3 / 1 / 10"
    assert cell_text(True, 2, "") == "yes"
    assert cell_text(np.bool_(False), 2, "") == "no"
    assert fact_text({"pandas": "3", "seeds": [1, 2]}) == "pandas: 3, seeds: 1, 2"


def test_names_that_cannot_be_shown_are_made_showable():
    assert printable(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == "caf\N{REPLACEMENT CHARACTER}.png"
    assert "\u202e" not in printable("abc\u202egnp.exe")


def test_json_cannot_leave_its_script_element():
    hostile = {"name": "</script><script>alert(1)</script><!-- & \u2028\u2029 '"}
    written = str(script_json(hostile))
    assert written.isascii()
    assert not set("<>&") & set(written)
    assert json.loads(written) == hostile


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json({"value": float("nan")})


@pytest.mark.parametrize("key", ["", "a b", 'x"onload="', "../x", "é"])
def test_keys_are_file_names(key):
    with pytest.raises(ValueError, match="may hold"):
        checked_key(key)
