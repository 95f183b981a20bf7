"""The exact state of a recording's start: ``state-start.json`` and ``pages-start.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.types import ZoneState
from rmqueue_plugins.readers.events import HUGE_ORDER, Bools, Ints
from rmqueue_plugins.readers.folder import (
    ABOUT,
    END_STATES,
    PAGES,
    STATES,
    find,
    integers,
    need,
    read_columns,
    read_json,
    take,
)

UNMOVABLE, MOVABLE, _, HIGHATOMIC, CMA = range(5)
#: The simulator does not model isolation.
ISOLATE = -1
_TYPES = {
    "MIGRATE_UNMOVABLE": UNMOVABLE,
    "MIGRATE_MOVABLE": MOVABLE,
    "MIGRATE_RECLAIMABLE": 2,
    "MIGRATE_HIGHATOMIC": HIGHATOMIC,
    "MIGRATE_CMA": CMA,
    "MIGRATE_ISOLATE": ISOLATE,
}
#: Bits of struct page's flags: (LRU, head) until 6.11, and since.
_OLD_BITS, _NEW_BITS = (4, 16), (5, 6)
#: First version of the kernel profiles behind "6.9": (version, profile).
_PROFILES = (((6, 10), "6.14"), ((6, 19), "7.3"))


@dataclass(frozen=True, eq=False)
class Start:
    """The machine at the start of a recording.

    Attributes
    ----------
    kernel : str
        Full version of the kernel.
    version : tuple of int
        Its first two numbers.
    zones : tuple of ZoneState
        All zones with pages; their `blocks` are still empty.
    batches : tuple of int
        Batch of the per-CPU lists of each zone [pages].
    migratetypes : ndarray of int64
        The kernel's numbers of migratetypes to ours; -1 is isolation.
    """

    kernel: str
    version: tuple[int, int]
    zones: tuple[ZoneState, ...]
    batches: tuple[int, ...]
    migratetypes: Ints


def profile_of(version: tuple[int, int]) -> str:
    """Kernel profile of a kernel.

    Examples
    --------
    >>> [profile_of(version) for version in ((6, 1), (6, 12), (6, 18), (7, 3))]
    ['6.9', '6.14', '6.14', '7.3']
    """
    profile = "6.9"
    for first, name in _PROFILES:
        if version >= first:
            profile = name
    return profile


def read_start(folder: Path) -> Start:
    """Read the start state of a recording folder.

    Raises
    ------
    TraceError
        A file is missing or damaged, or the state contradicts itself.
    """
    about = read_json(folder / ABOUT)
    path = need(folder, STATES)
    state = read_json(path)
    kernel = take(about, "kernel_package", str, str(folder / ABOUT))
    version = _version(kernel, folder / ABOUT)
    max_pfn = take(state, "max_pfn", int, str(path))
    types = _migratetypes(state)
    lru, head, in_use = _page_bits(folder, version, max_pfn)
    zones, batches = [], []
    for record in take(state, "zones", list, str(path)):
        where = f"{path}: zone {take(record, 'name', str, str(path))}"
        if not take(record, "spanned_pages", int, where):
            continue
        free = _free_lists(record, types, max_pfn, where)
        idle = _mark(free, max_pfn) | _mark(_cpu_lists(record, where), max_pfn)
        pages = _lru_pages(lru, head, in_use, idle)
        zones.append(_zone(record, about, state, version, free, pages, types, where))
        cpus = take(record, "pcp", list, where)
        batches.append(take(cpus[0], "batch", int, where) if cpus else 1)
    if not zones:
        raise TraceError(f"{path}: no zone has pages: the file is damaged")
    return Start(kernel, version, tuple(zones), tuple(batches), types)


def read_end_free(folder: Path, max_pfn: int) -> Bools | None:
    """Which pages are in the buddy lists at the end, where the recording says so."""
    path = find(folder, END_STATES)
    if path is None:
        return None
    state = read_json(path)
    free = np.zeros(max_pfn, np.bool_)
    for record in take(state, "zones", list, str(path)):
        lists = _free_lists(record, _migratetypes(state), max_pfn, str(path))
        free |= _mark(lists, max_pfn)
    return free


def _version(kernel: str, path: Path) -> tuple[int, int]:
    try:
        major, minor = (int(part) for part in kernel.replace("-", ".").split(".")[:2])
    except ValueError:
        raise TraceError(
            f"{path}: 'kernel_package' must begin with a version such as 6.12, "
            f"found {kernel!r}"
        ) from None
    return major, minor


def _migratetypes(state: Mapping[str, Any]) -> Ints:
    types = np.full(256, UNMOVABLE, np.int64)
    types[:4] = range(4)
    for name, number in state.get("migratetypes", ()):
        if name in _TYPES:
            types[number] = _TYPES[name]
    return types


def _page_bits(
    folder: Path, version: tuple[int, int], max_pfn: int
) -> tuple[Bools, Bools, Bools]:
    """LRU bit, head bit, and whether a page has references, by pfn."""
    path = folder / PAGES
    flags, refcount = read_columns(path, ("flags", "refcount"))
    if len(flags) < max_pfn:
        raise TraceError(
            f"{path}: {len(flags)} pages, but the state has {max_pfn}: "
            "the files are of different recordings"
        )
    lru, head = _NEW_BITS if version >= (6, 12) else _OLD_BITS
    bits = flags[:max_pfn].astype(np.uint64)
    one = np.uint64(1)
    return (
        (bits >> np.uint64(lru) & one).astype(np.bool_),
        (bits >> np.uint64(head) & one).astype(np.bool_),
        refcount[:max_pfn] != 0,
    )


FreeLists = dict[tuple[int, int], Ints]


def _free_lists(
    record: Mapping[str, Any], types: Ints, max_pfn: int, where: str
) -> FreeLists:
    """Free lists by (order, our type), isolation under `ISOLATE`."""
    start = take(record, "zone_start_pfn", int, where)
    end = min(start + take(record, "spanned_pages", int, where), max_pfn)
    lists: FreeLists = {}
    for key, value in take(record, "free_lists", dict, where).items():
        try:
            order, mt = (int(part) for part in key.split(","))
            mt = int(types[mt])
        except (ValueError, IndexError):
            raise TraceError(f"{where}: free list {key!r} is no 'order,type'") from None
        pfns = integers(value, f"{where}: free list {key!r}")
        size = 1 << order
        if len(pfns) and (
            pfns.min() < start or pfns.max() + size > end or (pfns % size).any()
        ):
            raise TraceError(
                f"{where}: free list {key!r} holds blocks outside the zone or not "
                "aligned to their order: the file is damaged"
            )
        lists[order, mt] = pfns
    return lists


def _cpu_lists(record: Mapping[str, Any], where: str) -> FreeLists:
    """Blocks on per-CPU lists; list 3 * order + type, 12 and up for huge pages."""
    lists: dict[tuple[int, int], list[Ints]] = {}
    for cpu in take(record, "pcp", list, where):
        for key, value in take(cpu, "lists", dict, where).items():
            index = int(key) if key.isdigit() else 0
            order = index // 3 if index < 12 else HUGE_ORDER
            pfns = integers(value, f"{where}: per-CPU list {key!r}")
            lists.setdefault((order, 0), []).append(pfns)
    return {key: np.concatenate(parts) for key, parts in lists.items()}


def _mark(lists: FreeLists, max_pfn: int) -> Bools:
    """Mark all pages of the blocks on some lists."""
    marked = np.zeros(max_pfn, np.bool_)
    for (order, _), pfns in lists.items():
        pages = (pfns[:, None] + np.arange(1 << order)).ravel()
        marked[pages[(pages >= 0) & (pages < max_pfn)]] = True
    return marked


def _lru_pages(lru: Bools, head: Bools, in_use: Bools, idle: Bools) -> Bools:
    """Pages whose lru bit is set; the head of a large folio covers its tails."""
    marked = lru & ~idle
    tail = ~in_use & ~lru & ~head & ~idle
    # Next page at or behind each that is no tail.
    stops = np.flatnonzero(~tail)
    for first in np.flatnonzero(marked & head):
        after = np.searchsorted(stops, first, "right")
        stop = int(stops[after]) if after < len(stops) else len(tail)
        order = (stop - int(first)).bit_length() - 1
        alignment = (int(first) & -int(first)).bit_length() - 1 if first else order
        marked[first : first + (1 << min(order, alignment))] = True
    return marked


def _zone(
    record: Mapping[str, Any],
    about: Mapping[str, Any],
    state: Mapping[str, Any],
    version: tuple[int, int],
    free: FreeLists,
    lru: Bools,
    types: Ints,
    where: str,
) -> ZoneState:
    start = take(record, "zone_start_pfn", int, where)
    pages = take(record, "spanned_pages", int, where)
    order = about.get("page_block_order") or state.get("pageblock_order") or 9
    marks = integers(record.get("watermark"), f"{where}: watermark")
    blocks = integers(state.get("pageblock_migratetype"), f"{where}: pageblock types")
    blocks = blocks[start >> order : ((start + pages - 1) >> order) + 1]
    known = types[np.minimum(blocks, len(types) - 1)]
    return ZoneState(
        name=take(record, "name", str, where),
        kernel=profile_of(version),
        start_pfn=start,
        pages=pages,
        managed=take(record, "managed_pages", int, where),
        cpus=take(about, "cpus", int, where),
        pageblock_order=order,
        max_page_order=int(state.get("nr_orders", 11)) - 1,
        watermarks=(int(marks[0]), int(marks[1]), int(marks[2])),
        boost=int(record.get("watermark_boost", 0)),
        nr_reserved_high=int(record.get("nr_reserved_highatomic", 0)),
        free_lists={key: pfns for key, pfns in free.items() if key[1] != ISOLATE},
        pageblock_types=np.where(known == ISOLATE, MOVABLE, known).astype(np.uint8),
        blocks=np.empty((0, 2), np.int64),
        lru=np.flatnonzero(lru[start : start + pages]) + start,
    )
