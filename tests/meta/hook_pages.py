"""The pages of docs/hooks: their tables of fields, and their tables of mistakes."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmqueue import types
from tests.meta.documents import Block, blocks
from tests.meta.sources import ROOT

FOLDER = ROOT / "docs" / "hooks"
PAGES = sorted(FOLDER.glob("rmqueue_*.md"))
#: A table of fields stands behind such a line, up to the next empty one.
FIELDS = re.compile(r"^<!-- fields: (\w+) -->\n(?:\|.*\n)*", re.MULTILINE)
HEAD = "| instead of | one writes | and is told |"
ROW = re.compile(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$")


@dataclass(frozen=True)
class Mistake:
    """A row of a table of mistakes, and the file in which it is made."""

    block: Block
    instead_of: str
    writes: str
    told: str


def document(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def fields_of(name: str) -> str:
    """The table of a record's fields, from its docstring."""
    record: Any = getattr(types, name)
    defaults = {
        field.name: "needed"
        if field.default is field.default_factory is dataclasses.MISSING
        else "optional"
        for field in dataclasses.fields(record)
    }
    section = (inspect.getdoc(record) or "").split("Attributes\n----------\n")[1]
    lines = [f"<!-- fields: {name} -->", "| field | | type | is |", "|---|---|---|---|"]
    for entry in re.split(r"\n(?=\S)", section.strip()):
        head, _, words = entry.partition("\n")
        names, _, kind = head.partition(" : ")
        listed = names.split(", ")
        quoted = ", ".join(f"`{one}`" for one in listed)
        plain = " ".join(words.split()).replace("``", "`").replace("|", "\\|")
        lines.append(f"| {quoted} | {defaults[listed[0]]} | {kind} | {plain} |")
    return "\n".join(lines) + "\n"


def with_fields(text: str) -> str:
    """A page with fresh tables of fields."""
    return FIELDS.sub(lambda match: fields_of(match[1]), text)


def mistakes(page: Path) -> Iterator[Mistake]:
    """Every mistake of a page; it is made in the program above its table."""
    programs = [b for b in blocks(document(page)) if b.language == "python" and b.file]
    at: Block | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line == HEAD:
            at = [block for block in programs if block.line < number][-1]
        elif (match := ROW.match(line)) and at is not None:
            yield Mistake(at, match[1], match[2], match[3])
        elif not line.startswith("|"):
            at = None
