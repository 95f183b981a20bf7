"""What workloads keep to: `WORKLOAD_CHECKS`.

A `Workload` is held to its op stream, a `StepWorkload` to its steps
(`rmqueue.testing.step_checks`).
"""

from __future__ import annotations

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.mm.jit import ENABLED
from rmqueue.ops import FREE, NOP, OPERATIONS, PCP_FREE, Ops, as_ops, slots_needed
from rmqueue.testing.checklist import Check, CheckError, Subject, require
from rmqueue.testing.model_checks import PARAMETERS, SUMMARY
from rmqueue.testing.step_checks import STEP_CHECKS, runs_are_equal
from rmqueue.types import StepWorkload, Workload
from rmqueue.zone import Zone

#: The zone that op streams are tried on.
ZONE = ZoneConfig(pages=16_384, cpus=2)
SEEDS = (1, 2)
#: Operations that are replayed without the JIT.
SOME_OPS = 3000


def stream_of(subject: Subject, seed: int) -> Ops:
    """Build the stream of a workload with its default parameters."""
    record = subject.record
    try:
        return as_ops(record.build(ZONE, record.parameters(), seed))
    except TypeError as error:
        raise CheckError(
            f"seed {seed}: what it builds is no op stream: {error}"
        ) from None


def seeds_decide(subject: Subject) -> str:
    """Build a stream twice, or run the steps twice: equal seeds, equal results."""
    if isinstance(subject.record, StepWorkload):
        return runs_are_equal(subject)
    first, again, other = (stream_of(subject, s) for s in (SEEDS[0], *SEEDS))
    require(
        np.array_equal(first, again),
        f"seed {SEEDS[0]}: two streams differ: draw from "
        "numpy.random.default_rng(seed), and from nothing else",
    )
    if np.array_equal(first, other):
        return "two seeds give the same stream"
    return ""


def streams_are_valid(subject: Subject) -> str:
    """Look at the operations: known codes, slots from 0, frees of what was filled."""
    ops = stream_of(subject, SEEDS[0])
    require(len(ops), "its stream is empty")
    wrong = np.flatnonzero(ops["code"] >= len(OPERATIONS))
    require(
        not len(wrong),
        f"operation {wrong[:1]} has code {ops['code'][wrong[:1]]}: codes go from "
        f"{NOP} to {len(OPERATIONS) - 1}",
    )
    slots_needed(ops)
    freed = ops["b"][np.isin(ops["code"], (FREE, PCP_FREE))]
    require((freed >= 0).all(), "it frees a slot with a negative number")
    if not ENABLED:
        ops = ops[:SOME_OPS]
    result = Zone(ZONE, "none", subject.registry).replay(ops, record=False)
    require(
        not result.misuse,
        f"operation {result.first_misuse} asks for what a zone of {ZONE.pages} pages "
        f"and {ZONE.cpus} CPUs does not have: {dict(result.misuse)}",
    )
    return f"{len(ops):,} operations, {result.asked:,} pages asked"


WORKLOAD_CHECKS = (
    SUMMARY,
    PARAMETERS,
    Check(
        "stream",
        "a zone can do what it asks for",
        streams_are_valid,
        (Workload,),
        "a rule of workloads that build an op stream; this one takes steps",
    ),
    *STEP_CHECKS,
    Check("determinism", "equal seeds give equal results", seeds_decide),
)
