"""The command ``rmqueue bench``: its options; the work is in `rmqueue.bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from rmqueue.options import PluginFiles, load_plugin_files


def bench(
    strategies: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STRATEGY]...", help="Strategies; all if none."),
    ] = None,
    experiment: Annotated[
        str, typer.Option(help="What the quick run replays.")
    ] = "real",
    turns: Annotated[
        int, typer.Option(min=1, help="Runs that the median is taken of.")
    ] = 5,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT",
            help="Compare the working tree with this commit, like HEAD; status 1 if "
            "a result has changed or something is slower.",
        ),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(metavar="COMMIT", help="This one instead of the working tree."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Benchmarks to compare, as asv names them."),
    ] = None,
    factor: Annotated[
        float, typer.Option(help="What is slower by this factor is reported.")
    ] = 1.1,
    once: Annotated[
        bool,
        typer.Option("--once", help="Run every benchmark once, and keep nothing."),
    ] = False,
    markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print markdown, for a commit message."),
    ] = False,
    plugin: PluginFiles = None,
) -> None:
    """Measure strategies here, or two commits against each other."""
    from rmqueue.bench import Wanted, run

    load_plugin_files(plugin)
    run(
        Wanted(
            strategies=tuple(strategies or ()),
            experiment=experiment,
            turns=turns,
            against=against,
            commit=commit,
            only=only,
            factor=factor,
            once=once,
            markdown=markdown,
            plugins=tuple(plugin or ()),
        )
    )
