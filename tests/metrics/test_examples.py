import doctest
import importlib
import pkgutil

import pytest

import octosr.metrics
import octosr.scores

MODULES = [
    name
    for package in (octosr.metrics, octosr.scores)
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_modules_and_examples():
    examples = [
        example
        for name in MODULES
        for test in doctest.DocTestFinder().find(importlib.import_module(name))
        for example in test.examples
    ]
    assert len(MODULES) >= 12
    assert len(examples) >= 20
