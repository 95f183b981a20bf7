"""Every invariant of a zone: a name, and a function of that name.

A function returns whether its invariant holds; at the first breach it notes the page,
the order, what was expected and what was found (`check_lists.BREACH`).  `Zone.check`
runs all of them, in order: the later ones rely on the earlier.  Those of lists are in
`rmqueue.mm.check_lists`, those of pages and pageblocks in `rmqueue.mm.check_pages`.
"""

from __future__ import annotations

from rmqueue.mm.check_lists import breach_at, check_lists
from rmqueue.mm.check_pages import check_pages
from rmqueue.mm.jit import I64, entry
from rmqueue.mm.mmzone import zone_at

#: name -> what its numbers are, for messages.
INVARIANTS = {
    "lists_linked": "entry whose link back leads to",
    "free_pages_marked": "state of a page on a free list",
    "nr_area": "blocks on the free lists of an order",
    "nr_free": "free pages",
    "nr_free_cma": "free pages on CMA lists",
    "nr_free_highatomic": "free pages on HIGHATOMIC lists",
    "pcp_pages_marked": "state of a page on a per-CPU list",
    "pcp_count": "pages on the lists of a CPU",
    "marks_listed": "pages marked free or per-CPU that are on a list",
    "blocks_disjoint": "state of a page inside a block",
    "buddies_merged": "state of the buddy of a free block",
    "list_types": "type of the pageblock of a free block",
    "pageblock_words": "word of a pageblock",
    "pages_conserved": "pages free, per-CPU, in use or never handed over",
    "watermarks_ordered": "mark that is not below the next",
    "highatomic_reserve": "pages reserved for HIGHATOMIC",
    "pcp_types": "type that a page on a per-CPU list carries",
}


@entry(I64, I64, I64)
def check_zone(zone_address: int, breach_address: int) -> int:
    """Check every invariant of a zone.

    Returns
    -------
    int64
        -1 if all hold; else the index in `INVARIANTS` of the first that does not, which
        the `BREACH` record describes.
    """
    zone = zone_at(zone_address)
    breach = breach_at(breach_address)
    broken = check_lists(zone, breach)
    if broken >= 0:
        return int(broken)
    return int(check_pages(zone, breach))
