"""What ``rmqueue trace info`` prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmqueue.trace.events import ALLOC, EVENT_NAMES, FALLBACK, FREE, LOCKED, MARK
from rmqueue.trace.survey import Survey, survey
from rmqueue.trace_source import open_trace

#: Lines of a list that are shown; how many there are is always said.
SHOWN = 5
GAP = "  "


@dataclass(frozen=True)
class Table:
    """A table: a title, headings, and rows of words; numbers to the right."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def print_info(path: Path) -> None:
    """Print what is in a trace.

    Raises
    ------
    TraceError, UsageError
        It cannot be read.
    """
    source = open_trace(path)
    found = survey(source.chunks())
    for line in facts(found, str(path)):
        print(line)
    shown = [table for table in tables(found) if table.rows]
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        for table in shown:
            console.print(rich_table(table))
        return
    for table in shown:
        print(f"\n{plain(table)}")


def facts(found: Survey, name: str) -> Iterator[str]:
    """Lines about the trace as a whole."""
    kernel = found.about.get("kernel")
    yield f"{name}: {found.about.get('format', 'unknown form')}, " + (
        f"Linux {kernel}" if kernel else "kernel unknown"
    )
    if found.first_us >= 0:
        first, last = found.first_us / 1e6, found.last_us / 1e6
        yield f"{first:.6f} to {last:.6f} s: {last - first:.6f} s"
    events = sum(found.kinds.values())
    yield (
        f"{found.lines:,} lines: {events:,} events, {found.others:,} of other kinds, "
        f"{found.nr_broken:,} broken"
    )
    many = "unknown numbers" if not found.lost_events else f"{found.lost_events:,}"
    yield (
        f"lost events: {many}, in {found.nr_lost:,} places"
        if found.nr_lost
        else "lost events: none"
    )
    if found.failed:
        yield f"{found.failed:,} allocations failed"
    if found.falls:
        yield f"{found.falls:,} events are earlier than the one before"


def tables(found: Survey) -> Iterator[Table]:
    """All tables."""
    names = dict(enumerate(EVENT_NAMES))
    kinds = sorted(found.kinds.items())
    rows = [(names.get(kind, f"kind {kind}"), f"{n:,}") for kind, n in kinds]
    yield Table("events", ("event", "events"), rows)
    rows = [(str(cpu), f"{count:,}") for cpu, count in sorted(found.cpus.items())]
    yield Table("CPUs", ("CPU", "events"), rows)
    yield _by_kind("orders", "order", sorted(found.orders), found)
    yield _by_kind("migratetypes", "type", sorted(found.types), found)
    yield _fallbacks(found)
    yield _compactions(found)
    marks = [(f"{time / 1e6:.6f}", text) for time, text in found.marks]
    yield _cut(Table("marks", ("at [s]", "text"), marks), found.kinds[MARK])
    broken = [(str(b.line), b.reason, b.text.strip()[:60]) for b in found.broken]
    heads = ("line", "what is wrong", "text")
    yield _cut(Table("broken lines", heads, broken), found.nr_broken)
    lost = [(str(line), text.strip()) for line, text in found.lost]
    yield _cut(Table("lost events", ("line", "text"), lost), found.nr_lost)


_COLUMNS = {ALLOC: "alloc", FREE: "free", LOCKED: "zone_locked", FALLBACK: "extfrag"}


def _by_kind(
    title: str, what: str, keys: Sequence[tuple[int, int]], found: Survey
) -> Table:
    """Count events by order or by type, a column a kind."""
    counts = found.orders if title == "orders" else found.types
    columns = [kind for kind in _COLUMNS if any(key[0] == kind for key in keys)]
    rows = [
        (
            str(value) if title == "orders" else found.type_name(value),
            *(f"{counts[kind, value]:,}" for kind in columns),
        )
        for value in sorted({key[1] for key in keys})
    ]
    return Table(title, (what, *(_COLUMNS[kind] for kind in columns)), rows)


def _fallbacks(found: Survey) -> Table:
    rows = [
        (
            "claim" if claim else "steal",
            f"{found.type_name(asked)} <- {found.type_name(taken)}",
            f"{count:,}",
        )
        for (claim, asked, taken), count in sorted(found.pairs.items(), reverse=True)
    ]
    return Table("fallbacks", ("how", "types", "events"), rows)


def _compactions(found: Survey) -> Table:
    how = "begin to end" if found.marked else "runs of isolations"
    rows = [
        (
            f"{window.first_us / 1e6:.6f}",
            f"{(window.last_us - window.first_us) / 1e3:.3f}",
            str(window.cpu),
            f"{window.isolations:,}",
            f"{window.taken:,}",
        )
        for window in found.compactions
    ]
    heads = ("at [s]", "length [ms]", "CPU", "isolations", "pages taken")
    return _cut(Table(f"compaction ({how})", heads, rows), len(rows))


def _cut(table: Table, count: int) -> Table:
    """Keep the first rows, and say how many there are."""
    if count <= SHOWN:
        return table
    title = f"{table.title}, the first {SHOWN} of {count:,}"
    return Table(title, table.headings, table.rows[:SHOWN])


def plain(table: Table) -> str:
    """Render a table as text in columns."""
    lines = [table.headings, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = _to_the_right(table)
    shown = [table.title]
    for line in lines:
        cells = (
            f"{cell:>{width}}" if number else f"{cell:<{width}}"
            for cell, width, number in zip(line, widths, right, strict=True)
        )
        shown.append(GAP.join(["", *cells]).rstrip())
    return "\n".join(shown)


def rich_table(table: Table) -> object:
    """Render a table for a terminal."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(
        box=box.SIMPLE_HEAD, title=table.title, title_justify="left", pad_edge=False
    )
    for heading, number in zip(table.headings, _to_the_right(table), strict=True):
        shown.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    return shown


def _to_the_right(table: Table) -> list[bool]:
    """Which columns hold numbers."""
    return [
        all(cell.replace(",", "").replace(".", "").isdigit() for cell in column)
        for column in zip(*table.rows, strict=True)
    ]
