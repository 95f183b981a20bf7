"""docs/hooks has a page for each hook: its examples run, its mistakes are caught."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from rmqueue import hookspecs
from rmqueue.check import CHECKS
from rmqueue.errors import RmqueueError
from rmqueue.registry import Registry
from rmqueue.testing.checklist import Subject, perform
from tests.meta.documents import blocks, commands_of, lasting, rmqueue
from tests.meta.hook_pages import (
    FIELDS,
    FOLDER,
    PAGES,
    Mistake,
    document,
    mistakes,
    with_fields,
)
from tests.meta.test_docs import HOOKS, PLUGINS

COMMANDS = [
    (page, command, output)
    for page in PAGES
    for _, command, output in commands_of(blocks(document(page)))
]
MISTAKES = [(page, mistake) for page in PAGES for mistake in mistakes(page)]


def install(page: Path, folder: Path) -> Path:
    """Write the files of a page."""
    for block in blocks(document(page)):
        if block.file:
            (folder / block.file).write_text(block.body, encoding="utf-8")
    return folder


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_page(hook: str) -> None:
    text = (FOLDER / f"{hook}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {hook}\n")
    assert f"](../docs/hooks/{hook}.md)" in PLUGINS, "link it in plugins/README.md"
    for heading in ("What it returns", "When it is called", "Package it"):
        assert f"\n## {heading}\n" in text
    assert "$ rmqueue check " in text
    assert "`rmqueue new" in text
    (returned,) = get_args(get_type_hints(getattr(hookspecs, hook))["return"])
    records: Any = get_args(returned) or (returned,)
    assert {match[1] for match in FIELDS.finditer(text)} == {
        record.__name__ for record in records
    }
    for record in records:
        for field in dataclasses.fields(record):
            assert re.search(rf"^\| .*`{field.name}`.* \|", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tables_of_fields_are_fresh(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_fields(text) == text, "run: python -m tests.meta.refresh_readme"


def test_no_page_is_left_over() -> None:
    assert sorted(page.stem for page in PAGES) == sorted(HOOKS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "command", "output"),
    [pytest.param(*found, id=found[1]) for found in COMMANDS],
)
def test_commands(page: Path, command: str, output: str, tmp_path: Path) -> None:
    printed = rmqueue(command, install(page, tmp_path))
    assert lasting(printed) == lasting(output), (
        f"run: python -m tests.meta.refresh_readme {document(page)}"
    )


def said(path: Path) -> str:
    """What is said of a file that is wrong: when it is loaded, or by a check."""
    registry = Registry()
    try:
        entries = registry.add_file(path)
    except RmqueueError as error:
        return str(error)
    for entry in entries:
        subject = Subject(entry.kind, entry.record, registry, str(path))
        for check in CHECKS[entry.kind]:
            result = perform(check, subject)
            if result.failed:
                return result.message
    return ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "mistake"),
    [pytest.param(page, one, id=f"{page.stem}-{one.writes}") for page, one in MISTAKES],
)
def test_mistakes(page: Path, mistake: Mistake, tmp_path: Path) -> None:
    assert mistake.block.file
    path = install(page, tmp_path) / mistake.block.file
    assert mistake.instead_of in mistake.block.body
    wrong = mistake.block.body.replace(mistake.instead_of, mistake.writes, 1)
    path.write_text(wrong, encoding="utf-8")
    message = said(path)
    assert mistake.told in message
    assert path.stem in message or "file" in message


def test_every_page_has_mistakes() -> None:
    assert {page for page, _ in MISTAKES} == set(PAGES)
    assert len(MISTAKES) > 30
