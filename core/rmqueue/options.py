"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Jobs: TypeAlias = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Runs at once; one a CPU by default."),
]
Kernel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="PROFILE",
        help="Kernel profile of all strategies, instead of each one's own.",
    ),
]
QuarterRuns: TypeAlias = Annotated[
    bool, typer.Option("--quick", help="Do a quarter of each run, with one seed.")
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show no progress.")
]
PluginFiles: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="Load a Python file as a plugin; may be given several times.",
    ),
]


def load_plugin_files(files: list[Path] | None) -> None:
    """Load files into the registry that the whole process shares.

    Raises
    ------
    PluginError
        One is broken.
    """
    if not files:
        return
    from rmqueue.registry import default_registry

    for file in files:
        default_registry().add_file(file)
