"""What ``rmqueue history`` does: tracks over commits, from what asv has stored."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rmqueue.bench_checkout import CONFIG, checkout, find_checkout
from rmqueue.bench_compare import figure
from rmqueue.bench_tracks import KINDS, Measured, need_asv, read_results
from rmqueue.errors import BenchError, UsageError
from rmqueue.history_lines import History, Line, histories_of, sparkline
from rmqueue.history_page import page
from rmqueue.output import check_writable, write_whole

#: How wide a table may be in a file.
FILE_WIDTH = 200


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    only: str | None = None
    results: Path | None = None
    machine: str | None = None
    everything: bool = False
    html: Path | None = None


def run(wanted: Wanted) -> None:
    """Print histories, or write the page.

    Raises
    ------
    UsageError, BenchError
        There are no results, or none that are asked for.
    """
    need_asv()
    if wanted.html is not None:
        check_writable(wanted.html)
    root = find_checkout() if wanted.results else checkout("rmqueue history")
    folder = wanted.results or results_folder(root)
    found = select(read_results(folder), wanted.machine)
    histories = [h for h in histories_of(found, root, wanted.only) if h.lines]
    if not histories:
        raise UsageError(f"no track that is stored matches {wanted.only!r}")
    if wanted.html is not None:
        write_whole(wanted.html, page(histories))
        return
    for history in histories:
        show(history, wanted.everything)


def results_folder(root: Path | None) -> Path:
    """Folder that asv stores the results of a checkout in."""
    from asv.config import Config
    from asv.util import UserError

    path = (root or Path.cwd()) / CONFIG
    try:
        return path.parent / str(Config.load(str(path)).results_dir)
    except (UserError, ValueError) as error:
        raise BenchError(f"{path}: cannot be read by asv: {error}") from None


def select(found: list[Measured], machine: str | None) -> list[Measured]:
    """Results of a machine; of all if none is named.

    Raises
    ------
    UsageError
        Nothing was measured on it.
    """
    chosen = [one for one in found if machine in (None, one.machine)]
    if not chosen:
        names = ", ".join(sorted({one.machine for one in found}))
        raise UsageError(f"--machine: nothing was measured on {machine!r}: {names}")
    return chosen


def show(history: History, everything: bool) -> None:
    """Print the commits, and a line for each track; results only if they change."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head, side in (("track", "left"), ("first", "right"), ("", "left")):
        table.add_column(head, justify=side, no_wrap=True)  # type: ignore[arg-type]
    for head in ("last", "change", "changed at"):
        table.add_column(head, justify="right", no_wrap=True)
    hidden: Counter[str] = Counter()
    for kind in KINDS:
        lines = history.of(kind)
        shown = [
            line
            for line in lines
            if everything or kind != "results" or not line.constant
        ]
        hidden[kind] += len(lines) - len(shown)
        for line in shown:
            table.add_row(*map(Text, cells(line, history)))
        table.add_section()
    width = None if sys.stdout.isatty() else FILE_WIDTH
    console = Console(highlight=False, width=width)
    console.print(f"{history.machine}, {history.environment}", markup=False)
    for commit, subject in zip(history.commits, history.subjects, strict=True):
        console.print(f"  {commit[:12]} {subject}".rstrip(), markup=False)
    console.print(table)
    if hidden["results"]:
        print(f"{hidden['results']} results are the same in all commits (--all)")


def cells(line: Line, history: History) -> tuple[str, ...]:
    """Words of one line; of a noisy track no commit is named."""
    unit = line.track.unit
    where = ""
    if line.track.exact:
        where = " ".join(history.commits[at][:8] for at in line.changed_at)
    first, last = line.known[0], line.known[-1]
    bars = sparkline(line)
    ends = figure(first, unit), bars, figure(last, unit)
    return (line.track.name, *ends, line.change, where)
