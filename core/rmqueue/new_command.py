"""The command ``rmqueue new``: its options; the work is in `rmqueue.new`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class What(StrEnum):
    """Kinds of plugins that can be written."""

    strategy = "strategy"
    workload = "workload"
    machine = "machine"
    reader = "reader"
    reporter = "reporter"


def new(
    what: Annotated[What, typer.Argument(help="What the plugin is.")],
    name: Annotated[str, typer.Argument(help="What it is called, like my-idea.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder to make; rmqueue-NAME if not given.",
        ),
    ] = None,
) -> None:
    """Write a plugin that works: a distribution with a module, tests and a README."""
    from rmqueue.new import next_steps, write_plugin

    folder = write_plugin(what.value, name, output)
    typer.echo(next_steps(what.value, name, folder), nl=False)
