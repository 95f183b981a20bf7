"""The per-CPU lists of a zone in a state file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import HUGE_ORDER, Ints
from rmqueue.types import PcpState
from rmqueue_plugins.readers.folder import integers, number, take

#: Most per-CPU lists that any kernel here has.
LISTS = 14
_PCP_FIELDS = tuple(
    field.name for field in fields(PcpState) if field.name not in ("lists", "batch")
)


def cpu_lists(record: Mapping[str, Any], where: str) -> tuple[PcpState, ...]:
    """Read the per-CPU lists of a zone."""
    pcps = []
    for cpu in take(record, "pcp", list, where):
        lists = {
            int(key): integers(value, f"{where}: per-CPU list {key!r}")
            for key, value in take(cpu, "lists", dict, where).items()
            if key.isdecimal()
        }
        pcps.append(
            PcpState(
                lists=lists,
                batch=number(cpu, "batch", where),
                **{name: number(cpu, name, where, default=0) for name in _PCP_FIELDS},
            )
        )
    return tuple(pcps)


def on_cpu_lists(pcps: tuple[PcpState, ...]) -> dict[tuple[int, int], Ints]:
    """Blocks on the per-CPU lists of a zone, by order."""
    lists: dict[tuple[int, int], list[Ints]] = {}
    for pcp in pcps:
        for index, pfns in pcp.lists.items():
            if index >= LISTS:
                continue  # whoever follows the lists refuses it
            order = index // 3 if index < 12 else HUGE_ORDER
            lists.setdefault((order, 0), []).append(pfns)
    return {key: np.concatenate(parts) for key, parts in lists.items()}


def check_inside(
    pcps: tuple[PcpState, ...], record: Mapping[str, Any], where: str
) -> None:
    """Refuse blocks outside the zone, or not aligned to their order.

    Raises
    ------
    TraceError
        There is one.
    """
    start = number(record, "zone_start_pfn", where)
    end = start + number(record, "spanned_pages", where)
    for (order, _), pfns in on_cpu_lists(pcps).items():
        size = 1 << order
        wrong = (pfns < start) | (pfns + size > end) | (pfns % size != 0)
        if wrong.any():
            raise TraceError(
                f"{where}: pfn {pfns[wrong][0]:#x} on a per-CPU list of order {order} "
                "is outside the zone or not aligned: the file is damaged"
            )
