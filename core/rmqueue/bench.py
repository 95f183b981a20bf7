"""What ``rmqueue bench`` does: a quick run here, two commits, everything once."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from rmqueue.bench_checkout import checkout, find_checkout
from rmqueue.errors import BenchError, UsageError
from rmqueue.experiment import Experiment
from rmqueue.registry import Registry, default_registry
from rmqueue.report import piped
from rmqueue.results import Row

HEADINGS = (
    *("strategy", "kernel", "time [ns/op]", "by C", "pages served", "claims"),
    *("steals", "claim attempts", "worst hold [us]"),
)
#: Columns that hold words, and how wide a table may be in a file.
WORDS, FILE_WIDTH = 2, 200


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    strategies: tuple[str, ...] = ()
    experiment: str = "real"
    turns: int = 5
    against: str | None = None
    commit: str | None = None
    only: str | None = None
    factor: float = 1.1
    once: bool = False
    markdown: bool = False
    plugins: tuple[Path, ...] = ()


def run(wanted: Wanted, registry: Registry | None = None) -> None:
    """Do what is asked for, and print a table.

    Raises
    ------
    typer.Exit
        Two commits differ in a way that must not be overlooked.
    """
    registry = registry or default_registry()
    refuse_contradictions(wanted)
    for name in wanted.strategies:
        registry.strategy(name)
    if wanted.once:
        from rmqueue.bench_asv import run_once

        run_once(checkout("rmqueue bench --once"), wanted.strategies)
    elif wanted.against is not None:
        compare(wanted)
    else:
        quick(wanted, registry)


def refuse_contradictions(wanted: Wanted) -> None:
    """Refuse options that do not go together."""
    if wanted.against is None and (wanted.commit or wanted.only):
        raise UsageError("--commit and --only belong to --against: give a commit")
    if wanted.once and wanted.against is not None:
        raise UsageError("--once keeps nothing that --against could compare")
    if wanted.plugins and (wanted.once or wanted.against is not None):
        raise UsageError("--plugin: only installed plugins are measured by asv")
    if not 1 < wanted.factor < math.inf:
        raise UsageError(f"--factor: {wanted.factor:g} is not greater than 1")


def compare(wanted: Wanted) -> None:
    """Measure two commits, and print in what they differ."""
    from rmqueue import bench_compare as two

    root = checkout("rmqueue bench --against")
    commits = two.find_commits(root, str(wanted.against), wanted.commit)
    only = wanted.only or two.EVERYDAY
    base, tested = two.measure(root, commits, only, wanted.strategies, wanted.factor)
    found = two.changes(base, tested, wanted.factor)
    heads = ("track", commits.base_name, commits.tested_name, "change", "")
    if found:
        show(heads, [two.cells(change) for change in found], 1, wanted.markdown)
    print(two.summary(found, base, tested))
    sys.stdout.flush()
    if any(change.verdict in two.BAD for change in found):
        raise typer.Exit(1)


def quick(wanted: Wanted, registry: Registry) -> None:
    """Run strategies here, and print a line for each."""
    names = wanted.strategies or registry.names("strategy")
    experiment = Experiment.load(
        wanted.experiment, strategies=names, registry=registry, quick=False
    )
    turns = [tuple(experiment.rows()) for _ in range(wanted.turns)]
    ratios, note = ratios_to_yardstick(names, wanted.plugins)
    lines = [
        line_of([turn[at] for turn in turns], ratios)
        for at in range(len(turns[0]))
        if turns[0][at].seed == turns[0][0].seed
    ]
    show(HEADINGS, lines, WORDS, wanted.markdown)
    print(f"{wanted.experiment}: times are medians of {wanted.turns}, CPU time")
    print(note)


def line_of(rows: Sequence[Row], ratios: dict[str, float]) -> tuple[str, ...]:
    """Cells of one strategy, from several runs of it."""
    total = rows[0].total
    ratio = ratios.get(rows[0].strategy)
    return (
        rows[0].label,
        rows[0].kernel,
        f"{statistics.median(row.total.ns_per_op for row in rows):.1f}",
        "n/a" if ratio is None else f"{ratio:.2f}",
        str(total.served),
        str(sum(map(sum, total.claim))),
        str(sum(map(sum, total.steal))),
        str(total.counters["claim_try"]),
        f"{total.holds.worst_ps / 1e6:.2f}",
    )


def ratios_to_yardstick(
    names: tuple[str, ...], plugins: tuple[Path, ...] = ()
) -> tuple[dict[str, float], str]:
    """Time of each strategy by that of C, if this is a checkout; and what to say.

    Raises
    ------
    BenchError
        The program that measures them fails.
    """
    root = find_checkout()
    if root is None:
        return {}, "by C: needs a checkout of rmqueue, for the C program"
    words = [word for path in plugins for word in ("--plugin", str(path.resolve()))]
    command = [sys.executable, "-m", "benchmarks.ratios", *words, *names]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise BenchError(f"{root}: benchmarks.ratios failed: {why[0]}")
    try:
        found = json.loads(done.stdout)
        ratios = {str(name): float(value) for name, value in found["ratios"].items()}
        return ratios, str(found["note"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{root}: benchmarks.ratios: not what it prints: {error}"
        raise BenchError(message) from None


def show(
    heads: Sequence[str], lines: Sequence[Sequence[str]], words: int, markdown: bool
) -> None:
    """Print a table; the first columns hold words, the others figures."""
    if markdown:
        marks = [":---"] * words + ["---:"] * (len(heads) - words)
        for line in (heads, marks, *lines):
            print(piped(list(line)))
        print()
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, head in enumerate(heads):
        table.add_column(Text(head), justify="left" if at < words else "right")
    for line in lines:
        table.add_row(*map(Text, line))
    # nobody wants a file or a mail cut to the width of a terminal that is not there
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)
