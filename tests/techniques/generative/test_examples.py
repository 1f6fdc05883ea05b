"""The examples in the docstrings of what belongs to the generative family are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "octosr.data.seeds",
    "octosr.data.whole",
    "octosr.callbacks.length",
    "octosr.nn.average",
    "octosr.techniques.gradients",
    "octosr.nn.precision",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0
    assert found.attempted > 0
