"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import octosr.study

# The page and the figures have tests of their own; check_published is a program.
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(octosr.study.__path__, "octosr.study.")
    if not name.startswith(("octosr.study.page", "octosr.study.figures", "octosr.study.check_published"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_modules_were_found() -> None:
    assert {"octosr.study.ranking", "octosr.study.statistics.pairwise", "octosr.study.sections.rq1"} <= set(MODULES)
