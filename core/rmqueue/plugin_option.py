"""The option ``--plugin``, which several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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
