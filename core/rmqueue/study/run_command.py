"""``rmqueue run``: a study, kept run by run."""

from __future__ import annotations

from typing import Annotated

import typer

from rmqueue.interrupt import ended_in_words
from rmqueue.options import (
    Jobs,
    Kernel,
    PluginFiles,
    QuarterRuns,
    Quiet,
    load_plugin_files,
)

#: Said after Ctrl-C, or SIGTERM.
STOPPED = "interrupted: what is done is kept, --resume goes on"


def run(
    study: Annotated[
        str, typer.Argument(help="A study or experiment file, or a built-in one.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder or URL where runs are kept; by default here, called as the "
            "file is, with .study.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Run only what is missing in the folder.")
    ] = False,
    kernel: Kernel = None,
    jobs: Jobs = None,
    memory: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="GiB that runs may take together; most of what is free."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run on a Dask cluster: tcp://HOST:PORT, or local:N to start one.",
        ),
    ] = None,
    quick: QuarterRuns = False,
    plugin: PluginFiles = None,
    quiet: Quiet = False,
) -> None:
    """Run a study: every strategy, seed and value of what it varies.

    Each run is kept as soon as it is done; --resume goes on after an interruption.
    """
    from rmqueue.study.need import need_parquet

    need_parquet()
    from rmqueue.study.run import Wanted
    from rmqueue.study.run import run as run_study

    load_plugin_files(plugin)
    wanted = Wanted(
        study=study,
        folder=output,
        dry_run=dry_run,
        resume=resume,
        quick=quick,
        quiet=quiet,
        kernel=kernel,
        jobs=jobs,
        memory=memory,
        plugins=tuple(plugin or ()),
        cluster=cluster,
    )
    # what processes of a cluster shared with us is removed on the way out
    with ended_in_words(STOPPED, at_once=cluster is None):
        run_study(wanted)
