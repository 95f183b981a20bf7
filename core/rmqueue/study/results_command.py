"""``rmqueue results``: what studies have kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmqueue.errors import UsageError


def results(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Folder or URL of a study; none: list those in folders just below "
            "this one."
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE",
            help="Only runs with this value: strategy, seed, a field that is varied.",
        ),
    ] = None,
    report: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Write a table; - is stdout."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all figures to a .csv or .parquet."),
    ] = None,
) -> None:
    """List what is kept of studies, choose runs, write tables and figures.

    rmqueue compare --against STUDY compares.
    """
    from rmqueue.study.need import need_parquet

    need_parquet()
    from rmqueue.study.results import Wanted, show

    show(
        Wanted(
            folder=study,
            where=tuple(pair_of("--where", text) for text in where or ()),
            reports=tuple(pair_of("--report", text) for text in report or ()),
            export=export,
        )
    )


def pair_of(option: str, text: str) -> tuple[str, str]:
    """Split the argument of an option at its first equals sign."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UsageError(f"{option}: {text!r} is not NAME=VALUE")
    return name.strip(), value.strip()
