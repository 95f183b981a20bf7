"""What ``rmqueue compare`` does: run an experiment, show progress, write reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rmqueue.errors import PluginError, RmqueueError, UsageError
from rmqueue.experiment import Experiment
from rmqueue.experiment_file import Variation, parts_of
from rmqueue.experiment_source import experiment_path
from rmqueue.output import check_writable, write_whole
from rmqueue.registry import Registry, default_registry
from rmqueue.report import rich_table, text
from rmqueue.results import Comparison, Row
from rmqueue.runs import Run
from rmqueue.sensitivity import sensitivity_rows, sensitivity_text
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
    quick : bool
        Replay only the first quarter of the requests, with one seed.
    full : bool
        Use the experiment's seeds for the full run.
    sensitivity : bool
        Change one parameter at a time instead.
    quiet : bool
        Show no progress.
    kernel : str or None
        Kernel profile of all strategies; None: that of the experiment or each one's.
    recording : Path or None
        Replay this instead of the experiment's recording.
    against : Path or str or None
        A kept study; say what differs from it.
    """

    experiment: str
    strategies: tuple[str, ...] = ()
    seed: int | None = None
    reports: tuple[tuple[str, str], ...] = ()
    quick: bool = False
    full: bool = False
    sensitivity: bool = False
    quiet: bool = False
    kernel: str | None = None
    recording: Path | None = None
    against: Path | str | None = None


class Progress(Protocol):
    """Told what happens while an experiment runs."""

    def expect(self, runs: int) -> None:
        """Be told how many runs there will be."""

    def begin(self, run: Run) -> None:
        """Be told that a run starts."""

    def advance(self, run: Run, share: float) -> None:
        """Be told what share of a run is done."""

    def end(self, run: Run, row: Row) -> None:
        """Be told what came of it."""

    def varied(self, variation: Variation, row: Row) -> None:
        """Be told what came of a variation."""


class Silence:
    """Shows nothing."""

    def expect(self, runs: int) -> None:
        """Show nothing."""

    def begin(self, run: Run) -> None:
        """Show nothing."""

    def advance(self, run: Run, share: float) -> None:
        """Show nothing."""

    def end(self, run: Run, row: Row) -> None:
        """Show nothing."""

    def varied(self, variation: Variation, row: Row) -> None:
        """Show nothing."""


def run(wanted: Wanted, registry: Registry | None = None) -> list[Comparison]:
    """Run an experiment or all parts of a suite, write the reports, print the tables.

    Raises
    ------
    RmqueueError
        Anything that is wrong with the request; found before anything runs.
    """
    registry = registry or default_registry()
    reporters = [(registry.reporter(name), file) for name, file in wanted.reports]
    check_distinct([file for _, file in reporters])
    check_sensitivity(wanted)
    for reporter, file in reporters:
        check_place(reporter, file)
    if wanted.against is not None:
        check_against(wanted.against, [file for _, file in reporters])
    path = experiment_path(wanted.experiment, registry)
    parts = parts_of(path)
    if len(parts) > 1 and reporters:
        names = ", ".join(part.stem for part in parts)
        raise UsageError(f"{wanted.experiment}: a report is of one experiment: {names}")
    further = tuple(e.name for e in registry.of_files if e.kind == "strategy")
    experiments = [
        Experiment.load(
            wanted.experiment if part == path else part,
            strategies=wanted.strategies,
            seed=wanted.seed,
            quick=wanted.quick,
            full=wanted.full,
            kernel=wanted.kernel,
            recording=wanted.recording,
            registry=registry,
            further=further,
        )
        for part in parts
    ]
    for one in experiments if not wanted.sensitivity else ():
        default = registry.reporter(one.config.report)
        for reporter in (default, *(reporter for reporter, _ in reporters)):
            if reporter.check is not None:
                reporter.check(len(one.seeds))
    return [run_part(one, wanted, reporters, registry) for one in experiments]


@contextmanager
def kept_clean(reporters: list[tuple[Reporter, str]]) -> Iterator[None]:
    """Have what plugins print go to stderr while a report is to have stdout."""
    if all(file != STDOUT for _, file in reporters):
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def check_sensitivity(wanted: Wanted) -> None:
    """Refuse what ``--sensitivity`` has no use for.

    Raises
    ------
    UsageError
        A report is asked for, or other seeds.
    """
    if wanted.sensitivity and wanted.reports:
        raise UsageError("--sensitivity prints a table of its own: ask for no report")
    if wanted.sensitivity and (wanted.quick or wanted.full or wanted.seed is not None):
        raise UsageError(
            "--sensitivity has seeds of its own, in the file: leave out --seed, --full "
            "and --quick"
        )


def check_distinct(files: list[str]) -> None:
    """Refuse two reports in one place.

    Raises
    ------
    UsageError
        The second would replace the first, or follow it.
    """
    if files.count(STDOUT) > 1:
        raise UsageError("only one report can go to stdout: give the others a file")
    places = [Path(file).resolve() for file in files if file != STDOUT]
    for place in places:
        if places.count(place) > 1:
            raise UsageError(f"{place}: two reports go there: give each its own file")


def check_place(reporter: Reporter, file: str) -> None:
    """Refuse a file that cannot be written, and bytes for a terminal.

    Raises
    ------
    RmqueueError
        The report cannot go there.
    """
    if file != STDOUT:
        check_writable(Path(file))
    elif reporter.binary and sys.stdout.isatty():
        name, suffix = reporter.name, reporter.suffix
        raise UsageError(
            f"{name} is no text for a terminal: give it a file, --report "
            f"{name}=out{suffix}"
        )


def run_part(
    experiment: Experiment,
    wanted: Wanted,
    reporters: list[tuple[Reporter, str]],
    registry: Registry,
) -> Comparison:
    """Run one experiment, write its reports, print its table."""
    with progress(quiet=wanted.quiet) as shown, kept_clean(reporters):
        default = registry.reporter(experiment.config.report)
        if wanted.sensitivity:
            rows = sensitivity_rows(experiment, shown.varied)
        else:
            comparison = experiment.comparison(tuple(followed(experiment, shown)))
    if wanted.sensitivity:
        sys.stdout.write(sensitivity_text(experiment, rows))
        return experiment.comparison(())
    deliver(comparison, reporters, default)
    if wanted.against is not None:
        from rmqueue.study.against import against

        sys.stdout.write(f"\n{against(comparison, wanted.against)}")
    return comparison


def check_against(folder: Path | str, files: list[str]) -> None:
    """Refuse a study that is not there, before anything runs.

    Raises
    ------
    UsageError
        It is not, or stdout is for something else.
    """
    from rmqueue.study.need import need_parquet

    need_parquet()
    from rmqueue.study.dataset import Place

    if STDOUT in files:
        raise UsageError("--against prints to stdout: give the report a file")
    Place(folder).manifest()


def followed(experiment: Experiment, shown: Progress) -> Iterator[Row]:
    """Rows of an experiment; each is shown as soon as it is there."""
    runs = experiment.runs()
    shown.expect(len(runs))
    rows = experiment.rows(on_run=shown.begin, on_progress=shown.advance)
    for run, row in zip(runs, rows, strict=True):
        shown.end(run, row)
        yield row


def deliver(
    comparison: Comparison,
    reporters: list[tuple[Reporter, str]],
    default: Reporter,
) -> None:
    """Write the reports; print the default one unless one of them goes to stdout.

    Files come first: whoever reads stdout may leave early.
    """
    rendered = [(file, render(reporter, comparison)) for reporter, file in reporters]
    for file, content in sorted(rendered, key=lambda one: one[0] == STDOUT):
        write_report(file, content)
    if all(file != STDOUT for file, _ in rendered):
        if default.render is text:
            print_table(comparison)
        else:
            write_report(STDOUT, render(default, comparison))


def write_report(file: str, content: str | bytes) -> None:
    """Write what a reporter has made to a file, or to stdout."""
    if file != STDOUT:
        write_whole(Path(file), content)
    elif isinstance(content, str):
        sys.stdout.write(content)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    sys.stdout.flush()


def render(reporter: Reporter, comparison: Comparison) -> str | bytes:
    """Let a reporter do its work; one that raises is named.

    Raises
    ------
    PluginError
        It failed in a way of its own, or returned something else than it says.
    """
    try:
        rendered: object = reporter.render(comparison)
    except RmqueueError:
        raise  # what it says is for the user
    except Exception as error:
        raise PluginError(
            f"reporter {reporter.name!r} failed: {type(error).__name__}: {error}"
        ) from error
    if isinstance(rendered, bytes) and reporter.binary:
        return rendered
    if isinstance(rendered, str) and not reporter.binary:
        return rendered
    wanted = "bytes, which it says it does" if reporter.binary else "text"
    raise PluginError(f"reporter {reporter.name!r} returned {rendered!r}, not {wanted}")


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
