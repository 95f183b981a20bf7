"""Whether what a strategy counts is what the lists and pageblocks show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.config import ZoneConfig
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.mmzone import CMA, HIGHATOMIC, MIGRATETYPES
from rmqueue.mm.profile import PROFILES
from rmqueue.testing.checklist import Subject, require
from rmqueue.testing.trials import refuse_kernel, zone_with
from rmqueue.zone import Zone

ORDER = 5
REQUESTS = 150 if ENABLED else 40


@dataclass(frozen=True, eq=False)
class Seen:
    """What one can see of a zone between two requests."""

    types: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.uint32]
    free: int
    claim: npt.NDArray[np.int64]
    steal: npt.NDArray[np.int64]

    @classmethod
    def of(cls, zone: Zone) -> Seen:
        """Look at a zone."""
        books = zone.fallbacks
        types, counts = zone.pageblock_types(), zone.free_counts()
        return cls(types, counts, zone.nr_free, books.claim, books.steal)


@dataclass(frozen=True, eq=False)
class Answer:
    """A request, and the zone before and after it."""

    order: int
    mt: int
    pfn: int | None
    before: Seen
    after: Seen

    def __str__(self) -> str:
        given = "nothing" if self.pfn is None else f"page {self.pfn}"
        words = f"order {self.order}, {MIGRATETYPES[self.mt]}"
        return f"a request ({words}) got {given}"

    @property
    def claim(self) -> npt.NDArray[np.int64]:
        """Pageblocks that are counted as claimed, by type pair."""
        return self.after.claim - self.before.claim

    @property
    def steal(self) -> npt.NDArray[np.int64]:
        """Blocks that are counted as stolen, by type pair."""
        return self.after.steal - self.before.steal

    @property
    def native(self) -> bool:
        """Whether the lists of the type asked for could serve it."""
        return bool(self.before.counts[self.order :, self.mt].any())


def books_are_honest(subject: Subject, kernel: str) -> str:
    """Hold the matrices of claims and steals against lists and pageblocks."""
    refuse_kernel(subject, kernel)
    shape: dict[str, Any] = {"pages": 1024, "pageblock_order": ORDER}
    zone = zone_with(subject, ZoneConfig(kernel=kernel, **shape))
    rng = np.random.default_rng(17)
    held: list[tuple[int, int]] = []
    for migratetype in (1, 0, 1, 2, 1, 0, 1, 1):
        pages = zone.alloc_bulk(0, 128, migratetype)
        held += [(int(pfn), 0) for pfn in pages]
    for _ in range(REQUESTS):
        while held and rng.random() < 0.45:
            zone.free(*held.pop(int(rng.integers(len(held)))))
        order, mt = int(rng.choice([0, 0, 0, 1, 2, 4])), int(rng.integers(3))
        before = Seen.of(zone)
        answer = Answer(order, mt, zone.alloc(order, mt), before, Seen.of(zone))
        check_pages(answer)
        check_matrices(answer)
        if not PROFILES[kernel].mixed_lists:
            check_pageblocks(answer)
        if answer.pfn is not None:
            held.append((answer.pfn, order))
    return ""


def check_pages(answer: Answer) -> None:
    """Find as many pages gone from the lists as were asked for, or none."""
    wanted = 0 if answer.pfn is None else 1 << answer.order
    left = answer.before.free - answer.after.free
    require(left == wanted, f"{answer}, and {left} pages left the free lists")


def check_matrices(answer: Answer) -> None:
    """Find a page of another type counted, in the row of the request."""
    counted = answer.claim + answer.steal
    if answer.native:
        require(
            not counted.any(),
            f"{answer}: there was a block of its own type, and a fallback was counted",
        )
    elif answer.pfn is not None:
        require(
            counted[answer.mt].any(),
            f"{answer}, and neither zone.claims nor zone.steals has it: take pages by "
            "try_to_claim_block() or steal_block(), or count what you do",
        )
    others = np.delete(counted, answer.mt, axis=0)
    require(not others.any(), f"{answer}, and fallbacks of other types were counted")


def check_pageblocks(answer: Answer) -> None:
    """Find changed pageblocks where a claim is counted, and only there."""
    before, after = answer.before.types, answer.after.types
    changed = before != after
    claimed, stolen = answer.claim[answer.mt], answer.steal[answer.mt]
    own = int(claimed[answer.mt] + stolen[answer.mt])
    require(not own, f"{answer}, counted as a fallback from its own type")
    require(
        (after[changed] == answer.mt).all(),
        f"{answer}, and a pageblock became of a type that was not asked for",
    )
    for mt in range(len(MIGRATETYPES)):
        blocks = int((before[changed] == mt).sum())
        require(
            bool(blocks) == bool(claimed[mt]),
            f"{answer}: {blocks} pageblocks that were {MIGRATETYPES[mt]} changed their "
            f"type, and zone.claims counts {claimed[mt]} claims of such",
        )
    if answer.pfn is not None:
        was = int(before[answer.pfn >> ORDER])
        require(
            was not in (CMA, HIGHATOMIC),
            f"{answer} of a {MIGRATETYPES[was]} pageblock, which it may not have",
        )
        if stolen.any() and not changed.any():
            require(
                stolen[was],
                f"{answer} of a {MIGRATETYPES[was]} pageblock, and zone.steals counts "
                "a steal from another type",
            )
