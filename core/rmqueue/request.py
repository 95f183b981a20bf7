"""What a caller may ask of a zone, and the true state of a page that he names."""

from __future__ import annotations

import operator
from collections.abc import Iterable

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.errors import (
    DoubleFreeError,
    NotAllocatedError,
    OrderError,
    PfnError,
    UnknownNameError,
    UsageError,
)
from rmqueue.mm.mmzone import (
    ALLOC_CMA,
    ALLOC_HIGHATOMIC,
    ALLOC_KSWAPD,
    ALLOC_MIN_RESERVE,
    ALLOC_NOFRAGMENT,
    ALLOC_NOLRU,
    ALLOC_NON_BLOCK,
    ALLOC_OOM,
    MIGRATETYPES,
    PAGE_FREE,
    PAGE_IN_USE,
    PAGE_ORDER,
    PAGE_PCP,
)
from rmqueue.storage import ZoneStorage

#: Allocation flags by name.
FLAGS = {
    "nofragment": ALLOC_NOFRAGMENT,
    "highatomic": ALLOC_HIGHATOMIC,
    "cma": ALLOC_CMA,
    "oom": ALLOC_OOM,
    "non_block": ALLOC_NON_BLOCK,
    "kswapd": ALLOC_KSWAPD,
    "min_reserve": ALLOC_MIN_RESERVE,
    "nolru": ALLOC_NOLRU,
}


def flag_bits(flags: int | Iterable[str]) -> int:
    """Bits of allocation flags.

    Examples
    --------
    >>> flag_bits(("nofragment", "kswapd"))
    33
    """
    if isinstance(flags, (int, np.integer)):
        flags = int(flags)
        if not 0 <= flags < 1 << len(FLAGS):
            raise UsageError(f"flags are 0 to {(1 << len(FLAGS)) - 1}, found {flags}")
        return flags
    bits = 0
    for name in (flags,) if isinstance(flags, str) else flags:
        if name not in FLAGS:
            raise UnknownNameError("allocation flag", name, FLAGS)
        bits |= FLAGS[name]
    return bits


def type_index(migratetype: str | int, count: int) -> int:
    """Index of a migratetype, one of the first `count`.

    Examples
    --------
    >>> type_index("movable", 3)
    1
    """
    known = MIGRATETYPES[:count]
    if isinstance(migratetype, str):
        if migratetype not in known:
            raise UnknownNameError("migratetype", migratetype, known)
        return known.index(migratetype)
    migratetype = whole("migratetype", migratetype)
    if not 0 <= migratetype < count:
        raise UsageError(
            f"migratetypes are 0 to {count - 1} here ({', '.join(known)}), "
            f"found {migratetype}"
        )
    return migratetype


def whole(name: str, value: object) -> int:
    """Return a whole number, and refuse what only looks like one.

    Examples
    --------
    >>> whole("order", 3)
    3
    """
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{name}: a whole number is needed, found {value!r}") from None


def check_order(config: ZoneConfig, order: int) -> int:
    """Refuse an order that a zone does not have."""
    order = whole("order", order)
    if not 0 <= order <= config.max_page_order:
        raise OrderError(
            f"order {order} does not exist: the zone has 0 to {config.max_page_order}"
        )
    return order


def check_cpu(config: ZoneConfig, cpu: int | None) -> int:
    """Refuse a CPU that a zone does not have; None is none, 0 for an operand."""
    if cpu is None:
        return 0
    cpu = whole("cpu", cpu)
    if not 0 <= cpu < config.cpus:
        last = config.cpus - 1
        raise UsageError(f"cpu {cpu} does not exist: the zone has 0 to {last}")
    return cpu


def check_block(storage: ZoneStorage, pfn: int, order: int) -> None:
    """Refuse to free what no caller holds.

    Raises
    ------
    PfnError, DoubleFreeError, NotAllocatedError, OrderError
        With the true state of the page.
    """
    zone = storage.record[0]
    base, start, end = (int(zone[name]) for name in ("base", "start", "end"))
    page = pfn - base
    if not start <= page < end:
        raise PfnError(
            f"pfn {pfn} is outside the zone, which has [{base + start}, {base + end})",
            pfn,
        )
    first, state = block_of(storage, page)
    size = state & PAGE_ORDER
    where = f"the block of order {size} at pfn {base + first}"
    if state & PAGE_FREE:
        raise DoubleFreeError(f"pfn {pfn} is free already: in {where}", pfn)
    if state & PAGE_PCP:
        raise DoubleFreeError(
            f"pfn {pfn} is free already: on a per-CPU list, in {where}", pfn
        )
    if not state & PAGE_IN_USE:
        raise NotAllocatedError(
            f"pfn {pfn} was never given to a caller: it is reserved, or in use since "
            "before a recording began",
            pfn,
        )
    if first != page:
        raise NotAllocatedError(f"pfn {pfn} is in use, inside {where}: free that", pfn)
    if size != order:
        raise OrderError(
            f"pfn {pfn} was given with order {size}, not {order}: free it with {size}",
            pfn,
        )


def block_of(storage: ZoneStorage, page: int) -> tuple[int, int]:
    """First page and state byte of the block that a page lies in; 0: it is in none."""
    for order in range(int(storage.record[0]["max_order"]) + 1):
        first = page >> order << order
        state = int(storage.meta[first])
        if state & (PAGE_FREE | PAGE_PCP | PAGE_IN_USE) and state & PAGE_ORDER >= order:
            return first, state
    return page, 0
