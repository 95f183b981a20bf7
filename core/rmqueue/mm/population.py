"""What a machine holds when a workload begins: runs of pages of mixed types."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import MOVABLE, RECLAIMABLE, UNMOVABLE
from rmqueue.mm.queue import push
from rmqueue.mm.random import draw_below, draw_share
from rmqueue.mm.reclaim import take_page
from rmqueue.mm.smp import zone_of

#: Classes of pages, in the order of their shares.
CLASS_UNMOVABLE, CLASS_RECLAIMABLE, CLASS_ANON, CLASS_FILE = range(4)


@jit
def draw_class(smp: Any, st: Any) -> int:
    """Draw a class of pages; `st` has the chances that it is one of the first ones."""
    x = draw_share(smp)
    if x < st.below_unmovable:
        return CLASS_UNMOVABLE
    if x < st.below_reclaimable:
        return CLASS_RECLAIMABLE
    if x < st.below_anon:
        return CLASS_ANON
    return CLASS_FILE


@jit
def populate(smp: Any, node: Any, st: Any, anon: Any, file: Any, fallback: Any) -> None:
    """Allocate runs of single pages until so many are in use.

    Parameters
    ----------
    smp, node : Smp, Node
        Changed in place; pages are asked for on random CPUs of the node.
    st : record
        Parameters: ``boot_pages`` [pages], ``longest_run``, the longest run plus one
        [pages], ``boot_cpus`` [CPUs], and the chances of `draw_class`.
    anon, file : Queue
        Get the pages of these classes.
    fallback : compiled strategy
        See `rmqueue.mm.page_alloc.rmqueue`.
    """
    zone = zone_of(node)
    used = 0
    while used < st.boot_pages and smp.failed == 0:
        kind = draw_class(smp, st)
        cpu = draw_below(smp, st.boot_cpus)
        run = 1 + draw_below(smp, st.longest_run)
        mt = MOVABLE
        if kind == CLASS_UNMOVABLE:
            mt = UNMOVABLE
        elif kind == CLASS_RECLAIMABLE:
            mt = RECLAIMABLE
        for _ in range(run):
            page = take_page(zone, cpu, 0, mt, int(mt == MOVABLE), 0, fallback)
            if page < 0:
                smp.failed = 1
                return
            if kind == CLASS_ANON:
                push(anon, page)
            elif kind == CLASS_FILE:
                push(file, page)
            used += 1
