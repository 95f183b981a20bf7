"""The record of a replay: the op stream, the slots, and where results go."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmqueue.mm.jit import constant_field, jit, store_i64, store_u32, view_as

(
    OP_NOP,
    OP_ALLOC,
    OP_FREE,
    OP_BULK,
    OP_PCP_ALLOC,
    OP_PCP_FREE,
    OP_PCP_DRAIN,
    OP_PCP_DECAY,
    OP_CHECK,
    OP_ZONE_CTL,
    OP_UNRESERVE,
    OP_SET_LRU,
    OP_SPLIT,
) = range(13)
OP_BYTES = 16

#: An empty slot.
NO_PAGE = 0xFFFFFFFF

#: What an op stream can do wrong; such an op is counted and has no effect.
MISUSES = ("code", "order", "migratetype", "slot", "cpu", "occupied", "not_in_use")
(
    MISUSE_CODE,
    MISUSE_ORDER,
    MISUSE_TYPE,
    MISUSE_SLOT,
    MISUSE_CPU,
    MISUSE_OCCUPIED,
    MISUSE_STATE,
) = range(len(MISUSES))

RUN = np.dtype(
    [
        (name, "i8")
        for name in (
            *("ops", "nr_ops", "slots", "nr_slots"),
            *("res", "scan", "pfns", "nr_res", "nr_pfns"),
            *("hashes", "zones", "counters", "types", "counts", "nr_checks"),
            *("asked", "served", "done", "first_misuse"),
        )
    ]
    + [("misuse", "i8", (len(MISUSES),))],
    align=True,
)
run_at = view_as(RUN)
ops_at, nr_ops = constant_field(RUN, "ops"), constant_field(RUN, "nr_ops")
slots_at, nr_slots = constant_field(RUN, "slots"), constant_field(RUN, "nr_slots")
results_at = constant_field(RUN, "res")


@jit(cold=True)
def note_misuse(run: Any, i: int, kind: int) -> None:
    """Count a wrong op and remember the first."""
    if run.first_misuse < 0:
        run.first_misuse = i
    run.misuse[kind] += 1


@jit(forceinline=True)
def note_result(run: Any, value: int, scanned: int) -> None:
    """Append a result, if results are recorded."""
    if results_at(run) != 0:
        store_i64(results_at(run), run.nr_res, value)
        store_u32(run.scan, run.nr_res, scanned)
        run.nr_res += 1
