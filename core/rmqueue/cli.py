"""The command line: thin, and quick to start.

Heavy modules are imported by the commands that need them.  `main` turns every error
into one message on stderr and the exit status of its class.

Environment
-----------
RMQUEUE_TRACEBACK
    ``1`` shows where an error comes from.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from rmqueue.bench_command import bench
from rmqueue.check_command import check
from rmqueue.errors import RmqueueError, UsageError
from rmqueue.history_command import history
from rmqueue.interrupt import INTERRUPTED, leave_at_once
from rmqueue.new_command import new
from rmqueue.options import Kernel, PluginFiles, Quiet, load_plugin_files
from rmqueue.record_command import record
from rmqueue.study.report_command import report as report_study
from rmqueue.study.results_command import results
from rmqueue.study.run_command import run as run_study
from rmqueue.trace_command import app as trace_app
from rmqueue.watch_command import watch

#: Exit status beside those of `rmqueue.errors`: an error of ours.
BUG = 70
DEFAULT_EXPERIMENT = "real"

app = typer.Typer(
    name="rmqueue",
    help="Compare fallback strategies of the Linux page allocator.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(trace_app)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from rmqueue import __version__

        typer.echo(f"rmqueue {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Compare fallback strategies of the Linux page allocator."""


@app.command()
def compare(
    experiment: Annotated[
        str, typer.Argument(help="A built-in experiment, or a TOML file.")
    ] = DEFAULT_EXPERIMENT,
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Strategies instead of the experiment's: NAME,NAME,...; "
            "NAME:param=value:... changes parameters of one."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=(1 << 63) - 1, help="Seed instead of the experiment's."
        ),
    ] = None,
    kernel: Kernel = None,
    recording: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Recording instead of the experiment's."),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON; - is stdout.")
    ] = None,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write CSV; - is stdout.")
    ] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write markdown; - is stdout.")
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Write with any installed reporter."),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Replay only the first quarter of the requests, one seed."
        ),
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Use all the seeds of the full experiment.")
    ] = False,
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="Change one parameter at a time instead."),
    ] = False,
    plugin: PluginFiles = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Say what differs from a kept study."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Replay the same requests on several strategies, and compare them.

    The table goes to stdout, unless a report does. Strategies of files that --plugin
    names are added to those of the experiment.
    """
    from rmqueue.compare import Wanted, run

    load_plugin_files(plugin)
    reports = [
        (name, file)
        for name, file in (("json", json), ("csv", csv), ("markdown", markdown))
        if file is not None
    ]
    wanted = Wanted(
        experiment=experiment,
        strategies=split_names(strategies),
        seed=seed,
        reports=(*reports, *map(split_report, report or ())),
        quick=quick,
        full=full,
        sensitivity=sensitivity,
        quiet=quiet,
        kernel=kernel,
        recording=recording,
        against=against,
    )
    run(wanted)


@app.command()
def validate(
    recordings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECORDING]...",
            help="Recording folders, or built-in experiments with a recording "
            f"({DEFAULT_EXPERIMENT}); of several, a line is printed for each.",
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="NAME,NAME,... or all, instead of the recorded kernel's own.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also without looking ahead in the trace.")
    ] = False,
    plugin: PluginFiles = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON; - is stdout.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Follow recordings page by page: whether the model chooses as the kernel did."""
    from rmqueue.validate import Wanted, run

    load_plugin_files(plugin)
    names = tuple(recordings or (DEFAULT_EXPERIMENT,))
    run(Wanted(names, strategy, strict, json, quiet))


@app.command()
def plugins(plugin: PluginFiles = None) -> None:
    """List what is installed, with distribution and version."""
    from rmqueue.listing import list_plugins

    load_plugin_files(plugin)
    list_plugins()


@app.command()
def schema(
    strategy: Annotated[
        str | None, typer.Option(help="Show the parameters of this strategy.")
    ] = None,
    workload: Annotated[
        str | None, typer.Option(help="Show the parameters of this workload.")
    ] = None,
    plugin: PluginFiles = None,
) -> None:
    """Print the JSON schema of experiment and study files, or of parameters."""
    from rmqueue.listing import print_schema

    load_plugin_files(plugin)
    print_schema(strategy, workload)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of golden vectors.")],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show differences and the sum only.")
    ] = False,
) -> None:
    """Replay golden vectors, and say where the first difference is."""
    from rmqueue.verify import verify_folder

    raise typer.Exit(verify_folder(folder, quiet))


app.command()(new)
app.command()(check)
app.command("run")(run_study)
app.command()(watch)
app.command()(results)
app.command("report")(report_study)
app.command()(bench)
app.command()(history)
# what follows COMMAND belongs to it, with or without the dashes before
app.command(context_settings={"allow_interspersed_args": False})(record)


def split_names(names: str | None) -> tuple[str, ...]:
    """Split names at commas.

    Examples
    --------
    >>> split_names("none, greedy-steal")
    ('none', 'greedy-steal')
    """
    if names is None:
        return ()
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    if not found:
        raise UsageError("--strategies: give at least one name")
    return found


def split_report(text: str) -> tuple[str, str]:
    """Split the argument of ``--report``."""
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise UsageError(f"--report: {text!r} is not NAME=FILE, like json=out.json")
    return name, file


def fail(message: str, status: int) -> NoReturn:
    """Print one message and leave; one line per line, each with our name."""
    for line in message.splitlines() or [""]:
        print(f"rmqueue: {line}", file=sys.stderr)
    sys.exit(status)


def leave_unwritten(error: OSError) -> NoReturn:
    """Name what the system refused, and drop what stdout could not take."""
    what = error.filename or "stdout"
    print(f"rmqueue: {what}: {error.strerror or error}", file=sys.stderr, flush=True)
    os._exit(RmqueueError.exit_status)


def leave_interrupted(leaving: SystemExit) -> NoReturn:
    """Leave at once, or in peace if the command has words of its own for it."""
    cause = leaving.__context__ and leaving.__context__.__cause__
    if isinstance(cause, KeyboardInterrupt) and cause.args:
        fail(str(cause.args[0]), INTERRUPTED)
    leave_at_once()


def main() -> None:
    """Entry point of the command ``rmqueue``."""
    # whoever reads our output may leave: end as every other tool of the system does
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.stdout is None:
        fail("stdout is closed: there is nowhere to write to", RmqueueError.exit_status)
    try:
        app(prog_name="rmqueue")
    except KeyboardInterrupt:
        leave_at_once()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:  # Typer says nothing of Ctrl-C
            leave_interrupted(leaving)
        raise
    except Exception as error:
        if os.environ.get("RMQUEUE_TRACEBACK") == "1":
            raise
        if isinstance(error, RmqueueError):
            fail(str(error), error.exit_status)
        if isinstance(error, MemoryError):
            fail("not enough memory for this zone", RmqueueError.exit_status)
        if isinstance(error, OSError):
            leave_unwritten(error)
        fail(
            f"{type(error).__name__}: {error}\n"
            "this is a bug: RMQUEUE_TRACEBACK=1 shows where it is",
            BUG,
        )


if __name__ == "__main__":
    main()
