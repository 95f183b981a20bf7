"""Forget the exact state of a recording: what `rmqueue record` would have left of it.

So one can see what a start state that is made up is worth.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rmqueue.procfs import buddyinfo, pagetypeinfo
from rmqueue.types import ZoneState
from rmqueue_plugins.readers.folder import (
    ABOUT,
    COUNTS,
    END_STATES,
    PAGES,
    STATES,
    TRACES,
    need,
    number,
    read_json,
    take,
)
from rmqueue_plugins.readers.state import UNMOVABLE, read_end, read_start

_NR_TYPES = 5


def forget_state(source: Path, target: Path) -> None:
    """Copy a recording without its states; counts of the states take their place.

    Parameters
    ----------
    source, target : Path
        Recording folders; the second is made.

    Raises
    ------
    TraceError
        The source has no exact state, or is damaged.
    """
    about = read_json(need(source, (ABOUT,)))
    start = read_start(source, about)
    target.mkdir(parents=True, exist_ok=True)
    for names in ((ABOUT,), TRACES):
        path = need(source, names)
        shutil.copyfile(path, target / path.name)
    write_counts(target, "start", start.zones, present_pages(need(source, STATES)))
    end = () if "window" in about else read_end(source, start)
    if end:
        write_counts(target, "end", end, present_pages(need(source, END_STATES)))


def drop_state(source: Path, target: Path) -> None:
    """Copy a recording without its states, with the counts that it has of its own.

    They may be older than the states. Raises as `forget_state`.
    """
    for name in COUNTS:
        need(source, (f"start-{name}.txt",))
    target.mkdir(parents=True, exist_ok=True)
    trace = need(source, TRACES)
    for path in sorted(source.iterdir()):
        left_out = path.name in (*STATES, *END_STATES, PAGES)
        if path.is_file() and not left_out and (path == trace or path.suffix != ".xz"):
            shutil.copyfile(path, target / path.name)


def present_pages(path: Path) -> dict[str, int]:
    """Pages of each zone that are there and no hole, where a state says so [pages]."""
    return {
        take(zone, "name", str, str(path)): number(zone, "present_pages", str(path))
        for zone in take(read_json(path), "zones", list, str(path))
        if zone.get("present_pages") is not None
    }


def write_counts(
    folder: Path, when: str, zones: tuple[ZoneState, ...], present: dict[str, int]
) -> None:
    """Write zoneinfo, buddyinfo and pagetypeinfo of some states."""
    texts = [pagetypeinfo_of(zone, present.get(zone.name)) for zone in zones]
    parts = [text.split("\n\n") for text in texts]
    heads = [part[1].split("\n") for part in parts]
    blocks = [part[2].splitlines() for part in parts]
    lines = [parts[0][0], "", heads[0][0], *(row for head in heads for row in head[1:])]
    lines += ["", blocks[0][0], *(block[1] for block in blocks), ""]
    (folder / f"{when}-{COUNTS[2]}.txt").write_text("\n".join(lines))
    text = "".join(buddyinfo(zone.name, free_counts(zone)) for zone in zones)
    (folder / f"{when}-{COUNTS[1]}.txt").write_text(text)
    text = "".join(line + "\n" for zone in zones for line in zoneinfo(zone))
    (folder / f"{when}-{COUNTS[0]}.txt").write_text(text)


def free_counts(zone: ZoneState) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Free blocks of a state by order and type."""
    counts = np.zeros((zone.max_page_order + 1, _NR_TYPES), np.int64)
    for (order, mt), pfns in zone.free_lists.items():
        counts[order, mt] = len(pfns)
    return counts


def pagetypeinfo_of(zone: ZoneState, present: int | None) -> str:
    """Text of pagetypeinfo; holes, which states give as unmovable, are not counted."""
    types = zone.pageblock_types
    if present is not None:
        size = 1 << zone.pageblock_order
        there = -(-(present + zone.start_pfn % size) // size)
        holes = len(types) - there
        unmovable = np.flatnonzero(types == UNMOVABLE)
        types = np.delete(types, unmovable[: max(holes, 0)])
    return pagetypeinfo(zone.name, zone.pageblock_order, free_counts(zone), types)


def zoneinfo(zone: ZoneState) -> Iterator[str]:
    """Lines of zoneinfo that the reader looks at."""
    yield f"Node 0, zone {zone.name:>8}"
    yield f"        boost    {zone.boost}"
    for name, mark in zip(("min", "low", "high"), zone.watermarks, strict=True):
        yield f"        {name:<8} {mark + zone.boost}"
    yield f"        spanned  {zone.pages}"
    yield f"        managed  {zone.managed}"
    yield f"      nr_zone_inactive_file {len(zone.lru)}"
    yield "  pagesets"
    for cpu, pcp in enumerate(zone.pcps):
        yield f"    cpu: {cpu}"
        for name in ("count", "high", "batch", "high_min", "high_max"):
            yield f"              {name}: {getattr(pcp, name)}"
    yield f"  start_pfn:           {zone.start_pfn}"
