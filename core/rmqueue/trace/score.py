"""What a comparison of predictions with a recording counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

#: A fallback: type asked for, type taken from, order asked for, order found, whether
#: the pageblock has the type asked for afterwards (change_ownership).
Fallback = tuple[int, int, int, int, int]


@dataclass(eq=False)
class Score:
    """How far one strategy explains a recording.

    Attributes
    ----------
    pages : int
        Requests that the recorded kernel served under the zone lock [blocks].
    exact : int
        Of these, given the recorded block without any help.
    first_miss : int
        Line of the trace with the first request that was not; 0: there is none.
    batches : int
        Batches.
    missed_batches : set of int
        Those of them with a miss.
    misses : Counter of str
        Misses by what was wrong with the page predicted.
    mended : Counter of str
        Misses by what brought the model back to the recording.
    predicted, recorded : Counter of Fallback
        Fallbacks; predicted are those of the last guess for each request, after what
        mended a miss.
    drains, drains_elsewhere : int
        Pages drained, and those that went to another type than their pageblock's.
    """

    pages: int = 0
    exact: int = 0
    first_miss: int = 0
    batches: int = 0
    missed_batches: set[int] = field(default_factory=set)
    misses: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    predicted: Counter[Fallback] = field(default_factory=Counter)
    recorded: Counter[Fallback] = field(default_factory=Counter)
    drains: int = 0
    drains_elsewhere: int = 0

    @property
    def exact_batches(self) -> int:
        """Batches without a miss."""
        return self.batches - len(self.missed_batches)

    @property
    def exact_percent(self) -> float:
        """Share of `exact` in `pages` [%]."""
        return 100 * self.exact / self.pages if self.pages else 100.0


def claims_of(fallbacks: Counter[Fallback]) -> int:
    """Fallbacks that changed the type of a pageblock.

    Examples
    --------
    >>> claims_of(Counter({(1, 0, 0, 0, 0): 5, (0, 1, 0, 9, 1): 2}))
    2
    """
    return sum(count for key, count in fallbacks.items() if key[4] == 1)


def count_fallbacks(*columns: npt.NDArray[Any]) -> Counter[Fallback]:
    """Count fallbacks given as columns of equal length, in the order of `Fallback`."""
    rows = zip(*(column.astype(np.int64).tolist() for column in columns), strict=True)
    return Counter(rows)
