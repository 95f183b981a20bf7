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
        BuiltinExperiment(
            "imx7d",
            "Worst hold of one refill: dd on an i.MX7D board, traced and untraced.",
            DATA / "imx7d.toml",
        ),
        BuiltinExperiment(
            "lkp",
            "vm-scalability lru-file-mmap-read on one node of LKP's server.",
            DATA / "lkp.toml",
        ),
        BuiltinExperiment(
            "lkp-quick",
            "As lkp at an eighth of the memory: a smoke test, no figures.",
            DATA / "lkp-quick.toml",
        ),
        BuiltinExperiment(
            "refill-cap",
            "LKP's regression, with refills of unmovable pages capped at one batch.",
            DATA / "refill-cap.toml",
        ),
        BuiltinExperiment(
            "seed",
            "Both published regressions: imx7d, then lkp.",
            DATA / "seed.toml",
        ),
    ]
