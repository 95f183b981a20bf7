"""What a run looks like on its way: free blocks, fallbacks, a map of the pageblocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rmqueue.metrics import mixed_blocks, pages_per_block, spread_over_blocks
from rmqueue.mm.mmzone import NR_TYPES
from rmqueue.runner import NO_STOPS, Stops
from rmqueue.zone import Zone

#: Cells of a map of the pageblocks, at the most.
MOST_CELLS = 1024


@dataclass(frozen=True, eq=False)
class Sample:
    """A zone at one moment of a run.

    Attributes
    ----------
    zone : str
        Name of the zone.
    done : float
        Share of the run that is done [1].
    ops : int
        Operations done, or events of a machine.
    time_s : float or None
        Time on the machine's clock; None: the workload has none [s].
    free_blocks : tuple of int
        Free blocks of each order [blocks].
    free_pages : tuple of int
        Free pages in the pageblocks of each migratetype [pages].
    claims, steals, polluted : int
        Claims and steals so far [events], and pages placed in pageblocks of another
        type [pages].
    claim_tries : int
        Attempts to claim so far.
    worst_hold_ps : int
        The most expensive hold so far [ps].
    types, used, mixed : bytes
        Map of the pageblocks in address order, a byte a cell: the migratetype of most
        of its pageblocks, the share of pages in use, the share of pageblocks that mix
        movable pages with others [1/255].
    """

    zone: str
    done: float
    ops: int
    time_s: float | None
    free_blocks: tuple[int, ...]
    free_pages: tuple[int, ...]
    claims: int
    steals: int
    polluted: int
    claim_tries: int
    worst_hold_ps: int
    types: bytes
    used: bytes
    mixed: bytes


@dataclass(eq=False)
class Sampler:
    """Looks at the zones of a run a number of times.

    Attributes
    ----------
    count : int
        Looks at each zone, with that at the end; 0: none.
    cells : int
        Cells of the map of pageblocks, at the most.
    samples : list of Sample
        What was seen.
    on_sample : callable or None
        Told each sample as soon as it is there, in the thread of the run.
    """

    count: int
    cells: int = MOST_CELLS
    samples: list[Sample] = field(default_factory=list)
    on_sample: Callable[[Sample], None] | None = None

    def points(self, total: int) -> list[int]:
        """Where to look on the way to a total, the end left out."""
        return sorted({total * k // self.count for k in range(1, self.count)} - {0})

    def stops(self, zone: Zone, total: int) -> Stops:
        """Return the stops of a replay of `total` operations on a zone."""
        if not self.count:
            return NO_STOPS
        return Stops(
            self.points(total), lambda done: self.look(zone, done / (total or 1), done)
        )

    def look(
        self, zone: Zone, done: float, ops: int, time_s: float | None = None
    ) -> None:
        """Keep what a zone looks like now."""
        fallbacks = zone.fallbacks
        config = zone.config
        sizes = pages_per_block(config.start_pfn, config.pages, config.pageblock_order)
        blocks = zone.pageblocks()
        free = spread_over_blocks(blocks["free_pages"], sizes)
        self._keep(
            Sample(
                zone=zone.name,
                done=done,
                ops=ops,
                time_s=time_s,
                free_blocks=tuple(zone.free_blocks().tolist()),
                free_pages=pages_by_type(blocks["type"], free),
                claims=int(fallbacks.claim.sum()),
                steals=int(fallbacks.steal.sum()),
                polluted=int(fallbacks.pollute.sum()),
                claim_tries=zone.count("claim_try"),
                worst_hold_ps=zone.worst_hold_ps,
                **block_map(blocks, sizes, free, self.cells),
            )
        )

    def _keep(self, sample: Sample) -> None:
        self.samples.append(sample)
        if self.on_sample is not None:
            self.on_sample(sample)


def pages_by_type(
    types: npt.NDArray[np.integer], pages: npt.NDArray[np.int64]
) -> tuple[int, ...]:
    """Sum of pages by the type of their pageblock [pages].

    Examples
    --------
    >>> pages_by_type(np.array([1, 0, 1]), np.array([3, 5, 512]))
    (5, 515, 0, 0, 0)
    """
    sums = np.bincount(types, pages, NR_TYPES)  # of floats: exact below 2**53
    return tuple(map(int, sums.tolist()))


def block_map(
    blocks: npt.NDArray[np.void],
    sizes: npt.NDArray[np.int64],
    free: npt.NDArray[np.int64],
    cells: int,
) -> dict[str, Any]:
    """Map of the pageblocks of a zone, several in a cell if there are many.

    Parameters
    ----------
    blocks : structured ndarray
        `Zone.pageblocks()`.
    sizes, free : ndarray of int64
        Pages and free pages of each [pages].
    cells : int
        Cells at the most.
    """
    count = min(cells, len(blocks))
    firsts = np.arange(count) * len(blocks) // count
    of_type = np.array([blocks["type"] == mt for mt in range(NR_TYPES)], np.int64)
    types = np.add.reduceat(of_type, firsts, axis=1).argmax(axis=0)
    pages = np.add.reduceat(sizes, firsts)
    used = np.add.reduceat(sizes - free, firsts)
    mixed = np.add.reduceat(mixed_blocks(blocks, sizes).astype(np.int64), firsts)
    members = np.diff(np.append(firsts, len(blocks)))
    return {
        "types": types.astype(np.uint8).tobytes(),
        "used": (255 * used // pages).astype(np.uint8).tobytes(),
        "mixed": (255 * mixed // members).astype(np.uint8).tobytes(),
    }
