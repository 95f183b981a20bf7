"""The state of a recording's start: ``state-start.json`` and ``pages-start.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import Bools, Ints
from rmqueue.types import PcpState, ZoneState
from rmqueue_plugins.readers.cpu_lists import check_inside, cpu_lists, on_cpu_lists
from rmqueue_plugins.readers.folder import (
    ABOUT,
    END_STATES,
    PAGES,
    STATES,
    find,
    integers,
    need,
    number,
    read_columns,
    read_json,
    take,
)

UNMOVABLE, MOVABLE, _, HIGHATOMIC, CMA = range(5)
#: The simulator does not model isolation.
ISOLATED = -1
_TYPES = {
    "MIGRATE_UNMOVABLE": UNMOVABLE,
    "MIGRATE_MOVABLE": MOVABLE,
    "MIGRATE_RECLAIMABLE": 2,
    "MIGRATE_HIGHATOMIC": HIGHATOMIC,
    "MIGRATE_CMA": CMA,
    "MIGRATE_ISOLATE": ISOLATED,
}
#: The names that /proc prints.
TYPE_NAMES = {
    "Unmovable": UNMOVABLE,
    "Movable": MOVABLE,
    "Reclaimable": 2,
    "HighAtomic": HIGHATOMIC,
    "CMA": CMA,
    "Isolate": ISOLATED,
}
#: Larger numbers than any kernel's migratetypes [types].
MOST_TYPES = 256
_MOST_ORDERS = 14
#: Bits of struct page's flags: (LRU, head) until 6.11, and since.
_OLD_BITS, _NEW_BITS = (4, 16), (5, 6)
#: First versions of the kernel profiles after "6.1".
_PROFILES = (
    ((6, 7), "6.8"),  # what a CPU may keep follows allocations and frees
    ((6, 10), "6.14"),  # free blocks on the lists of their pageblock's type
    ((6, 16), "6.18"),  # large blocks in a row stay on per-CPU lists
    ((6, 19), "7.3"),  # merges retype all pageblocks; flushes give the lock back
)

#: Free blocks by order and migratetype.
Lists = dict[tuple[int, int], Ints]


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

    @property
    def max_pfn(self) -> int:
        """Behind the last page of all zones."""
        return max(zone.start_pfn + zone.pages for zone in self.zones)


@dataclass(frozen=True, eq=False)
class _Dump:
    """One state file, as far as all zones share it."""

    path: Path
    content: Mapping[str, Any]
    types: Ints
    max_pfn: int
    orders: int

    def zones(self) -> list[tuple[Mapping[str, Any], str]]:
        """Zones with pages, and what messages call them."""
        records = take(self.content, "zones", list, str(self.path))
        named = [
            (record, f"{self.path}: zone {take(record, 'name', str, str(self.path))}")
            for record in records
        ]
        found = [pair for pair in named if number(pair[0], "spanned_pages", pair[1])]
        if not found:
            raise TraceError(f"{self.path}: no zone has pages: the file is damaged")
        return found


def profile_of(version: tuple[int, int]) -> str:
    """Kernel profile of a kernel.

    Examples
    --------
    >>> [profile_of(version) for version in ((6, 1), (6, 12), (6, 18), (7, 3))]
    ['6.1', '6.14', '6.18', '7.3']
    """
    profile = "6.1"
    for first, name in _PROFILES:
        if version >= first:
            profile = name
    return profile


def read_start(folder: Path, about: Mapping[str, Any]) -> Start:
    """Read the start state of a recording folder.

    Parameters
    ----------
    folder : Path
        The recording.
    about : mapping
        Its ``recording.json``.

    Raises
    ------
    TraceError
        A file is missing or damaged, or the state contradicts itself.
    """
    where = str(folder / ABOUT)
    kernel = take(about, "kernel_package", str, where)
    version = version_of(kernel, where)
    cpus = number(about, "cpus", where, least=1)
    order = number(about, "page_block_order", where, default=9)
    dump = _open(need(folder, STATES))
    lru, head, in_use = _page_bits(folder, version, dump.max_pfn)
    zones = []
    for record, name in dump.zones():
        free = _free_lists(dump, record, name)
        pcps, listed = _listed(dump, record, free, name)
        idle = _mark(free, dump.max_pfn) | listed
        zones.append(
            ZoneState(
                kernel=profile_of(version),
                cpus=cpus,
                pageblock_order=order,
                max_page_order=dump.orders - 1,
                free_lists={key: free[key] for key in free if key[1] != ISOLATED},
                lru=_inside(_lru_pages(lru, head, in_use, idle), record, name),
                pcps=pcps,
                **_geometry(dump, record, order, name),
            )
        )
    batches = tuple(zone.pcps[-1].batch if zone.pcps else 1 for zone in zones)
    return Start(kernel, version, tuple(zones), batches, dump.types)


def read_end(folder: Path, start: Start) -> tuple[ZoneState, ...]:
    """Read the state at the end of a recording folder.

    Returns
    -------
    tuple of ZoneState
        The zones of `start` at the end, without LRU pages; empty if it is not recorded.

    Raises
    ------
    TraceError
        The file is damaged, or has other zones.
    """
    path = find(folder, END_STATES)
    if path is None:
        return ()
    dump = _open(path)
    records = dump.zones()
    if len(records) != len(start.zones):
        raise TraceError(
            f"{path}: {len(records)} zones, and {len(start.zones)} at the start: "
            "the files are of different recordings"
        )
    ended = []
    for (record, name), begun in zip(records, start.zones, strict=True):
        free = _free_lists(dump, record, name)
        ended.append(
            replace(
                begun,
                free_lists={key: free[key] for key in free if key[1] != ISOLATED},
                lru=np.empty(0, np.int64),
                pcps=_listed(dump, record, free, name)[0],
                **_geometry(dump, record, begun.pageblock_order, name),
            )
        )
    return tuple(ended)


def read_end_free(folder: Path, max_pfn: int) -> Bools | None:
    """Which pages are in the buddy lists at the end, where the recording says so."""
    path = find(folder, END_STATES)
    if path is None:
        return None
    dump = _open(path)
    free = np.zeros(max(max_pfn, dump.max_pfn), np.bool_)
    for record, name in dump.zones():
        free |= _mark(_free_lists(dump, record, name), len(free))
    return free


def version_of(kernel: str, where: str) -> tuple[int, int]:
    """First two numbers of a kernel's version; `where` begins the message."""
    try:
        major, minor = (int(part) for part in kernel.replace("-", ".").split(".")[:2])
    except ValueError:
        raise TraceError(
            f"{where}: 'kernel_package' must begin with a version such as 6.12, "
            f"found {kernel!r}"
        ) from None
    return major, minor


def _open(path: Path) -> _Dump:
    content = read_json(path)
    types = np.full(MOST_TYPES, UNMOVABLE, np.int64)
    types[:4] = range(4)
    for pair in content.get("migratetypes", ()):
        match pair:
            case [str(name), int(code)] if name in _TYPES and 0 <= code < MOST_TYPES:
                types[code] = _TYPES[name]
    orders = number(content, "nr_orders", str(path), default=11, least=1)
    max_pfn = number(content, "max_pfn", str(path), least=1)
    if orders > _MOST_ORDERS:
        raise TraceError(f"{path}: 'nr_orders' is {orders}: at most {_MOST_ORDERS}")
    return _Dump(path, content, types, max_pfn, orders)


def _page_bits(
    folder: Path, version: tuple[int, int], max_pfn: int
) -> tuple[Bools, Bools, Bools]:
    """LRU bit, head bit, and whether a page has references, by pfn."""
    path = folder / PAGES
    flags, refcount = read_columns(need(folder, (PAGES,)), ("flags", "refcount"))
    if len(flags) < max_pfn:
        raise TraceError(
            f"{path}: {len(flags)} pages, but the state has {max_pfn}: "
            "the files are of different recordings"
        )
    bits = flags[:max_pfn].astype(np.uint64)
    lru, head = (
        (bits >> np.uint64(bit) & np.uint64(1)).astype(np.bool_)
        for bit in (_NEW_BITS if version >= (6, 12) else _OLD_BITS)
    )
    return lru, head, refcount[:max_pfn] != 0


def _free_lists(dump: _Dump, record: Mapping[str, Any], where: str) -> Lists:
    """Free lists by (order, our type), isolation under `ISOLATED`."""
    lists: Lists = {}
    start = number(record, "zone_start_pfn", where)
    end = min(start + number(record, "spanned_pages", where), dump.max_pfn)
    pages = 0
    for key, value in take(record, "free_lists", dict, where).items():
        order, _, mt = key.partition(",")
        if not (order.isdecimal() and mt.isdecimal() and int(order) < dump.orders):
            raise TraceError(f"{where}: free list {key!r} is no 'order,type'")
        pfns = integers(value, f"{where}: free list {key!r}")
        size = 1 << int(order)
        if np.any((pfns < start) | (pfns + size > end) | (pfns % size != 0)):
            raise TraceError(
                f"{where}: free list {key!r} holds blocks outside the zone or not "
                "aligned to their order: the file is damaged"
            )
        lists[int(order), int(dump.types[int(mt) % MOST_TYPES])] = pfns
        pages += size * len(pfns)
    if _mark(lists, dump.max_pfn).sum() != pages:
        raise TraceError(f"{where}: free blocks overlap: the file is damaged")
    return lists


def _listed(
    dump: _Dump, record: Mapping[str, Any], free: Lists, where: str
) -> tuple[tuple[PcpState, ...], Bools]:
    """Per-CPU lists of a zone, and which pages are on them."""
    pcps = cpu_lists(record, where)
    check_inside(pcps, record, where)
    blocks = on_cpu_lists(pcps)
    listed = _mark(blocks, dump.max_pfn)
    pages = sum(len(pfns) << order for (order, _), pfns in blocks.items())
    if listed.sum() != pages or (listed & _mark(free, dump.max_pfn)).any():
        raise TraceError(
            f"{where}: a page is on two per-CPU lists, or on one and free: "
            "the file is damaged"
        )
    return pcps, listed


def _mark(lists: Lists, max_pfn: int) -> Bools:
    """Mark all pages of the blocks on some lists."""
    marked = np.zeros(max_pfn, np.bool_)
    for (order, _), pfns in lists.items():
        pages = (pfns[:, None] + np.arange(1 << order)).ravel()
        marked[pages[(pages >= 0) & (pages < max_pfn)]] = True
    return marked


def _lru_pages(lru: Bools, head: Bools, in_use: Bools, idle: Bools) -> Bools:
    """Pages whose lru bit is set; the head of a large folio covers its tails."""
    marked = lru & ~idle
    ends = np.flatnonzero(in_use | lru | head | idle)
    for first in np.flatnonzero(marked & head).tolist():
        after = int(np.searchsorted(ends, first, "right"))
        end = int(ends[after]) if after < len(ends) else len(lru)
        order = (end - first).bit_length() - 1
        if first:
            order = min(order, (first & -first).bit_length() - 1)
        marked[first : first + (1 << order)] = True
    return marked


def _inside(marked: Bools, record: Mapping[str, Any], where: str) -> Ints:
    """Return the marked pages of a zone."""
    start = number(record, "zone_start_pfn", where)
    pages = number(record, "spanned_pages", where)
    return np.flatnonzero(marked[start : start + pages]) + start


def _geometry(
    dump: _Dump, record: Mapping[str, Any], order: int, where: str
) -> dict[str, Any]:
    """Take what the record of a zone says as it is."""
    start = number(record, "zone_start_pfn", where)
    pages = number(record, "spanned_pages", where)
    marks = integers(record.get("watermark"), f"{where}: 'watermark'").tolist()
    blocks = integers(
        dump.content.get("pageblock_migratetype"),
        f"{dump.path}: 'pageblock_migratetype'",
    )[start >> order : ((start + pages - 1) >> order) + 1]
    if len(marks) != 3 or len(blocks) <= (pages - 1) >> order:
        raise TraceError(
            f"{where}: three watermarks and a type for every pageblock are needed, "
            f"found {len(marks)} and {len(blocks)}: the file is damaged"
        )
    types = dump.types[np.clip(blocks, 0, MOST_TYPES - 1)]
    return {
        "name": take(record, "name", str, where),
        "start_pfn": start,
        "pages": pages,
        "managed": number(record, "managed_pages", where),
        "watermarks": tuple(marks),
        "boost": number(record, "watermark_boost", where, default=0),
        "nr_reserved_high": number(record, "nr_reserved_highatomic", where, default=0),
        "pageblock_types": np.where(types == ISOLATED, MOVABLE, types).astype(np.uint8),
        "blocks": np.empty((0, 2), np.int64),
    }
