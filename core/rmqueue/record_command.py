"""The command ``rmqueue record``: its options; the work is in `rmqueue.record`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Compressor(StrEnum):
    """Suffix of the trace file."""

    gz = "gz"
    xz = "xz"
    zst = "zst"


def record(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND...", help="What runs while it is recorded."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to make.")
    ] = Path("recording"),
    compress: Annotated[
        Compressor,
        typer.Option(help="gz costs the machine least, xz and zst are smaller."),
    ] = Compressor.gz,
    buffer_kb: Annotated[
        int | None,
        typer.Option(
            min=64,
            help="Trace buffer of each CPU [KiB]; a sixteenth of the free memory for "
            "all of them if not given.",
        ),
    ] = None,
    tracefs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where tracefs is mounted, if not in its usual place."
        ),
    ] = None,
    proc: Annotated[
        Path, typer.Option(metavar="DIR", help="Where procfs is mounted.")
    ] = Path("/proc"),
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print a shell script that records, for another machine."
        ),
    ] = False,
) -> None:
    """Record the page allocator of the running kernel while a command runs.

    Needs root and tracefs.  Passes on the exit status of the command.
    """
    from rmqueue.record_settings import RecordSettings

    settings = RecordSettings(
        tuple(command or ()), output, compress.value, buffer_kb, tracefs, proc
    )
    if dry_run:
        from rmqueue.record_script import make_script

        typer.echo(make_script(settings), nl=False)
        return
    from rmqueue.record import record as run

    raise typer.Exit(run(settings))
