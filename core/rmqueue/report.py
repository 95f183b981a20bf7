"""Tables of a comparison: plain text for mails, a rich one for terminals, markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmqueue.figures import PS_PER_US, microseconds
from rmqueue.grid import Grid, grid_of
from rmqueue.results import Comparison, Row

if TYPE_CHECKING:
    from rich.table import Table

GAP = "  "


def text(comparison: Comparison) -> str:
    """Plain text in columns, as it goes into a patch mail."""
    grid = grid_of(comparison)
    labels = max(len(label) for label, _ in (*grid.rows, *grid.changes))
    widths = column_widths(grid)
    lines = list(grid.title)
    lines.append("")
    heads = [wrapped(h, w) for h, w in zip(grid.headings, widths, strict=True)]
    for at in range(max(map(len, heads))):
        parts = [head[at] if at < len(head) else "" for head in heads]
        lines.append(aligned("", parts, labels, widths))
    lines.append("-" * (labels + sum(len(GAP) + width for width in widths)))
    lines += [aligned(label, row, labels, widths) for label, row in grid.rows]
    if grid.changes:
        lines += ["", grid.changes_title]
        lines += [aligned(label, row, labels, widths) for label, row in grid.changes]
    lines.append("")
    lines += grid.notes
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


def rich_table(comparison: Comparison) -> Table:
    """Return the table of a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = grid_of(comparison)
    table = Table(
        box=box.SIMPLE_HEAD,
        title="\n".join(grid.title),
        caption="\n".join(grid.notes),
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    table.add_column("", no_wrap=True)
    for heading, width in zip(grid.headings, column_widths(grid), strict=True):
        head = Text("\n".join(wrapped(heading, width)))
        table.add_column(head, justify="right", no_wrap=True)
    for label, row in grid.rows:
        table.add_row(Text(label), *map(Text, row))
    if grid.changes:
        table.add_section()
        table.add_row(Text(grid.changes_title, style="italic"))
    for label, row in grid.changes:
        table.add_row(Text(label), *map(Text, row))
    return table


def markdown(comparison: Comparison) -> str:
    """Render a comparison as a markdown table."""
    grid = grid_of(comparison)
    title, *more = grid.title
    lines = [f"### {escaped(title)}", ""]
    lines += [line for extra in more for line in (escaped(extra), "")]
    lines.append(piped(["", *grid.headings]))
    lines.append(piped([":---", *("---:" for _ in grid.headings)]))
    lines += [piped([label, *row]) for label, row in grid.rows]
    if grid.changes:
        lines.append(piped([f"**{grid.changes_title}**", *("" for _ in grid.headings)]))
    lines += [piped([label.strip(), *row]) for label, row in grid.changes]
    lines.append("")
    lines += [f"- {escaped(note)}" for note in grid.notes]
    return "\n".join(lines) + "\n"


def one_line(row: Row) -> str:
    """Say in one line what came of a run."""
    total = row.total
    fallbacks = sum(map(sum, total.claim)) + sum(map(sum, total.steal))
    worst = microseconds(total.holds.worst_ps / PS_PER_US)
    seed = "" if row.seed is None else f", seed {row.seed}"
    return (
        f"{row.label} on {row.kernel}{seed}: {total.served} of {total.asked} pages, "
        f"{fallbacks} fallbacks, worst hold {worst} us"
    )


def column_widths(grid: Grid) -> list[int]:
    """Width of each column: its widest cell, or the widest part of its heading."""
    return [
        max(
            *(len(row[at]) for _, row in (*grid.rows, *grid.changes)),
            *(len(part) for part in parts_of(heading)),
        )
        for at, heading in enumerate(grid.headings)
    ]


def parts_of(heading: str) -> list[str]:
    """Split a heading where it may be broken: after a dash or at a blank."""
    return heading.replace("-", "- ").split()


def wrapped(heading: str, width: int) -> list[str]:
    """Break a heading into lines of at most `width` characters.

    Examples
    --------
    >>> wrapped("steal-smallest-buddy", 9)
    ['steal-', 'smallest-', 'buddy']
    """
    lines: list[str] = []
    for part in parts_of(heading):
        glue = "" if lines and lines[-1].endswith("-") else " "
        if lines and len(lines[-1]) + len(glue) + len(part) <= width:
            lines[-1] += glue + part
        else:
            lines.append(part)
    return lines


def aligned(
    label: str, parts: list[str] | tuple[str, ...], labels: int, widths: list[int]
) -> str:
    """Label to the left, cells to the right."""
    padded = (f"{part:>{width}}" for part, width in zip(parts, widths, strict=True))
    return GAP.join([f"{label:<{labels}}", *padded])


def escaped(words: str) -> str:
    """Words that markdown takes literally."""
    for character in "\\`*_<>|#[]":
        words = words.replace(character, "\\" + character)
    return words


def piped(parts: list[str]) -> str:
    """One line of a markdown table."""
    return "| " + " | ".join(part.replace("|", "\\|") for part in parts) + " |"
