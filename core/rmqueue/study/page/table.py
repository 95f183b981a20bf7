"""The comparison as a table of strategies, to be sorted by any figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from rmqueue.figures import figures_of, whole
from rmqueue.grid import below, spread
from rmqueue.metrics import added
from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.results import Comparison, Outcome
from rmqueue.statistics import seeds_of
from rmqueue.study.page.chapters import Chapter
from rmqueue.study.page.numbers import count, mean, measured

#: Heading, figure of an outcome (None: it has none), and its words.
Measure: TypeAlias = tuple[
    str, Callable[[Outcome], float | None], Callable[[float], str]
]
#: Figures of which less is better.
LESS = ("polluted", "claim attempts", "blocks scanned", "worst hold", "p99", "unusable")
LESS_TOO = ("mixed pageblocks",)


@dataclass(frozen=True)
class Cell:
    """A figure of a strategy: in words, for sorting, and whether it is the best."""

    words: str
    value: float
    best: bool


@dataclass(frozen=True)
class Table:
    """Strategies and their figures.

    Attributes
    ----------
    headings : tuple of str
        Figures.
    rows : tuple of (str, str, tuple of Cell)
        Strategy, kernel, and its figures.
    alike : tuple of (str, str)
        What is the same for all of what workloads measure, and its value.
    one_run : bool
        Nothing is known of other seeds.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    alike: tuple[tuple[str, str], ...]
    one_run: bool


def table_of(comparison: Comparison) -> Table:
    """Lay a comparison out, a row for each strategy; seeds make one cell."""
    labels = comparison.labels
    columns: list[tuple[str, list[Cell]]] = []
    alike = []
    own = {"not served", *measured(comparison)}
    for heading, number, show in all_measures(comparison):
        cells = cells_of(comparison, heading, number, show)
        if heading in own and len({cell.words for cell in cells}) == 1 < len(labels):
            alike.append((heading, cells[0].words))
        else:
            columns.append((heading, cells))
    rows = tuple(
        (
            label,
            comparison.rows_of(label)[0].kernel,
            tuple(cells[at] for _, cells in columns),
        )
        for at, label in enumerate(labels)
    )
    return Table(
        headings=tuple(heading for heading, _ in columns),
        rows=rows,
        alike=tuple(alike),
        one_run=seeds_of(comparison) == 1,
    )


def all_measures(comparison: Comparison) -> Iterator[Measure]:
    """Yield every figure of the table."""
    yield "pages served", lambda outcome: outcome.served, whole
    yield "not served", lambda outcome: outcome.asked - outcome.served, whole
    yield "claims", partial(fallbacks, "claim"), whole
    yield "steals", partial(fallbacks, "steal"), whole
    yield "polluted pages", partial(fallbacks, "pollute"), whole
    for figure in below(comparison):
        yield figure.heading, partial(figure_in, figure.name), figure.show


def figure_in(name: str, outcome: Outcome) -> float | None:
    """Return a figure as ``rmqueue compare`` has it; None: the outcome has none."""
    return figures_of(outcome).get(name)


def fallbacks(kind: str, outcome: Outcome) -> int:
    """Fallbacks of a kind, all type pairs together."""
    return sum(map(sum, getattr(outcome, kind)))


def cells_of(
    comparison: Comparison,
    heading: str,
    number: Callable[[Outcome], float | None],
    show: Callable[[float], str],
) -> list[Cell]:
    """Cells of one figure, the best marked where less is better."""
    found = []
    for label in comparison.labels:
        values = [number(row.total) for row in comparison.rows_of(label)]
        there = [value for value in values if value is not None]
        found.append((there, mean(there) if there else None))
    means = [middle for _, middle in found if middle is not None]
    ranked = heading.startswith(LESS + LESS_TOO) and len(set(means)) > 1
    return [
        Cell(
            grouped(spread(values, show)),
            -1 if middle is None else middle,
            ranked and middle == min(means),
        )
        for values, middle in found
    ]


def grouped(words: str) -> str:
    """Group the digits of whole numbers.

    Examples
    --------
    >>> grouped("15380365 ± 1234"), grouped("653.3")
    ('15,380,365 ± 1,234', '653.3')
    """
    shown = (f"{int(part):,}" if part.isdigit() else part for part in words.split(" "))
    return " ".join(shown)


@dataclass(frozen=True)
class Heat:
    """Fallbacks of one kind by type pair.

    Attributes
    ----------
    kind : str
        ``"claim"``, ``"steal"`` or ``"pollute"``.
    types : tuple of str
        Migratetypes that take part.
    rows : tuple of tuple of (str, int)
        Row = type asked for, column = type taken from: number, and its shade [%].
    """

    kind: str
    types: tuple[str, ...]
    rows: tuple[tuple[tuple[str, int], ...], ...]


def heats_of(chapter: Chapter) -> Iterator[tuple[str, list[Heat]]]:
    """Fallbacks of each strategy by type pair, mean of the seeds."""
    kinds = ("claim", "steal", "pollute")
    found = {
        label: {kind: means_of(chapter, label, kind) for kind in kinds}
        for label in chapter.table.labels
    }
    everything = added(
        getattr(run.row.total, kind) for run in chapter.runs for kind in kinds
    )
    used = [
        mt
        for mt in range(len(MIGRATETYPES))
        if any(everything[mt]) or any(row[mt] for row in everything)
    ]
    most = {
        kind: max(max(map(max, matrices[kind])) for matrices in found.values())
        for kind in kinds
    }
    for label, matrices in found.items():
        yield (
            label,
            [heat_of(kind, matrices[kind], used, most[kind]) for kind in kinds],
        )


def means_of(chapter: Chapter, label: str, kind: str) -> list[list[float]]:
    """Mean of the seeds, pair by pair."""
    matrices = [getattr(run.row.total, kind) for run in chapter.runs_of(label)]
    size = range(len(MIGRATETYPES))
    return [
        [mean([m[asked][taken] for m in matrices]) for taken in size] for asked in size
    ]


def heat_of(kind: str, means: list[list[float]], used: list[int], most: float) -> Heat:
    """Shade the pairs of types that are used, by the square root of their share."""
    return Heat(
        kind,
        tuple(MIGRATETYPES[mt] for mt in used),
        tuple(
            tuple(
                (
                    count(number := means[asked][taken]),
                    round(100 * (number / (most or 1)) ** 0.5),
                )
                for taken in used
            )
            for asked in used
        ),
    )
