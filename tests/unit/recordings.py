"""A recording of nothing real: four blocks of 1024 pages, the first one in use."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

PAGES = 4096
ABOUT = {"name": "made", "kernel_package": "6.12.3-made", "cpus": 2}
STATE = {
    "nr_orders": 11,
    "max_pfn": PAGES,
    "migratetypes": [["MIGRATE_UNMOVABLE", 0], ["MIGRATE_MOVABLE", 1]],
    "pageblock_migratetype": [1] * (PAGES >> 9),
    "zones": [
        {
            "name": "Normal",
            "zone_start_pfn": 0,
            "spanned_pages": PAGES,
            "managed_pages": PAGES,
            "watermark": [60, 75, 90],
            "free_lists": {"10,1": [1024, 2048, 3072]},
            "pcp": [{"batch": 1, "lists": {}}, {"batch": 1, "lists": {}}],
        }
    ],
}
START = "RMQ SNAP_start"
END = "RMQ SNAP_end"


def line(event: str, task: str = "cat-7", cpu: int = 0, at: int = 21) -> str:
    """One line of tracefs."""
    return f"{task:>20} [{cpu:03}] .....  5.{at:06}: {event}\n"


def mark(text: str) -> str:
    return line(f"tracing_mark_write: {text}")


def alloc(pfn: int, order: int = 0, mt: int = 1, **where: Any) -> str:
    gfp = "GFP_HIGHUSER_MOVABLE" if mt == 1 else "GFP_KERNEL"
    return line(
        f"mm_page_alloc: page=00000000 pfn={pfn:#x} order={order} migratetype={mt} "
        f"gfp_flags={gfp}",
        **where,
    )


def locked(pfn: int, order: int = 0, mt: int = 1, refill: int = 0) -> str:
    return line(
        f"mm_page_alloc_zone_locked: page=00000000 pfn={pfn:#x} order={order} "
        f"migratetype={mt} percpu_refill={refill}"
    )


def free(pfn: int, order: int = 0, **where: Any) -> str:
    return line(f"mm_page_free: page=00000000 pfn={pfn:#x} order={order}", **where)


def write(folder: Path, lines: Iterable[str], **about: Any) -> Path:
    """Write the folder of a recording; the trace between its two marks."""
    folder.mkdir(exist_ok=True)
    text = "".join(("# tracer: nop\n", mark(START), *lines, mark(END)))
    (folder / "trace.txt.xz").write_bytes(lzma.compress(text.encode()))
    (folder / "recording.json").write_text(json.dumps({**ABOUT, **about}))
    state = lzma.compress(json.dumps(STATE).encode())
    (folder / "state-start.json.xz").write_bytes(state)
    in_use = np.arange(PAGES) < 1024
    np.savez(
        folder / "pages-start.npz",
        flags=np.zeros(PAGES, np.uint64),
        refcount=in_use.astype(np.int32),
    )
    return folder
