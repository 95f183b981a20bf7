"""How fast a strategy is where it is asked often."""

from __future__ import annotations

import numpy as np

from rmqueue.config import ZoneConfig
from rmqueue.mm.direct import PythonStrategy
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.mmzone import MOVABLE, UNMOVABLE
from rmqueue.ops import ALLOC, FREE, OPS_DTYPE, Ops, request
from rmqueue.runs import native_kernel
from rmqueue.testing.checklist import NotCheckedError, Subject, require
from rmqueue.zone import Zone

#: What others are compared with, and how many times its time they may take.
REFERENCE, MOST = "remembered-fallback", 20
PAGES, ROUNDS, TURNS = 16_384, 4, 3


def speed_is_in_sight(subject: Subject) -> str:
    """Compare the time of an operation with that of the reference, in turns."""
    if not ENABLED:
        raise NotCheckedError("nothing is compiled with NUMBA_DISABLE_JIT=1")
    if isinstance(subject.record.fallback, PythonStrategy):
        raise NotCheckedError("it stays Python: @strategy(jit=False)")
    if REFERENCE not in subject.registry.names("strategy"):
        raise NotCheckedError(f"strategy {REFERENCE!r} is not installed")
    config = ZoneConfig(pages=PAGES, kernel=native_kernel(subject.record))
    reference = subject.registry.strategy(REFERENCE)
    fill, load = needy_stream()
    own: list[float] = []
    others: list[float] = []
    for _ in range(TURNS):
        for strategy, times in ((subject.record, own), (reference, others)):
            zone = Zone(config, strategy)
            zone.replay(fill)
            times.append(zone.replay(load, record=False).seconds)
    ratio = min(own) / min(others)
    nanoseconds = 1e9 * min(own) / len(load)
    words = (
        f"{ratio:.1f} times the time of {REFERENCE}, {nanoseconds:.0f} ns an operation"
    )
    require(
        ratio <= MOST,
        f"takes {words} where it is asked often; {MOST} times is the most: look for "
        "loops over all pages or orders",
    )
    return words


def needy_stream() -> tuple[Ops, Ops]:
    """Make two streams: a zone full of movable pages with holes, and what needs them.

    Unmovable requests find free pages in movable pageblocks only, take them, and give
    them back in another order.
    """
    rng = np.random.default_rng(3)
    fill = np.zeros(PAGES, OPS_DTYPE)
    fill["code"], fill["a"] = ALLOC, request(0, MOVABLE)
    fill["b"] = np.arange(PAGES)
    holes = np.flatnonzero(rng.random(PAGES) < 0.2)
    free = np.zeros(len(holes), OPS_DTYPE)
    free["code"], free["b"] = FREE, holes
    rounds = []
    for _ in range(ROUNDS):
        ask = np.zeros(len(holes), OPS_DTYPE)
        ask["code"], ask["a"], ask["b"] = ALLOC, request(0, UNMOVABLE), holes
        rounds += [ask, free[rng.permutation(len(free))]]
    return np.concatenate((fill, free)), np.concatenate(rounds)
