"""What every strategy keeps to: `STRATEGY_CHECKS`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.config import ZoneConfig
from rmqueue.mm.mmzone import HIGHATOMIC
from rmqueue.mm.profile import PROFILES
from rmqueue.ops import ALLOC, FREE, Ops, as_ops, request
from rmqueue.runs import native_kernel
from rmqueue.testing.bookkeeping import books_are_honest
from rmqueue.testing.checklist import Check, NotCheckedError, Subject, require
from rmqueue.testing.golden import replay_ops
from rmqueue.testing.model_checks import (
    ends_of_ranges,
    parameters_are_documented,
    summary_is_a_sentence,
)
from rmqueue.testing.speed import speed_is_in_sight
from rmqueue.testing.trials import (
    PARTS,
    Trial,
    refuse_kernel,
    trials,
    try_out,
    zone_with,
)
from rmqueue.zone import Zone

#: Work that is only done when a strategy searches.
SEARCHES = ("fallback", "steal_search", "claim_try", "steal", "claim_whole")


def compiles(subject: Subject) -> str:
    """Compile it, with its parameters and its state."""
    kernel = native_kernel(subject.record)
    zone_with(subject, ZoneConfig(pages=64, kernel=kernel, pageblock_order=2))
    return ""


def invariants_hold(subject: Subject, kernel: str) -> str:
    """Run random streams on zones of all shapes: no invariant breaks."""
    refuse_kernel(subject, kernel)
    for trial in trials(kernel):
        try_out(subject, trial)
    return ""


def ranges_are_safe(subject: Subject) -> str:
    """Run one with parameters at the ends of their ranges."""
    ends = list(ends_of_ranges(subject.record.parameters))
    if not ends:
        raise NotCheckedError("no parameter has a range")
    trial = next(trials(native_kernel(subject.record)))
    for values in ends:
        try_out(subject, trial, **values)
    return ""


def runs_are_equal(subject: Subject) -> str:
    """Ask two zones the same: they give the same pages."""
    trial = next(trials(native_kernel(subject.record)))
    first, second = (replay_ops(trial.zone(subject), trial.ops) for _ in range(2))
    require_equal(first, second, "two equal runs differ", subject)
    return ""


def zones_are_apart(subject: Subject) -> str:
    """Ask another zone meanwhile: a zone does not hear of it."""
    trial = next(trials(native_kernel(subject.record)))
    alone = in_parts(trial.zone(subject), trial)
    other = trial.zone(subject)
    beside = in_parts(trial.zone(subject), trial, other)
    require_equal(alone, beside, "a zone hears of what another is asked", subject)
    return ""


def in_parts(
    zone: Zone, trial: Trial, other: Zone | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Replay a stream in parts, and meanwhile its end on another zone."""
    found: dict[str, npt.NDArray[Any]] = {}
    parts = np.array_split(trial.ops, PARTS)
    for number, part in enumerate(parts):
        for key, values in replay_ops(zone, part).items():
            found[f"{key} of part {number}"] = values
        if other is not None:
            other.replay(parts[-1 - number][::-1].copy())
    return found


def require_equal(
    first: dict[str, npt.NDArray[Any]],
    second: dict[str, npt.NDArray[Any]],
    words: str,
    subject: Subject,
) -> None:
    """Refuse results that differ."""
    for key, values in first.items():
        require(
            np.array_equal(values, second[key]),
            f"{words}, first in {key}: keep what must be remembered in the fields of "
            "'state', and nowhere else",
        )


def nothing_is_lost(subject: Subject) -> str:
    """Free everything: then everything is free."""
    kernel = native_kernel(subject.record)
    zone = zone_with(subject, ZoneConfig(pages=3000, kernel=kernel, pageblock_order=6))
    ops = ask_and_free(900)
    result = zone.replay(ops)
    require(not result.misuse, f"operations became impossible: {result.misuse}")
    require(
        zone.nr_free == zone.managed,
        f"kernel {kernel}: {zone.managed - zone.nr_free} of {zone.managed} pages are "
        "not free when everything has been freed",
    )
    zone.check()
    return ""


def ask_and_free(count: int) -> Ops:
    """Make a stream of requests of all types, and of frees in another order."""
    rng = np.random.default_rng(5)
    words = rng.integers(0, 3, (count, 2))
    asks = [
        (ALLOC, request(int(order), int(mt)), slot, 0)
        for slot, (order, mt) in enumerate(words)
    ]
    return as_ops([*asks, *((FREE, 0, int(s), 0) for s in rng.permutation(count))])


def native_pages_come_first(subject: Subject) -> str:
    """Ask for what is there in the right type: nothing is searched."""
    kernel = native_kernel(subject.record)
    zone = zone_with(subject, ZoneConfig(pages=4096, kernel=kernel))
    for pfn in zone.alloc_bulk(0, 4000, "movable")[::20]:
        zone.free(int(pfn))
    for order in (0, 0, 0, 4, 3, 2):
        require(zone.alloc(order, "movable") is not None, "a native page was not given")
    searched = {name: n for name, n in zone.counters.items() if name in SEARCHES and n}
    require(not searched, f"searched though there were native pages: {searched}")
    return ""


def batches_are_forgotten(subject: Subject) -> str:
    """Ask after a batch that had to steal: native pages come first again."""
    kernel = native_kernel(subject.record)
    zone = zone_with(subject, ZoneConfig(pages=1024, kernel=kernel))
    zone.alloc_bulk(0, 1024, "movable")
    for pfn in (100, *range(8, 12)):
        zone.free(pfn)
    zone.alloc_bulk(0, 2, "unmovable")
    zone.free(300)
    require(zone.alloc(0, "movable") is not None, "a native page was not given")
    zone.check()
    return ""


def holes_in(subject: Subject, **shape: Any) -> Zone:
    """Make a zone full of movable pages, with free pages here and there."""
    kernel = native_kernel(subject.record)
    values = {"pages": 1024, "kernel": kernel, "pageblock_order": 5, **shape}
    zone = zone_with(subject, ZoneConfig(**values))
    for pfn in zone.alloc_bulk(0, 1024, "movable", lru=False)[::7]:
        zone.free(int(pfn))
    return zone


def nofragment_is_respected(subject: Subject) -> str:
    """Ask with NOFRAGMENT: Linux would not mix pageblocks, others may."""
    zone = holes_in(subject)
    given = zone.alloc(0, "unmovable", flags=("nofragment",))
    zone.check()
    if given is None:
        return ""
    return (
        "takes single pages from blocks of another type with ALLOC_NOFRAGMENT, which "
        "Linux does not"
    )


def reserves_are_kept(subject: Subject) -> str:
    """Ask until nothing is left: the HIGHATOMIC reserve still is."""
    kernel = native_kernel(subject.record)
    zone = zone_with(subject, ZoneConfig(pages=8192, kernel=kernel, pageblock_order=5))
    for _ in range(4):
        zone.alloc(1, "unmovable", flags=("highatomic",))
    before = reserve_of(zone)
    if not before:
        raise NotCheckedError("this kernel reserved nothing")
    for migratetype in ("movable", "unmovable", "reclaimable"):
        zone.alloc_bulk(0, 8192, migratetype)
    require(
        reserve_of(zone) == before,
        f"ordinary requests took {before - reserve_of(zone)} of {before} pages of the "
        "HIGHATOMIC reserve: search the lists of unmovable, movable and reclaimable "
        "pages only",
    )
    zone.alloc(0, "unmovable", flags=("highatomic",))
    zone.check()
    return ""


def reserve_of(zone: Zone) -> int:
    """Free pages on HIGHATOMIC lists [pages]."""
    blocks = zone.free_counts()[:, HIGHATOMIC].astype(np.int64)
    return int((blocks << np.arange(len(blocks))).sum())


def cma_is_used(subject: Subject) -> str:
    """Give CMA pages to requests that may have them, and to no others."""
    kernel = native_kernel(subject.record)
    config = ZoneConfig(
        pages=1024, pageblock_order=5, kernel=kernel, cma=True, cma_pageblocks=8
    )
    zone, first = zone_with(subject, config), 1024 - 8 * 32
    unmovable = zone.alloc_bulk(0, first, "unmovable")
    if not len(unmovable):
        raise NotCheckedError("it gives no page of another type to begin with")
    for migratetype in ("movable", "unmovable", "reclaimable"):
        taken = zone.alloc_bulk(0, 1024, migratetype)
        wrong = taken[taken >= first]
        require(
            not len(wrong),
            f"a {migratetype} request without ALLOC_CMA got page {wrong[:1]} of the "
            "CMA area",
        )
    for pfn in unmovable[:600]:  # or the engine gives CMA pages unasked
        zone.free(int(pfn))
    given = zone.alloc(0, "movable", flags=("cma",))
    zone.check()
    if given is not None and given >= first:
        return ""
    return (
        "leaves free CMA pages alone: kernels with CMA try rmqueue_cma_fallback() "
        "before anything else"
    )


STRATEGY_CHECKS = (
    Check("compiles", "it compiles", compiles),
    Check("summary", "its summary is a sentence", summary_is_a_sentence),
    Check(
        "parameters",
        "its parameters are described with their units, and have defaults",
        parameters_are_documented,
    ),
    *(
        Check(
            f"invariants_{kernel.replace('.', '_')}",
            f"no stream breaks an invariant on kernel {kernel}",
            partial(invariants_hold, kernel=kernel),
        )
        for kernel in PROFILES
    ),
    Check("ranges", "neither does a parameter at an end of its range", ranges_are_safe),
    Check("determinism", "two equal runs are equal", runs_are_equal),
    Check("isolation", "a zone does not hear of another", zones_are_apart),
    *(
        Check(
            f"books_{kernel.replace('.', '_')}",
            f"claims and steals are counted as they happened on kernel {kernel}",
            partial(books_are_honest, kernel=kernel),
        )
        for kernel in PROFILES
    ),
    Check("conservation", "no page is lost", nothing_is_lost),
    Check("native_first", "native pages come first", native_pages_come_first),
    Check("batches", "a batch is forgotten when it ends", batches_are_forgotten),
    Check("nofragment", "requests with NOFRAGMENT end well", nofragment_is_respected),
    Check("highatomic", "the HIGHATOMIC reserve is left alone", reserves_are_kept),
    Check("cma", "CMA pages go to nobody who may not have them", cma_is_used),
    Check("speed", "its speed is in sight of the kernel's own", speed_is_in_sight),
)
