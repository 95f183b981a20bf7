"""Kernel profiles: the named rules in which kernel versions differ (SEMANTICS 18).

Everything but the fallback search itself: how blocks are freed, how per-CPU lists are
flushed, how reserves and free pages are counted.  A rule is one field of the zone
record, tested only on the rare path that it changes; a further kernel is one more
`KernelProfile` here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

#: Values of `KernelProfile.merge_retypes`.
MERGE_KEEPS_TYPES, MERGE_RETYPES_FIRST, MERGE_RETYPES_ALL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class KernelProfile:
    """The rules of one span of kernel versions.

    Attributes
    ----------
    linux : str
        The versions that behave so.
    mixed_lists : int
        1: a free block may lie on the list of another type than its pageblock's.
    late_accounting : int
        1: free pages are counted down after the whole batch, not per page.
    frees_by_pageblock : int
        1: a direct free above pageblock order is split by pageblock.
    merge_retypes : int
        Which pageblocks of a merged buddy of another type take the freed block's type.
    huge_list_order : int
        Order of the huge-page per-CPU list; -1: pageblock order.
    huge_lists : int
        Huge-page lists per CPU [lists].
    flush_in_batches : int
        1: a per-CPU flush gives the lock back after every `batch` pages.
    drain_in_batches : int
        1: draining a CPU gives the lock back after the largest batch that there is.
    free_high_half_min : int
        1: high-order frees flush only above batch + high_min / 2.
    highatomic_skips_refill : int
        1: an atomic high-order request never refills a per-CPU list.
    reserve_in_buddy : int
        1: HIGHATOMIC blocks are reserved by allocations from the buddy lists only.
    reserve_whole_block : int
        1: a block of pageblock order or more is reserved whole, not one pageblock.
    non_block_reserves : int
        1: a request that may not block falls back on the HIGHATOMIC reserve.
    counts_free_highatomic : int
        1: free pages of HIGHATOMIC blocks are counted, and watermarks subtract them.
    unreserve_trusts_list : int
        1: a block on a HIGHATOMIC list is taken to lie in a HIGHATOMIC pageblock.
    scans_from_page : int
        1: the scan of a pageblock that the zone's start cuts off begins at the page
        found; 0: it is refused, as it is at the zone's end.
    pcp_keeps_type : int
        1: a page on a per-CPU list carries the type that it came with, and goes back to
        that type's free lists; 0: to those of the type that its pageblock has then.
    pcp_fixed_high : int
        1: a CPU may keep a fixed number of pages, and a row of frees doubles what it
        gives back at a time (free_factor); 0: that number follows allocs and frees.
    """

    linux: str
    mixed_lists: int = 0
    late_accounting: int = 0
    frees_by_pageblock: int = 1
    merge_retypes: int = MERGE_RETYPES_FIRST
    huge_list_order: int = 9
    huge_lists: int = 2
    flush_in_batches: int = 0
    drain_in_batches: int = 1
    free_high_half_min: int = 0
    highatomic_skips_refill: int = 0
    reserve_in_buddy: int = 0
    reserve_whole_block: int = 1
    non_block_reserves: int = 1
    counts_free_highatomic: int = 1
    unreserve_trusts_list: int = 0
    scans_from_page: int = 0
    pcp_keeps_type: int = 0
    pcp_fixed_high: int = 0


_6_14 = KernelProfile(linux="c0cd6f557b90 (6.10) to 6.15")

_6_9 = replace(
    _6_14,
    linux="2dd482ba627d (6.9 and five patches of 6.10)",
    mixed_lists=1,
    late_accounting=1,
    frees_by_pageblock=0,
    huge_list_order=-1,
    huge_lists=1,
    drain_in_batches=0,
    reserve_whole_block=0,
    non_block_reserves=0,
    counts_free_highatomic=0,
)

#: As released, without the five patches of 6.10 that 2dd482ba627d has.
_6_8 = replace(
    _6_9,
    linux="6.7 to 6.9",
    merge_retypes=MERGE_KEEPS_TYPES,
    scans_from_page=1,
    pcp_keeps_type=1,
)

#: As Debian's 6.1.192 has it.  Its huge pages already have two lists: the fix of 6.10
#: that keeps movable ones apart was taken back into the stable kernels.
_6_1 = replace(_6_8, linux="up to 6.6", huge_lists=2, pcp_fixed_high=1)

#: Free blocks merge, are split, counted and reserved as in 6.14.  Of what 7.3 does
#: around per-CPU lists, large blocks in a row stay longer (recordings show it), and
#: HIGHATOMIC requests pass the lists by, to be reserved for in rmqueue_buddy() alone
#: (none shows it).  That a HIGHATOMIC list is trusted is of 6.15, when all changes of
#: types were made under the zone lock.
_6_18 = replace(
    _6_14,
    linux="6.16 to 6.18",
    free_high_half_min=1,
    highatomic_skips_refill=1,
    reserve_in_buddy=1,
    unreserve_trusts_list=1,
)

_7_3 = replace(
    _6_18,
    linux="6.19 to 7.3",
    merge_retypes=MERGE_RETYPES_ALL,
    flush_in_batches=1,
)

#: By name, in the order of versions.
PROFILES = {
    "6.1": _6_1,
    "6.8": _6_8,
    "6.9": _6_9,
    "6.14": _6_14,
    "6.18": _6_18,
    "7.3": _7_3,
}

RULES = tuple(field.name for field in fields(KernelProfile) if field.name != "linux")
