"""Columns of a parsed trace: one record an event, and what the parser noticed.

The numbers of `EVENTS` are the kernel's own (its migratetypes, absolute pfns); -1 where
an event has no such field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Events: TypeAlias = npt.NDArray[np.void]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

EVENTS = np.dtype(
    [
        ("line", "<i4"),  # 1-based
        ("kind", "u1"),
        ("irq", "u1"),  # third character of the flags column
        ("cpu", "<i2"),
        ("time_us", "<i8"),
        ("pfn", "<i8"),  # isolate: first page of the range
        ("end", "<i8"),  # isolate: behind the last page of the range
        ("order", "i1"),  # extfrag: alloc_order
        ("mt", "i1"),  # extfrag: alloc_migratetype
        ("fallback_order", "i1"),
        ("fallback_mt", "i1"),
        ("claim", "i1"),  # change_ownership
        ("refill", "i1"),  # percpu_refill
        ("movable", "i1"),  # the gfp flags ask for a movable page
        ("taken", "<i4"),  # isolate: pages taken [pages]
        ("fragmenting", "i1"),  # extfrag: less than a pageblock was free
    ]
)

#: Kinds of events, in the order of `EVENT_NAMES`; 0 is none of these.
(OTHER, ALLOC, LOCKED, FALLBACK, FREE, BATCHED, DRAIN, ISOLATE, MARK) = range(9)
COMPACT_BEGIN, COMPACT_END = 9, 10
EVENT_NAMES = (
    "",
    "mm_page_alloc",
    "mm_page_alloc_zone_locked",
    "mm_page_alloc_extfrag",
    "mm_page_free",
    "mm_page_free_batched",
    "mm_page_pcpu_drain",
    "mm_compaction_isolate_freepages",
    "tracing_mark_write",
    "mm_compaction_begin",
    "mm_compaction_end",
)

#: Orders above this have no per-CPU list, except `HUGE_ORDER`.
COSTLY_ORDER, HUGE_ORDER = 3, 9


@dataclass(frozen=True, eq=False)
class Trace:
    """A parsed trace.

    Attributes
    ----------
    name : str
        What messages call the file.
    events : ndarray of EVENTS
        The events that the reader knows, in the order of the lines.
    marks : tuple of (int, str)
        Index in `events` and text of each ``tracing_mark_write``.
    lines : int
        Lines that should be events [lines].
    broken : tuple of (int, str)
        Number and text of lines that are none.
    lost : tuple of (int, str)
        Number and text of the kernel's lost-event markers.
    """

    name: str
    events: Events
    marks: tuple[tuple[int, str], ...]
    lines: int
    broken: tuple[tuple[int, str], ...]
    lost: tuple[tuple[int, str], ...]


def has_cpu_list(order: Ints) -> Bools:
    """Whether blocks of these orders go through per-CPU lists.

    Examples
    --------
    >>> has_cpu_list(np.array([0, 3, 4, 9, 10]))
    array([ True,  True, False,  True, False])
    """
    found: Bools = (order <= COSTLY_ORDER) | (order == HUGE_ORDER)
    return found
