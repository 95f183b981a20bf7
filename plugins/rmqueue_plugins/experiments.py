"""Experiments that come with rmqueue, as TOML files in ``data/``."""

from __future__ import annotations

from pathlib import Path

from rmqueue.hookspecs import hookimpl
from rmqueue.types import BuiltinExperiment

DATA = Path(__file__).parent / "data"


#: Names (the files are called so too), and what each is.
BUILTIN = {
    "real": "Page cache grows over holes in unmovable blocks; recorded on Linux 7.3.",
    "synthetic": "A seeded mix of types and orders in a nearly full zone of 256 MiB.",
    "imx7d": "Worst hold of one refill: dd on an i.MX7D board, traced and untraced.",
    "lkp": "vm-scalability lru-file-mmap-read on one node of LKP's server.",
    "lkp-quick": "As lkp at an eighth of the memory: a smoke test, no figures.",
    "refill-cap": "LKP's regression, with refills of unmovable pages of one batch.",
    "fragmentation-over-time": "A study: a day of a server, and who keeps huge pages.",
    "batch-size": "A study: throughput and worst hold by CONFIG_PCP_BATCH_SCALE_MAX.",
    "seed": "Both published regressions: imx7d, then lkp.",
}


@hookimpl
def rmqueue_experiments() -> list[BuiltinExperiment]:
    """Register the experiments of this module."""
    return [
        BuiltinExperiment(name, summary, DATA / f"{name}.toml")
        for name, summary in BUILTIN.items()
    ]
