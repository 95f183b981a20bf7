"""``rmqueue report``: a study as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rmqueue.interrupt import ended_in_words
from rmqueue.options import Jobs, PluginFiles, QuarterRuns, Quiet, load_plugin_files

#: Said after Ctrl-C, or SIGTERM.
STOPPED = "interrupted: what is done is kept, the same command goes on"


def report(
    study: Annotated[
        str,
        typer.Argument(
            help="Folder or URL of a study, or what rmqueue run takes: it is run first."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")
    ] = Path("report.html"),
    png: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the figures as PNG files, too."),
    ] = None,
    jobs: Jobs = None,
    quick: QuarterRuns = False,
    plugin: PluginFiles = None,
    quiet: Quiet = False,
) -> None:
    """Write a report of a study: one HTML file that needs no network.

    What is missing of a built-in experiment or a study file is run first.
    """
    from rmqueue.study.need import need_parquet
    from rmqueue.study.page.need import need_charts, need_playwright

    need_parquet()
    need_charts()
    if png is not None:
        need_playwright()
    from rmqueue.study.page.report import Wanted
    from rmqueue.study.page.report import report as write_report

    load_plugin_files(plugin)
    wanted = Wanted(
        study=study,
        output=output,
        png=png,
        quick=quick,
        quiet=quiet,
        jobs=jobs,
        plugins=tuple(plugin or ()),
    )
    with ended_in_words(STOPPED):
        write_report(wanted)
