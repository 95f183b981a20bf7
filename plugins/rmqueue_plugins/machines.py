"""Machines: what a unit of each work counter costs."""

from __future__ import annotations

from rmqueue.hookspecs import hookimpl
from rmqueue.types import Machine

GENERIC = Machine(
    name="generic",
    summary="A server CPU: struct pages cold in the cache, scans at 10 ns a page.",
    # Fitted to the published throughput of vm-scalability lru-file-mmap-read.  A scan
    # costs the same whether its pageblock was scanned a moment ago or not: the split
    # into warm and cold scans needs the reuse distance, which is not counted yet.
    weights_ps={
        "lock": 50_000,
        "list_del": 125_000,
        "split": 30_000,
        "area": 4_000,
        "head": 2_000,
        "claim_try": 30_000,
        "list_move": 20_000,
        "move_page": 6_000,
        "scan_page": 10_000,
        "pcp_flush_pages": 200_000,
    },
    references=("lkml 202505191442.830abdbd-lkp@intel.com",),
)


@hookimpl
def rmqueue_machines() -> list[Machine]:
    """Register the machines of this module."""
    return [GENERIC]
