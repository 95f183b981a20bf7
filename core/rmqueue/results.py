"""What a comparison found: plain frozen records, ready for tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: 5 x 5 numbers: row = type asked for, column = type taken from.
Matrix: TypeAlias = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Holds:
    """Zone-lock holds in modelled cost.

    Attributes
    ----------
    count : int
        Holds.
    total_ps, worst_ps, p99_ps : int
        Cost of all, of the most expensive, and the one that 99 % do not exceed [ps].
    worst_counters : mapping of str to int
        Work of the most expensive hold.
    """

    count: int
    total_ps: int
    worst_ps: int
    p99_ps: int
    worst_counters: Mapping[str, int]


@dataclass(frozen=True)
class Outcome:
    """What one strategy did in one zone, or in all zones together.

    Attributes
    ----------
    zone : str
        Name of the zone; ``"all"`` for the sum.
    pages : int
        Pages that the zone spans [pages].
    ops : int
        Operations replayed.
    seconds : float
        Thread CPU time of the replay [s].
    asked, served : int
        Pages requested, and given [pages].
    counters : mapping of str to int
        Work counters (SEMANTICS 14).
    holds : Holds
        Lock holds.
    claim, steal, pollute : Matrix
        Fallbacks by type pair: pageblocks claimed, blocks stolen [events], pages placed
        in pageblocks of another type [pages].
    free_pages : int
        Free at the end [pages].
    unusable, fragmentation : mapping of int to int
        Indices at the end, by order [1/1000]; of the sum: those of the largest zone.
    pageblocks, mixed_pageblocks : int
        Pageblocks, and those that mix movable pages with others [pageblocks].
    misuse : mapping of str to int
        Operations that asked for something impossible, by kind.
    measures : mapping of str to float
        What a workload that runs on the multi-CPU loop measures, by name; each name
        ends in its unit.
    """

    zone: str
    pages: int
    ops: int
    seconds: float
    asked: int
    served: int
    counters: Mapping[str, int]
    holds: Holds
    claim: Matrix
    steal: Matrix
    pollute: Matrix
    free_pages: int
    unusable: Mapping[int, int]
    fragmentation: Mapping[int, int]
    pageblocks: int
    mixed_pageblocks: int
    misuse: Mapping[str, int]
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def ns_per_op(self) -> float:
        """Time of an operation [ns], which is that of a million [ms]."""
        return self.seconds * 1e9 / self.ops if self.ops else 0.0


@dataclass(frozen=True)
class Row:
    """One strategy, one seed.

    Attributes
    ----------
    label, strategy : str
        Heading, and name of the strategy.
    params : mapping of str to object
        All its parameters, defaults included.
    kernel : str
        Kernel profile that it ran on.
    seed : int or None
        Seed of the workload; None for a recording, which has none.
    machine : str
        What the costs are of.
    total : Outcome
        All zones together.
    zones : tuple of Outcome
        Each zone.
    """

    label: str
    strategy: str
    params: Mapping[str, Any]
    kernel: str
    seed: int | None
    machine: str
    total: Outcome
    zones: tuple[Outcome, ...]


@dataclass(frozen=True)
class Recorded:
    """What the recorded kernel itself did, all zones together; None: not in the trace.

    Attributes
    ----------
    kernel : str
        Its full version.
    pages : int or None
        Pages that its trace hands out [pages].
    claim, steal : Matrix or None
        Its fallbacks by type pair [events].
    """

    kernel: str
    pages: int | None
    claim: Matrix | None
    steal: Matrix | None


@dataclass(frozen=True)
class Comparison:
    """The same requests, from the same start, on several strategies.

    Attributes
    ----------
    experiment, description : str
        Name and description of the experiment.
    source : str
        What was replayed, in words.
    machine : str
        What the costs are of.
    index_zone : str
        Zone that the indices of the sums are of: the largest.
    unusable_orders : tuple of int
        Orders of the fragmentation indices.
    rows : tuple of Row
        In the order of strategies, then of seeds.
    recorded : Recorded or None
        The recorded kernel's own numbers.
    provenance : mapping of str to object
        What made these numbers: versions, plugins, configuration, digest of the input.
    notes : tuple of str
        What a reader of the table must know.
    published : mapping of str to mapping
        Published figures to be compared with, by heading.
    """

    experiment: str
    description: str
    source: str
    machine: str
    index_zone: str
    unusable_orders: tuple[int, ...]
    rows: tuple[Row, ...]
    recorded: Recorded | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    published: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Headings of the strategies, in order, each once."""
        return tuple(dict.fromkeys(row.label for row in self.rows))

    def rows_of(self, label: str) -> tuple[Row, ...]:
        """Return the rows of one strategy, one per seed."""
        return tuple(row for row in self.rows if row.label == label)
