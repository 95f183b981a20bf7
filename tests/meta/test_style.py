"""Sizes and shapes that STYLE asks for and ruff does not count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.meta.sources import CORE, OURS, STRANGER, python_files, shown, tree

MODULE_LINES, BODY_LINES, JITTED_PARAMETERS = 400, 40, 7
EVERYTHING = python_files(*OURS, STRANGER, "tests", "benchmarks")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: Function) -> int:
    """Lines of a function without its signature and docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    body = function.body[1:] if documented else function.body
    if not body:
        return 0
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def is_jitted(function: Function) -> bool:
    words = (ast.unparse(decorator) for decorator in function.decorator_list)
    return any(word.partition("(")[0] in ("jit", "entry") for word in words)


@pytest.mark.parametrize("path", EVERYTHING, ids=shown)
def test_modules_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MODULE_LINES, f"{shown(path)} has {lines} lines"


@pytest.mark.parametrize("path", EVERYTHING, ids=shown)
def test_functions_are_short(path: Path) -> None:
    long = [
        f"{shown(path)}:{function.lineno}: {function.name} has {body_lines(function)}"
        for function in functions(path)
        if body_lines(function) > BODY_LINES
    ]
    assert not long, f"more than {BODY_LINES} lines of body:\n" + "\n".join(long)


@pytest.mark.parametrize("path", python_files(*OURS, STRANGER), ids=shown)
def test_jitted_functions_take_few_parameters(path: Path) -> None:
    wide = []
    for function in filter(is_jitted, functions(path)):
        arguments = function.args
        names = [
            argument.arg
            for argument in (
                *arguments.posonlyargs,
                *arguments.args,
                *arguments.kwonlyargs,
            )
            if argument.arg != "self"
        ]
        if len(names) > JITTED_PARAMETERS:
            wide.append(f"{shown(path)}:{function.lineno}: {function.name}{names}")
    assert not wide, "a record is missing:\n" + "\n".join(wide)


def test_no_module_is_a_rag_bag() -> None:
    bags = [
        shown(path)
        for path in CORE.rglob("*.py")
        if path.stem in ("utils", "util", "helpers", "common", "misc")
    ]
    assert not bags
