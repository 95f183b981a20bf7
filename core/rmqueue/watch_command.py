"""``rmqueue watch``: an experiment or study, live in the terminal."""

from __future__ import annotations

from typing import Annotated

import typer

from rmqueue.options import PluginFiles, QuarterRuns, load_plugin_files


def watch(
    study: Annotated[
        str, typer.Argument(help="A study or experiment file, or a built-in one.")
    ],
    samples: Annotated[
        int, typer.Option(min=1, max=10_000, help="Looks at each zone of a run.")
    ] = 200,
    quick: QuarterRuns = False,
    plugin: PluginFiles = None,
) -> None:
    """Watch the zones while an experiment runs; nothing is kept.

    Where there is no terminal, a line is printed for each look.
    """
    from rmqueue.watch import Wanted
    from rmqueue.watch import watch as watch_study

    load_plugin_files(plugin)
    watch_study(Wanted(study, samples, quick))
