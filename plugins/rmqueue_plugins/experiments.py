"""Experiments that come with rmqueue, as TOML files in ``data/``."""

from __future__ import annotations

from pathlib import Path

from rmqueue.hookspecs import hookimpl
from rmqueue.types import BuiltinExperiment

DATA = Path(__file__).parent / "data"


@hookimpl
def rmqueue_experiments() -> list[BuiltinExperiment]:
    """Register the experiments of this module."""
    return [
        BuiltinExperiment(
            "real",
            "Page cache grows over holes in unmovable blocks; recorded on Linux 7.3.",
            DATA / "real.toml",
        ),
        BuiltinExperiment(
            "synthetic",
            "A seeded mix of types and orders in a nearly full zone of 256 MiB.",
            DATA / "synthetic.toml",
        ),
    ]
