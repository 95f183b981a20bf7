"""A replay knows its future: asking for the memory that it is going to touch."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.buddy import find_buddy_pfn
from rmqueue.mm.jit import jit, load_u8, load_u32, prefetch
from rmqueue.mm.mmzone import links, meta, next_of, prev_of
from rmqueue.mm.run import OP_BYTES, OP_FREE, nr_ops, nr_slots, ops_at, slots_at

#: Operations to look ahead: the slot, then the page that it holds, then what a merge
#: with its buddy would touch.
AHEAD_SLOT, AHEAD_PAGE, AHEAD_BUDDY = 48, 24, 8
#: Zones of fewer pages than this live in the caches: looking ahead costs more there.
AHEAD_PAGES = 1 << 17


@jit(forceinline=True)
def page_ahead(run: Any, i: int) -> int:
    """Page in the slot of an op to come; 0 if there is none, without a branch."""
    slot = load_u32(ops_at(run), 4 * i + 2)
    pfn = load_u32(slots_at(run), slot if slot < nr_slots(run) else 0)
    empty = (pfn + 1) >> 32
    return int(pfn & (empty - 1))


@jit(forceinline=True)
def look_at_buddy(zone: Any, run: Any, i: int) -> None:
    """Ask for the neighbours of a page's buddy, from which a merge would cut it off.

    Only of small blocks: these lie in one cache line with their buddy.
    """
    pfn = page_ahead(run, i)
    buddy = find_buddy_pfn(pfn, load_u8(meta(zone), pfn) & 3)
    free = load_u8(meta(zone), buddy) >> 7
    prefetch(links(zone), 8 * free * next_of(zone, buddy))
    prefetch(links(zone), 8 * free * prev_of(zone, buddy))


@jit(forceinline=True)
def look_ahead(zone: Any, run: Any, i: int) -> None:
    """Ask for the memory that operations to come will touch.

    A replay knows its future.  A slot read too early may name another page by then,
    which costs one useless hint.  There is no branch here: whether an operation to
    come has a slot or a page is as good as random.
    """
    j = i + AHEAD_SLOT
    if j < nr_ops(run):
        prefetch(slots_at(run), 4 * load_u32(ops_at(run), 4 * j + 2))
        pfn = page_ahead(run, i + AHEAD_PAGE)
        prefetch(meta(zone), pfn)
        prefetch(links(zone), 8 * pfn)
        if load_u8(ops_at(run), OP_BYTES * (i + AHEAD_BUDDY)) <= OP_FREE:
            look_at_buddy(zone, run, i + AHEAD_BUDDY)
