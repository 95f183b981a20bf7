"""The command ``rmqueue history``: its options; the work is in `rmqueue.history`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def history(
    only: Annotated[
        str | None,
        typer.Argument(
            metavar="[REGEX]", help="Tracks to show, as asv or the table names them."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with curves instead."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also results that are the same in all commits."),
    ] = False,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where asv has stored them; else the checkout's."
        ),
    ] = None,
    machine: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what was measured on it.")
    ] = None,
) -> None:
    """Show what was measured of commits: results, speed, memory, start-up."""
    from rmqueue.history import Wanted, run

    run(Wanted(only, results, machine, everything, html))
