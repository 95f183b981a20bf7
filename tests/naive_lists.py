"""State and primitives of the naive zone: free lists, pageblock types, merging.

First of the four modules of the pure-Python reference (see ``naive.py``). Written for
the reader: ordered dicts for lists, a set for the lru bits, dicts for the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import isqrt

UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, CMA = range(5)
MERGEABLE = (UNMOVABLE, MOVABLE, RECLAIMABLE)

NOFRAGMENT, HIGHATOMIC_ACCESS, CMA_ACCESS, OOM = 1, 2, 4, 8
NON_BLOCK, KSWAPD, MIN_RESERVE, NOLRU = 16, 32, 64, 128

BOOSTED, RECLAIM_ACTIVE, BELOW_HIGH = 1, 2, 4

COUNTERS = (
    "lock", "bulk", "smallest", "fallback", "steal_search", "area", "head",
    "scan_block", "scan_page", "move_page", "list_move", "list_add", "list_del",
    "split", "merge", "claim_try", "claim_whole", "claim_part", "steal", "pbset",
    "boost", "pcp_flush", "pcp_flush_pages",
)  # fmt: skip


@dataclass(frozen=True)
class NaiveConfig:
    """One zone: its span, its kernel profile and its search strategy."""

    pages: int = 32768
    start_pfn: int = 0
    cpus: int = 1
    kernel: str = "6.14"
    strategy: str = "remembered-fallback"
    pageblock_order: int = 9
    max_page_order: int = 10
    min_free_kbytes: int = 0
    watermark_boost_factor: int = 15000
    watermark_scale_factor: int = 10
    cma: bool = False
    cma_pageblocks: int = 0
    pcp_free_high_batch: bool = False
    page_group_by_mobility_disabled: bool = False
    percpu_pagelist_high_fraction: int = 0
    reserved: tuple[tuple[int, int], ...] = ()
    pcp_batch_scale_max: int = 5


class NaiveLists:
    """Free lists, pageblock types and lru bits of one zone, and how blocks merge.

    The page counts are kept where blocks enter and leave lists, so at every moment
    they are the pages on the lists; only profiles until 6.9 report a batch late
    (``taken_in_batch``).
    """

    def __init__(self, config: NaiveConfig) -> None:
        self.config = config
        self.is_61 = config.kernel == "6.1"
        self.until_68 = config.kernel in ("6.1", "6.8")
        self.until_69 = config.kernel in ("6.1", "6.8", "6.9")
        self.since_618 = config.kernel in ("6.18", "7.3")
        self.is_73 = config.kernel == "7.3"
        self.max_order = config.max_page_order
        self.pb_order = config.pageblock_order
        self.pb_pages = 1 << config.pageblock_order
        self.start = config.start_pfn
        self.end = config.start_pfn + config.pages
        self.nr_types = 5 if config.cma else 4
        self.lists: list[list[OrderedDict[int, None]]] = [
            [OrderedDict() for _ in range(self.nr_types)]
            for _ in range(self.max_order + 1)
        ]
        self.bud: dict[int, int] = {}  # first pfn of a free block -> its order
        self.home: dict[int, int] = {}  # first pfn of a free block -> type of its list
        self.lru: set[int] = set()
        self.first_block = self.start >> self.pb_order
        last_block = (self.end - 1) >> self.pb_order
        self.block_types = [UNMOVABLE] * (last_block - self.first_block + 1)
        self.nr_free_area = [0] * (self.max_order + 1)
        self.free_pages = [0] * 5  # pages on the lists of each type
        self.taken_in_batch = 0  # until 6.9: taken, not yet subtracted from nr_free
        self.managed = 0
        self.nr_reserved_high = 0
        self.wmark_min = self.wmark_low = self.wmark_high = self.wmark_promo = 0
        self.min_free_kbytes = 0
        self.boost_pages = 0
        self.zone_flags = 0
        self.work = dict.fromkeys(COUNTERS, 0)

    # Page counts -----------------------------------------------------------------

    @property
    def nr_free(self) -> int:
        return sum(self.free_pages) + self.taken_in_batch

    @property
    def nr_free_cma(self) -> int:
        return self.free_pages[CMA]

    @property
    def nr_free_high(self) -> int:
        return 0 if self.until_69 else self.free_pages[HIGHATOMIC]

    # Pageblock types -------------------------------------------------------------

    def ptype(self, pfn: int) -> int:
        return self.block_types[(pfn >> self.pb_order) - self.first_block]

    def settype(self, pfn: int, mt: int) -> None:
        if self.config.page_group_by_mobility_disabled and mt in MERGEABLE:
            mt = UNMOVABLE
        self.work["pbset"] += 1
        self.block_types[(pfn >> self.pb_order) - self.first_block] = mt

    def settype_range(self, pfn: int, order: int, mt: int) -> None:
        """Set every pageblock of a block of at least a pageblock."""
        for q in range(pfn, pfn + (1 << order), self.pb_pages):
            self.settype(q, mt)

    def scan_range(self, pfn: int) -> tuple[int, int]:
        """First page and end of a scan of the pageblock of `pfn`."""
        first = pfn & -self.pb_pages
        if self.until_68 and first < self.start:
            return pfn, first + self.pb_pages
        return first, first + self.pb_pages

    def pageblock_inside(self, pfn: int) -> bool:
        """Whether a scan of the pageblock of `pfn` would stay in the zone."""
        first, end = self.scan_range(pfn)
        return self.start <= first and end <= self.end

    # List primitives -------------------------------------------------------------

    def add_tail(self, pfn: int, order: int, mt: int) -> None:
        self.lists[order][mt][pfn] = None
        self.bud[pfn] = order
        self.home[pfn] = mt
        self.nr_free_area[order] += 1
        self.free_pages[mt] += 1 << order
        self.work["list_add"] += 1

    def add_head(self, pfn: int, order: int, mt: int) -> None:
        self.add_tail(pfn, order, mt)
        self.lists[order][mt].move_to_end(pfn, last=False)

    def unlink(self, pfn: int, order: int) -> None:
        mt = self.home.pop(pfn)
        del self.lists[order][mt][pfn]
        del self.bud[pfn]
        self.nr_free_area[order] -= 1
        self.free_pages[mt] -= 1 << order
        self.work["list_del"] += 1

    def move(self, pfn: int, order: int, mt: int) -> None:
        """Take a block off its list, whichever that is, to the tail of another."""
        old = self.home[pfn]
        del self.lists[order][old][pfn]
        self.lists[order][mt][pfn] = None
        self.home[pfn] = mt
        self.free_pages[old] -= 1 << order
        self.free_pages[mt] += 1 << order
        self.work["list_move"] += 1

    def first(self, order: int, mt: int) -> int | None:
        return next(iter(self.lists[order][mt]), None)

    def expand(self, pfn: int, low: int, high: int, mt: int) -> None:
        """Keep the lower half again and again; the upper halves become free."""
        while high > low:
            high -= 1
            self.work["split"] += 1
            self.add_head(pfn + (1 << high), high, mt)

    def take(self, pfn: int, order: int, from_order: int, rest_mt: int) -> int:
        """Cut the first 2**order pages out of a free block."""
        self.unlink(pfn, from_order)
        self.expand(pfn, order, from_order, rest_mt)
        return pfn

    def smallest(self, order: int, mt: int) -> int | None:
        """Take a page from the lists of `mt` itself, from the smallest block there."""
        self.work["smallest"] += 1
        for k in range(order, self.max_order + 1):
            self.work["head"] += 1
            pfn = self.first(k, mt)
            if pfn is not None:
                return self.take(pfn, order, k, mt)
        return None

    def move_pageblock(self, pfn: int, mt: int) -> int:
        """Move all free blocks of the pageblock of `pfn`; return the pages moved."""
        q, end = self.scan_range(pfn)
        moved = 0
        while q < end:
            self.work["move_page"] += 1
            order = self.bud.get(q)
            if order is None:
                q += 1
                continue
            self.move(q, order, mt)
            moved += 1 << order
            q += 1 << order
        return moved

    # Freeing ---------------------------------------------------------------------

    def free_one(self, pfn: int, order: int, mt: int, to_tail: bool = False) -> None:
        """Merge a block with its free buddies and put the result on a list of `mt`."""
        while order < self.max_order and self._merges(pfn ^ (1 << order), order, mt):
            buddy = pfn ^ (1 << order)
            self._absorb(buddy, order, mt)
            pfn &= buddy
            order += 1
        if to_tail or self._bigger_merge_likely(pfn, order):
            self.add_tail(pfn, order, mt)
        else:
            self.add_head(pfn, order, mt)

    def _merges(self, buddy: int, order: int, mt: int) -> bool:
        if self.bud.get(buddy) != order:
            return False
        if order < self.pb_order:
            return True
        buddy_mt = self.ptype(buddy)
        return buddy_mt == mt or (mt in MERGEABLE and buddy_mt in MERGEABLE)

    def _absorb(self, buddy: int, order: int, mt: int) -> None:
        """Take the buddy off its list; its pageblocks take over the type `mt`."""
        self.unlink(buddy, order)
        self.work["merge"] += 1
        if self.until_68:  # they keep what they have
            return
        if order >= self.pb_order and self.ptype(buddy) != mt:
            if self.is_73:
                self.settype_range(buddy, order, mt)
            else:  # one pageblock only, even if the buddy covers several
                self.settype(buddy, mt)

    def _bigger_merge_likely(self, pfn: int, order: int) -> bool:
        if order >= self.max_order - 1:
            return False
        parent = pfn & ~(1 << order)
        return self.bud.get(parent ^ (2 << order)) == order + 1

    def free_pieces(self, pfn: int, order: int, to_tail: bool = False) -> None:
        """Free a block; since 6.10 pageblock by pageblock, each with its own type."""
        piece = order if self.until_69 else min(order, self.pb_order)
        for q in range(pfn, pfn + (1 << order), 1 << piece):
            self.free_one(q, piece, self.ptype(q), to_tail)

    def set_lru(self, pfn: int, order: int, on: bool) -> None:
        pages = range(pfn, pfn + (1 << order))
        if on:
            self.lru.update(pages)
        else:
            self.lru.difference_update(pages)

    # Boot ------------------------------------------------------------------------

    def boot(self) -> None:
        """Hand all free memory over to the lists and compute the watermarks."""
        whole = -(-self.start // self.pb_pages) * self.pb_pages
        for pfn in range(whole, self.end, self.pb_pages):
            self.settype(pfn, MOVABLE)
        cma_end = self.end & -self.pb_pages
        cma_start = cma_end - self.config.cma_pageblocks * self.pb_pages
        holes = sorted([*self.config.reserved, (cma_start, cma_end)])
        at = self.start
        for hole_start, hole_end in [*holes, (self.end, self.end)]:
            self._hand_over(at, hole_start)
            at = max(at, hole_end)
        for pfn in range(cma_start, cma_end, self.pb_pages):
            self.settype(pfn, CMA)
            self.free_pieces(pfn, self.pb_order)
            self.managed += self.pb_pages
        self._set_watermarks()

    def _hand_over(self, at: int, end: int) -> None:
        while at < end:
            zeros = (at & -at).bit_length() - 1 if at else self.max_order
            order = min(self.max_order, zeros, (end - at).bit_length() - 1)
            self.managed += 1 << order
            self.free_pieces(at, order, to_tail=True)
            at += 1 << order

    def _set_watermarks(self) -> None:
        kbytes = self.config.min_free_kbytes
        if not kbytes:
            kbytes = min(max(isqrt(self.managed * 4 * 16), 128), 262144)
        scale = self.config.watermark_scale_factor
        tenthousands, rest = divmod(self.managed, 10000)
        step = max(kbytes // 4 // 4, tenthousands * scale + rest * scale // 10000)
        self.min_free_kbytes = kbytes
        self.wmark_min = kbytes // 4
        self.wmark_low = self.wmark_min + step
        self.wmark_high = self.wmark_low + step
        self.wmark_promo = self.wmark_high + step

    def boost(self, flags: int) -> None:
        """Raise the watermarks for a while: a claim is fragmenting memory."""
        factor = self.config.watermark_boost_factor
        if factor == 0 or 4 * self.pb_pages > self.managed:
            return
        tenthousands, rest = divmod(self.wmark_high, 10000)
        most = tenthousands * factor + rest * factor // 10000
        if most == 0:
            return
        self.boost_pages = min(
            self.boost_pages + self.pb_pages, max(most, self.pb_pages)
        )
        self.work["boost"] += 1
        if flags & KSWAPD:
            self.zone_flags |= BOOSTED
