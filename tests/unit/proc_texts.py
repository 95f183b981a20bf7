"""Texts of /proc for recordings of nothing real, and their malformed relatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.unit import recordings

NAMES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate")
ORDERS = 11

#: Free blocks by type, then order.
Free = Mapping[str, Mapping[int, int]]


def pagetypeinfo(free: Free, pageblocks: Mapping[str, int]) -> str:
    lines = ["Page block order: 9", "Pages per block:  512", ""]
    orders = " ".join(f"{order:6}" for order in range(ORDERS))
    lines.append(f"Free pages count per migrate type at order {orders} ")
    for name in NAMES:
        cells = [free.get(name, {}).get(order, 0) for order in range(ORDERS)]
        words = " ".join(f">{n:6}" if n >= 100_000 else f"{n:6}" for n in cells)
        lines.append(f"Node    0, zone   Normal, type {name:>12} {words} ")
    lines += ["", f"Number of blocks type     {' '.join(NAMES)} "]
    cells = [pageblocks.get(name, 0) for name in NAMES]
    lines.append(f"Node 0, zone   Normal {' '.join(map(str, cells))} ")
    return "\n".join(lines) + "\n"


def buddyinfo(free: Free) -> str:
    sums = [sum(row.get(order, 0) for row in free.values()) for order in range(ORDERS)]
    return f"Node 0, zone   Normal {' '.join(map(str, sums))} \n"


def zoneinfo(pages: int, lru: int = 0, count: int = 0, boost: int = 0) -> str:
    return f"""Node 0, zone   Normal
  per-node stats
      nr_inactive_anon 0
  pages free     3072
        boost    {boost}
        min      {60 + boost}
        low      {75 + boost}
        high     {90 + boost}
        spanned  {pages}
        present  {pages}
        managed  {pages}
        protection: (0, 0, 0, 0, 0)
      nr_zone_inactive_file {lru}
  pagesets
    cpu: 0
              count: {count}
              high:  100
              batch: 15
    cpu: 1
              count: 0
              high:  100
              batch: 15
  node_unreclaimable:  0
  start_pfn:           0
Node 0, zone  Movable
        spanned  0
"""


def write(
    folder: Path,
    lines: Iterable[str],
    free: Free,
    pageblocks: Mapping[str, int],
    *,
    pages: int = recordings.PAGES,
    lru: int = 0,
    count: int = 0,
    boost: int = 0,
    kernel: str = "6.12.3-made",
) -> Path:
    """Write a recording folder without a state, as `rmqueue record` does."""
    recordings.write(folder, lines, kernel_package=kernel)
    (folder / "state-start.json.xz").unlink()
    (folder / "pages-start.npz").unlink()
    for when in ("start", "end"):
        (folder / f"{when}-pagetypeinfo.txt").write_text(pagetypeinfo(free, pageblocks))
        (folder / f"{when}-buddyinfo.txt").write_text(buddyinfo(free))
        text = zoneinfo(pages, lru, count, boost)
        (folder / f"{when}-zoneinfo.txt").write_text(text)
    return folder
