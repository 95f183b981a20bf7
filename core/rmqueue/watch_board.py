"""Pictures of zones while they run: text that Rich lays out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.samples import Sample

#: Letters and colours of the migratetypes; the colours are told apart by the
#: colour-blind too (Okabe and Ito).
LETTERS = "UMRHC"
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442")
#: Samples over which events are counted: of two there is often nothing between.
WINDOW = 10
#: Columns that a panel needs at the least.
PANEL_WIDTH = 58
#: Cells of a map in a row, at the most.
ROW = 64


@dataclass
class Seen:
    """What has been seen of a run.

    Attributes
    ----------
    title : str
        What it is.
    zones : dict of str to (Sample or None, Sample)
        The last sample of each zone, and the one `WINDOW` before; None: the start.
    ended : bool
        Whether it is over.
    """

    title: str
    zones: dict[str, tuple[Sample | None, Sample]] = field(default_factory=dict)
    ended: bool = False
    _last: dict[str, deque[Sample]] = field(default_factory=dict)

    def take(self, sample: Sample) -> None:
        """Take a new sample."""
        last = self._last.setdefault(sample.zone, deque(maxlen=WINDOW + 1))
        last.append(sample)
        before = last[0] if len(last) > WINDOW else None
        # a new one each time: another thread draws
        self.zones = {**self.zones, sample.zone: (before, sample)}


@dataclass
class Board:
    """A panel for each run that is under way, and a legend.

    Attributes
    ----------
    head : str
        What all of it is.
    runs : list of Seen
        In the order in which they began.
    """

    head: str = ""
    runs: list[Seen] = field(default_factory=list)

    def shown(self) -> list[Seen]:
        """Return the runs under way; if there are none, those that were the last."""
        runs = [run for run in self.runs if run.zones]
        return [run for run in runs if not run.ended] or runs[-2:]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        runs = self.shown()
        columns = max(1, min(len(runs), options.max_width // PANEL_WIDTH))
        width = options.max_width // columns - 4
        bar = "█" if console.encoding.lower().startswith("utf") else "#"
        grid = Table.grid(expand=True)
        for _ in range(columns):
            grid.add_column(ratio=1)
        panels = [panel(run, width, bar) for run in runs]
        for at in range(0, len(panels), columns):
            grid.add_row(*panels[at : at + columns])
        yield Text(self.head, style="bold")
        starting = [run.title for run in self.runs if not run.zones]
        if starting:
            yield Text(f"starting: {'; '.join(starting)}")
        yield grid
        yield legend()


def panel(run: Seen, width: int, bar: str) -> Panel:
    """Picture of a run."""
    parts: list[RenderableType] = []
    for before, now in run.zones.values():
        if len(run.zones) > 1:
            parts.append(Text(f"zone {now.zone}", style="bold"))
        parts += [figures(before, now), orders(now, width, bar), types(now)]
        parts.append(block_map(now, min(width, ROW)))
    done = min((now.done for _, now in run.zones.values()), default=0.0)
    title = Text(f"{run.title}: {'done' if run.ended else f'{done:.0%}'}")
    return Panel(Group(*parts), title=title, title_align="left")


def figures(before: Sample | None, now: Sample) -> Text:
    """Worst hold, claims and steals, and how many there are in a while."""
    claims, steals, unit = rates(before, now)
    return Text(
        f"worst hold {now.worst_hold_ps / 1e6:,.2f} us\n"
        f"claims {now.claims:,} ({claims:,.1f} {unit})  "
        f"steals {now.steals:,} ({steals:,.1f} {unit})"
    )


def rates(before: Sample | None, now: Sample) -> tuple[float, float, str]:
    """Claims and steals in a second of the machine's clock, or in 1,000 operations.

    Parameters
    ----------
    before : Sample or None
        The sample before; None: the start.
    now : Sample
        This one.

    Returns
    -------
    tuple of (float, float, str)
        Both, and in what.
    """
    if now.time_s is not None:
        unit, passed = "a second", now.time_s - ((before and before.time_s) or 0.0)
    else:
        unit, passed = "in 1,000", (now.ops - (before.ops if before else 0)) / 1000
    if passed <= 0:
        return 0.0, 0.0, unit
    claims = now.claims - (before.claims if before else 0)
    steals = now.steals - (before.steals if before else 0)
    return claims / passed, steals / passed, unit


def orders(now: Sample, width: int, bar: str) -> Text:
    """Free blocks of each order; bars are of their pages."""
    pages = [blocks << order for order, blocks in enumerate(now.free_blocks)]
    most, room = max(*pages, 1), max(width - 20, 8)
    lines = []
    for order, blocks in enumerate(now.free_blocks):
        length = -(-pages[order] * room // most)
        lines.append(f"order {order:>2} {blocks:>9,} {bar * length}")
    return Text("\n".join(lines), no_wrap=True)


def types(now: Sample) -> Text:
    """Free pages in the pageblocks of each type."""
    text = Text("free pages:")
    for name, letter, colour, pages in zip(
        MIGRATETYPES, LETTERS, COLOURS, now.free_pages, strict=True
    ):
        if pages or name in MIGRATETYPES[:3]:
            text.append(f" {letter}", style=f"black on {colour}")
            text.append(f" {pages:,}")
    return text


def block_map(now: Sample, width: int) -> Text:
    """Map of the pageblocks: a letter each, small where more than half is free."""
    text = Text(no_wrap=True)
    for number, (kind, used, mixed) in enumerate(cells(now)):
        if number and number % width == 0:
            text.append("\n")
        letter = LETTERS[kind] if used > 127 else LETTERS[kind].lower()
        underline = " underline" if mixed else ""
        text.append(letter, style=f"black on {COLOURS[kind]}{underline}")
    return text


def cells(now: Sample) -> Iterator[tuple[int, int, int]]:
    """Type, use and mixture of each cell."""
    yield from zip(now.types, now.used, now.mixed, strict=True)


def legend() -> Text:
    """Say what letters and colours mean."""
    text = Text("pageblocks:")
    for name, letter, colour in zip(MIGRATETYPES, LETTERS, COLOURS, strict=True):
        text.append(" ")
        text.append(letter, style=f"black on {colour}")
        text.append(f" {name}")
    text.append("; small: more than half is free; ")
    text.append("underlined", style="underline")
    text.append(": movable pages beside others")
    return text


def line(run: Seen, sample: Sample) -> str:
    """Say a sample in one line, for whatever is no terminal."""
    before, now = run.zones[sample.zone]
    claims, steals, unit = rates(before, now)
    blocks = " ".join(f"{count}" for count in now.free_blocks)
    return (
        f"{run.title}: {now.zone} {now.done:.0%}: free blocks {blocks}; "
        f"claims {now.claims} ({claims:.1f} {unit}), "
        f"steals {now.steals} ({steals:.1f} {unit}), "
        f"worst hold {now.worst_hold_ps / 1e6:.2f} us"
    )
