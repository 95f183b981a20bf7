"""The examples in docstrings, of every module, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import rmqueue
import rmqueue_plugins
import rmqueue_strategies

PACKAGES = (rmqueue, rmqueue_plugins, rmqueue_strategies)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_names() -> Iterator[str]:
    for package in PACKAGES:
        yield package.__name__
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield module.name


NAMES = tuple(module_names())


@pytest.mark.parametrize("name", NAMES)
def test_examples_of(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert results.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in NAMES]
    examples = [test for module in modules for test in finder.find(module)]
    assert sum(len(test.examples) for test in examples) > 60
