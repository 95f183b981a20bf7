"""What ``rmqueue compare`` does: run an experiment, show progress, write reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rmqueue.errors import UsageError
from rmqueue.experiment import Experiment, Run
from rmqueue.grid import microseconds
from rmqueue.output import check_writable, write_whole
from rmqueue.registry import Registry, default_registry
from rmqueue.report import rich_table, text
from rmqueue.results import Comparison, Row
from rmqueue.types import Reporter

STDOUT = "-"


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes
    ----------
    experiment : str
        Name or path.
    strategies : tuple of str
        Names; none: those of the experiment.
    seed : int or None
        None: those of the experiment.
    reports : tuple of (str, str)
        Reporter and file; ``"-"`` is stdout.
    quiet : bool
        Show no progress.
    """

    experiment: str
    strategies: tuple[str, ...] = ()
    seed: int | None = None
    reports: tuple[tuple[str, str], ...] = ()
    quiet: bool = False


class Progress(Protocol):
    """Told what happens while an experiment runs."""

    def begin(self, run: Run) -> None:
        """Be told that a run starts."""

    def end(self, run: Run, row: Row) -> None:
        """Be told what came of it."""


class Silence:
    """Shows nothing."""

    def begin(self, run: Run) -> None:
        """Show nothing."""

    def end(self, run: Run, row: Row) -> None:
        """Show nothing."""


def run(wanted: Wanted, registry: Registry | None = None) -> Comparison:
    """Run an experiment, write the reports, print the table.

    Raises
    ------
    RmqueueError
        Anything that is wrong with the request; found before anything runs.
    """
    registry = registry or default_registry()
    reporters = [(registry.reporter(name), file) for name, file in wanted.reports]
    if sum(file == STDOUT for _, file in reporters) > 1:
        raise UsageError("only one report can go to stdout: give the others a file")
    for _, file in reporters:
        if file != STDOUT:
            check_writable(Path(file))
    with progress(quiet=wanted.quiet) as shown:
        experiment = Experiment.load(
            wanted.experiment,
            strategies=wanted.strategies,
            seed=wanted.seed,
            registry=registry,
        )
        comparison = experiment.comparison(tuple(followed(experiment, shown)))
    deliver(comparison, reporters)
    return comparison


def followed(experiment: Experiment, shown: Progress) -> Iterator[Row]:
    """Rows of an experiment; each is shown as soon as it is there."""
    runs = iter(experiment.runs())
    for row in experiment.rows(on_run=shown.begin):
        shown.end(next(runs), row)
        yield row


def deliver(comparison: Comparison, reporters: list[tuple[Reporter, str]]) -> None:
    """Write the reports; print the table unless one of them goes to stdout."""
    for reporter, file in reporters:
        rendered = reporter.render(comparison)
        if file == STDOUT:
            sys.stdout.write(rendered)
        else:
            write_whole(Path(file), rendered)
    if all(file != STDOUT for _, file in reporters):
        print_table(comparison)
    sys.stdout.flush()


def print_table(comparison: Comparison) -> None:
    """Print a rich table to a terminal that is wide enough, plain text otherwise."""
    plain = text(comparison)
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        table = rich_table(comparison)
        if console.measure(table).maximum <= console.width:
            console.print(table)
            return
    sys.stdout.write(plain)


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Show progress on stderr while the body runs, if anybody watches."""
    if quiet or not sys.stderr.isatty():
        yield Silence()
        return
    from rmqueue.progress import Live

    with Live() as live:
        yield live


def one_line(row: Row) -> str:
    """Say in one line what came of a run."""
    total = row.total
    fallbacks = sum(map(sum, total.claim)) + sum(map(sum, total.steal))
    seed = "" if row.seed is None else f", seed {row.seed}"
    return (
        f"{row.label} on {row.kernel}{seed}: {total.served} of {total.asked} pages, "
        f"{fallbacks} fallbacks, worst hold {microseconds(total.holds.worst_ps)} us"
    )
