"""A recorded state into the memory of a zone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmqueue.config import ZoneConfig
from rmqueue.errors import TraceError
from rmqueue.mm.boot import RECORDED, restore
from rmqueue.mm.mmzone import CMA
from rmqueue.storage import ZoneStorage
from rmqueue.types import ZoneState
from rmqueue.validation import validated


def open_state(state: ZoneState, kernel: str) -> tuple[ZoneConfig, ZoneStorage]:
    """Lay a recorded state out.

    Parameters
    ----------
    state : ZoneState
        The zone at some moment.
    kernel : str
        Kernel profile that goes on from there.

    Raises
    ------
    TraceError
        Two blocks overlap, or one lies outside the zone.
    """
    config = config_of(state, kernel)
    storage = ZoneStorage(config)
    zone = storage.record[0]
    base = int(zone["base"])
    marks = dict(zip(("min", "low", "high"), state.watermarks, strict=True))
    marks["promo"] = 2 * marks["high"] - marks["low"]
    for mark, pages in marks.items():
        zone[f"wmark_{mark}"] = pages
    zone["managed"] = state.managed
    zone["nr_reserved_highatomic"] = state.nr_reserved_high
    types = np.ascontiguousarray(state.pageblock_types, np.uint8)
    blocks = listed_blocks(state, base)
    used = np.ascontiguousarray(state.blocks, np.int64) - np.array([base, 0])
    check_inside(state, used[:, 0], used[:, 1], base)
    lru = np.ascontiguousarray(state.lru, np.int64) - base
    check_inside(state, lru, np.zeros_like(lru), base)
    recorded = np.zeros(1, RECORDED)
    recorded["types"] = types.ctypes.data
    for name, rows in (("blocks", blocks), ("used", used), ("lru", lru)):
        recorded[name], recorded[f"nr_{name}"] = rows.ctypes.data, len(rows)
    wrong = restore(storage.address, recorded.ctypes.data)
    zone["boost"] = state.boost  # 0 while per-CPU lists are sized, as at boot
    if wrong:
        kind, rows = ("free", blocks) if wrong > 0 else ("used", used)
        pfn, order = rows[abs(wrong) - 1, :2] + np.array([base, 0])
        raise TraceError(
            f"zone {state.name}: the {kind} block of order {order} at pfn {pfn} "
            "overlaps another block or the zone's end: the state is damaged"
        )
    held = int((1 << used[:, 1]).sum())
    zone["unaccounted"] = state.managed - int(zone["nr_free"]) - held
    return config, storage


def config_of(state: ZoneState, kernel: str) -> ZoneConfig:
    """Make the configuration of a zone with the geometry of a state."""
    cma = bool((state.pageblock_types == CMA).any()) or any(
        mt == CMA and len(pfns) for (_, mt), pfns in state.free_lists.items()
    )
    values = {
        "start_pfn": state.start_pfn,
        "pages": state.pages,
        "cpus": state.cpus,
        "kernel": kernel,
        "pageblock_order": state.pageblock_order,
        "max_page_order": state.max_page_order,
        "cma": cma,
    }
    return validated(ZoneConfig, values, f"zone {state.name}")


def listed_blocks(state: ZoneState, base: int) -> npt.NDArray[np.int64]:
    """Free blocks from head to tail of each list: rows (page, order, migratetype)."""
    rows = [
        np.column_stack(
            (
                np.asarray(pfns, np.int64) - base,
                np.full(len(pfns), order, np.int64),
                np.full(len(pfns), mt, np.int64),
            )
        )
        for (order, mt), pfns in sorted(state.free_lists.items())
    ]
    empty = np.empty((0, 3), np.int64)
    return np.ascontiguousarray(np.concatenate([empty, *rows]))


def check_inside(
    state: ZoneState,
    pages: npt.NDArray[np.int64],
    orders: npt.NDArray[np.int64],
    base: int,
) -> None:
    """Refuse blocks outside the zone: compiled code would write past its arrays."""
    first, last = state.start_pfn - base, state.start_pfn + state.pages - base
    outside = (pages < first) | (pages + (1 << orders) > last)
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        raise TraceError(
            f"zone {state.name}: pfn {int(pages[at]) + base}, order {int(orders[at])}, "
            "is outside the zone: the state is damaged"
        )
