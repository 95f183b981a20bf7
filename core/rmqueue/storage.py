"""The memory of a zone: its record and the big arrays, mapped but not touched.

Nine bytes a page, ten on kernels before 6.7, and eight a pageblock.  The arrays are
anonymous maps without a reservation: boot touches only what it writes.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rmqueue.mm.mmzone import (
    BATCH,
    BUDDY_LISTS,
    NR_TYPES,
    PAGE_ALLOC_COSTLY_ORDER,
    PCP,
    PCP_LISTS,
    ZONE,
)
from rmqueue.mm.profile import PROFILES, RULES
from rmqueue.mm.steps import ENDLESS, step_limit
from rmqueue.mm.vmstat import HISTOGRAM_BUCKETS

if TYPE_CHECKING:
    from rmqueue.config import ZoneConfig

_HUGE = 2 << 20
#: Arrays larger than this stay in small pages: boot writes every second one of them,
#: and a zone of a terabyte would take 2.5 GB at once, instead of 1.5.
_MOST_HUGE = 1 << 30
#: Python names it since 3.13 only.
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


def big_array(count: int, dtype: Any) -> npt.NDArray[Any]:
    """Return zeros that take no memory until they are written.

    In huge pages where the system has them and they are not too many.

    Raises
    ------
    MemoryError
        There is no address space for so much.
    """
    size = max(count * np.dtype(dtype).itemsize, 1)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
    try:
        memory = mmap.mmap(-1, size + _HUGE, flags=flags)
    except OSError as error:
        raise MemoryError(f"{size >> 20} MiB: {error.strerror}") from None
    if _HUGE <= size <= _MOST_HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    start = -np.frombuffer(memory, np.uint8, 1).ctypes.data % _HUGE
    return np.frombuffer(memory, dtype, count, start)


class ZoneStorage:
    """Record and arrays of one zone, laid out but not booted.

    Attributes
    ----------
    record : ndarray of `mmzone.ZONE`, shape (1,)
        The zone as jitted code sees it.
    links, meta, words : ndarray
        Two links per page and list head (uint32), one state byte per page, one word per
        pageblock (int64).
    page_types : ndarray of uint8
        The type that each page on a per-CPU list carries; empty unless kernels keep it.
    pcps, batch, histogram, ranges : ndarray
        Per-CPU records, the batch in flight, hold histogram, free ranges at boot.
    """

    def __init__(self, config: ZoneConfig) -> None:
        self.record = np.zeros(1, ZONE)
        big = 1 << config.max_page_order
        base = config.start_pfn // big * big
        start = config.start_pfn - base
        end = start + config.pages
        pages = -(-end // big) * big
        heads = BUDDY_LISTS + 1 + config.cpus * PCP_LISTS
        self.links = big_array(2 * (pages + heads), np.uint32)
        self.meta = big_array(pages, np.uint8)
        self.words = big_array(pages >> config.pageblock_order, np.int64)
        self.scans = big_array(pages >> config.pageblock_order, np.int64)
        self.pcps = big_array(config.cpus, PCP)
        self.page_types = np.empty(0, np.uint8)
        if PROFILES[config.kernel].pcp_keeps_type:
            self.page_types = big_array(pages, np.uint8)
        self.batch = np.zeros(1, BATCH)
        self.histogram = np.zeros(HISTOGRAM_BUCKETS, np.int64)
        self._fill(config, base=base, start=start, end=end, nr_index=pages, heads=pages)
        self.ranges = self._ranges(config, base)

    @property
    def address(self) -> int:
        """Where the record lies."""
        return int(self.record.ctypes.data)

    def _fill(self, config: ZoneConfig, **geometry: int) -> None:
        profile = PROFILES[config.kernel]
        huge = profile.huge_list_order
        old_rules = profile.pcp_keeps_type or profile.pcp_fixed_high
        values = {
            **geometry,
            **{rule: getattr(profile, rule) for rule in RULES},
            "links": self.links.ctypes.data,
            "meta": self.meta.ctypes.data,
            "words": self.words.ctypes.data,
            "scans": self.scans.ctypes.data,
            "pcps": self.pcps.ctypes.data,
            "batch": self.batch.ctypes.data,
            "hold_histogram": self.histogram.ctypes.data,
            "page_types": self.page_types.ctypes.data,
            "max_order": config.max_page_order,
            "pageblock_order": config.pageblock_order,
            "pageblock_pages": 1 << config.pageblock_order,
            "pcp_quick_order": -1 if old_rules else PAGE_ALLOC_COSTLY_ORDER,
            "huge_order": config.pageblock_order if huge < 0 else huge,
            "nr_types": NR_TYPES if config.cma else NR_TYPES - 1,
            "cpus": config.cpus,
            "boost_factor": config.watermark_boost_factor,
            "scale_factor": config.watermark_scale_factor,
            "batch_scale_max": config.pcp_batch_scale_max,
            "high_fraction": config.percpu_pagelist_high_fraction,
            "cma": int(config.cma),
            "cma_pageblocks": config.cma_pageblocks,
            "mobility_off": int(config.page_group_by_mobility_disabled),
            "free_high_batch": int(config.pcp_free_high_batch),
            "step_limit": step_limit(config.pages),
            "steps_left": ENDLESS,
        }
        for name, value in values.items():
            self.record[name] = value

    def _ranges(self, config: ZoneConfig, base: int) -> npt.NDArray[np.int64]:
        """Free ranges at boot: the zone less reserved ranges and the CMA area."""
        block = 1 << config.pageblock_order
        end = config.start_pfn + config.pages
        cma_end = end // block * block
        cma = (cma_end - config.cma_pageblocks * block, cma_end)
        taken = sorted([*config.reserved, *([cma] if config.cma_pageblocks else [])])
        ranges, at = [], config.start_pfn
        for first, last in [*taken, (end, end)]:
            if at < first:
                ranges.append((at - base, first - base))
            at = max(at, last)
        return np.array(ranges or np.empty((0, 2)), np.int64).reshape(-1, 2)
