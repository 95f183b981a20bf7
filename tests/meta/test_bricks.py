"""docs/bricks.md has every brick, field and constant, and its programs run."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

from rmqueue.mm.mmzone import BATCH, ZONE
from tests.meta.documents import Block, blocks, lasting, run_program, where
from tests.meta.refresh_bricks import CONSTANTS, FIELDS, PAGE, functions, names_in, page
from tests.meta.sources import STRANGER, imports, python_files, shown, tree

TEXT = PAGE.read_text(encoding="utf-8")
PROGRAMS = [block for block in blocks("docs/bricks.md") if block.language == "python"]
STRATEGIES = python_files(
    "strategies/rmqueue_strategies", f"{STRANGER}/rmqueue_bestfit"
)


def test_the_page_is_fresh() -> None:
    assert page() == TEXT, "run: python -m tests.meta.refresh_bricks"


@pytest.mark.parametrize(
    ("module", "function"), [(module, f) for _, module, f in functions()]
)
def test_bricks_have_a_docstring_and_types(module: str, function: object) -> None:
    assert callable(function)
    assert inspect.getdoc(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty


@pytest.mark.parametrize("path", STRATEGIES, ids=shown)
def test_what_strategies_use_is_there(path: Path) -> None:
    """Every brick, constant and field; what they use is open to all."""
    for node in ast.walk(tree(path)):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if isinstance(node, ast.ImportFrom) and module and ".mm." in module:
            missing = [a.name for a in node.names if a.name not in words()]
            assert not missing, f"{shown(path)}: add {missing} to refresh_bricks.py"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            rows = FIELDS.get(node.value.id, {}) if node.value.id != "st" else {}
            fields = [name for row in rows for name in names_in(row)]
            assert not rows or node.attr in fields, f"add {node.attr} to FIELDS"


def words() -> set[str]:
    """Names in back-quotes and headings, and what marks a function."""
    quoted = {part for line in TEXT.splitlines() for part in line.split("`")[1::2]}
    headings = {line[4:] for line in TEXT.splitlines() if line.startswith("### ")}
    return quoted | headings | {"jit", "strategy"}


def test_strategies_import_only_what_is_public() -> None:
    found = {
        name
        for path in STRATEGIES
        for _, name in imports(path)
        if name.startswith("rmqueue.mm")
    }
    assert found
    assert not [name for name in found if name.rpartition(".")[2].startswith("_")]


def test_fields_exist() -> None:
    for record, dtype in (("zone", ZONE), ("batch", BATCH)):
        for row in FIELDS[record]:
            assert set(names_in(row)) <= set(dtype.names or ())


def test_constants_exist() -> None:
    for module, rows in CONSTANTS.items():
        for row in rows:
            for name in names_in(row):
                assert hasattr(import_module(module), name), name


@pytest.mark.slow
@pytest.mark.parametrize("block", PROGRAMS, ids=where)
def test_its_programs_print_what_is_shown(block: Block, tmp_path: Path) -> None:
    assert block.file
    assert block.prints
    (tmp_path / block.file).write_text(block.body, encoding="utf-8")
    assert lasting(run_program(block, tmp_path)) == lasting(block.prints)
