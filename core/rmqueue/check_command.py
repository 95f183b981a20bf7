"""The command ``rmqueue check``: its options; the work is in `rmqueue.check`."""

from __future__ import annotations

from typing import Annotated

import typer

from rmqueue.options import PluginFiles, load_plugin_files


def check(
    name: Annotated[
        str | None,
        typer.Argument(help="A plugin; everything in the files of --plugin if none."),
    ] = None,
    plugin: PluginFiles = None,
) -> None:
    """Check that a plugin keeps to the rules of its kind, one line for each rule."""
    from rmqueue.check import run

    load_plugin_files(plugin)
    run(name)
