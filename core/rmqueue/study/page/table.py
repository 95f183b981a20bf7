"""The comparison as a table of strategies, to be sorted by any figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median_low

from rmqueue.metrics import added, as_matrix
from rmqueue.mm.mmzone import MIGRATETYPES
from rmqueue.results import Comparison, Matrix, Outcome
from rmqueue.study.page.chapters import Chapter
from rmqueue.study.page.numbers import (
    Measure,
    figure,
    measure,
    measured,
    measures,
    spread,
    whole,
)

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
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    alike: tuple[tuple[str, str], ...]


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
    return Table(tuple(heading for heading, _ in columns), rows, tuple(alike))


def all_measures(comparison: Comparison) -> Iterator[Measure]:
    """Yield every figure of the table."""
    yield "pages served", lambda outcome: outcome.served, whole
    yield "not served", lambda outcome: outcome.asked - outcome.served, whole
    yield "claims", partial(fallbacks, "claim"), whole
    yield "steals", partial(fallbacks, "steal"), whole
    yield "polluted pages", partial(fallbacks, "pollute"), whole
    yield from measures(comparison)
    for name in measured(comparison):
        yield name, partial(measure, name), figure


def fallbacks(kind: str, outcome: Outcome) -> int:
    """Fallbacks of a kind, all type pairs together."""
    return sum(map(sum, getattr(outcome, kind)))


def cells_of(
    comparison: Comparison,
    heading: str,
    number: object,
    show: object,
) -> list[Cell]:
    """Cells of one figure, the best marked where less is better."""
    assert callable(number)
    assert callable(show)
    found = [
        [number(row.total) for row in comparison.rows_of(label)]
        for label in comparison.labels
    ]
    middles = [float(median_low(values)) for values in found]
    ranked = heading.startswith(LESS + LESS_TOO) and len(set(middles)) > 1
    return [
        Cell(grouped(spread(values, show)), middle, ranked and middle == min(middles))
        for values, middle in zip(found, middles, strict=True)
    ]


def grouped(words: str) -> str:
    """Group the digits of whole numbers.

    Examples
    --------
    >>> grouped("15380365 (9..15415139)"), grouped("653.3")
    ('15,380,365 (9..15,415,139)', '653.3')
    """
    parts = words.replace("(", "( ").replace("..", " .. ").replace(")", " )").split(" ")
    shown = (f"{int(part):,}" if part.isdigit() else part for part in parts)
    return " ".join(shown).replace("( ", "(").replace(" .. ", "..").replace(" )", ")")


@dataclass(frozen=True)
class Heat:
    """Fallbacks of one kind by type pair.

    Attributes
    ----------
    kind : str
        ``"claim"``, ``"steal"`` or ``"pollute"``.
    types : tuple of str
        Migratetypes that take part.
    rows : tuple of tuple of (int, int)
        Row = type asked for, column = type taken from: number, and its shade [%].
    """

    kind: str
    types: tuple[str, ...]
    rows: tuple[tuple[tuple[int, int], ...], ...]


def heats_of(chapter: Chapter) -> Iterator[tuple[str, list[Heat]]]:
    """Fallbacks of each strategy by type pair, median of the seeds."""
    kinds = ("claim", "steal", "pollute")
    found = {
        label: {kind: middle_of(chapter, label, kind) for kind in kinds}
        for label in chapter.table.labels
    }
    everything = added(matrix for kinds in found.values() for matrix in kinds.values())
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


def middle_of(chapter: Chapter, label: str, kind: str) -> Matrix:
    """Median of the seeds, pair by pair."""
    matrices = [getattr(run.row.total, kind) for run in chapter.runs_of(label)]
    size = range(len(MIGRATETYPES))
    return as_matrix(
        [
            [median_low(m[asked][taken] for m in matrices) for taken in size]
            for asked in size
        ]
    )


def heat_of(kind: str, matrix: Matrix, used: list[int], most: int) -> Heat:
    """Shade the pairs of types that are used, by the square root of their share."""
    return Heat(
        kind,
        tuple(MIGRATETYPES[mt] for mt in used),
        tuple(
            tuple(
                (
                    count := matrix[asked][taken],
                    round(100 * (count / (most or 1)) ** 0.5),
                )
                for taken in used
            )
            for asked in used
        ),
    )
