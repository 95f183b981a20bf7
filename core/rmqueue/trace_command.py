"""The commands ``rmqueue trace ...``; what they need is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="trace",
    help="Look at traces of real kernels, and convert them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_FILE = typer.Argument(
    metavar="FILE",
    help="Text of tracefs, trace-cmd report or perf script, Parquet, a recording "
    "folder, or the name of a built-in experiment with a recording.",
)
_PARTS = typer.Argument(
    metavar="FILE...",
    help="One trace as one file, as parts that follow each other, or as a file of each "
    "CPU.",
)


@app.command("import")
def import_trace(
    files: Annotated[list[Path], _PARTS],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="Parquet file to make.")
    ],
) -> None:
    """Convert a trace to Parquet: a row per event, with where it came from."""
    from rmqueue.trace_import import import_files

    import_files(files, out)


@app.command()
def info(file: Annotated[Path, _FILE]) -> None:
    """Say what is in a trace: events, orders, types, CPUs, compaction, lost lines."""
    from rmqueue.trace_report import print_info

    print_info(file)


@app.command()
def ops(
    file: Annotated[Path, _FILE],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OPS", help="File of ops to make.")
    ],
) -> None:
    """Convert a trace to the op streams of a replay, one of each zone.

    A recording folder gives what `rmqueue compare` replays. A trace alone gives one
    stream of what its callers asked for. Pages allocated before it are slots from the
    start.
    """
    from rmqueue.trace_import import convert_to_ops

    convert_to_ops(file, out)
