"""The board's table: published beside simulated, traced beside untraced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rmqueue.errors import UsageError
from rmqueue.results import Comparison, Row
from rmqueue_plugins.regressions import (
    TELLING,
    UNTRACED,
    board,
    milliseconds,
    spread_ms,
)
from tests.unit.experiments import small_comparison


def row_of(label: str, seed: int, worst_ms: float, pages: int) -> Row:
    model = small_comparison().rows[0]
    measures = {
        "worst_refill_ms": worst_ms,
        "worst_refill_pages": float(pages),
        **{
            f"worst_refill_{name}": 100.0 * seed + at for at, name in enumerate(TELLING)
        },
    }
    total = replace(model.total, measures=measures)
    return replace(model, label=label, seed=seed, total=total)


def hand_made() -> Comparison:
    rows = (
        *(row_of("fast", seed, 4.0 + seed / 10, 2016) for seed in (1, 2, 3)),
        *(row_of("slow", seed, 100.0 * seed, 10 * seed) for seed in (3, 1, 2)),
        *(row_of("slow" + UNTRACED, seed, 0.5 * seed, 7) for seed in (1, 2, 3)),
    )
    return replace(
        small_comparison(),
        experiment="board",
        description="Words.",
        source="a source",
        rows=rows,
        published={"slow": {"worst_ms": "94 - 153", "kernel": "6.12"}},
        notes=("first", "second"),
    )


def test_the_table() -> None:
    assert board(hand_made()) == (
        "board: Words.\n"
        "a source\n"
        "[ms], min / median / max of 3 seeds; counters: the median seed, traced\n"
        "\n"
        "strategy  published           traced            untraced  pages  area  "
        "claim_try  scan_block  scan_page  steal\n"
        "fast                 4.1 / 4.2 / 4.3                       2016   200  "
        "      201         202        203    204\n"
        "slow       94 - 153  100 / 200 / 300  0.50 / 1.00 / 1.50     20   200  "
        "      201         202        203    204\n"
        "\n"
        "first\n"
        "second\n"
    )


def test_counters_of_an_even_number_of_seeds_are_those_of_one_that_ran() -> None:
    rows = tuple(row_of("two", seed, 10.0 * seed, seed) for seed in (1, 2))
    line = board(replace(hand_made(), rows=rows)).splitlines()[5]
    assert line.split()[:7] == ["two", "10.0", "/", "15.0", "/", "20", "1"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((0.5, "0.50"), (1.994, "1.99"), (2.0, "2.0"), (19.94, "19.9")),
        *((20.0, "20"), (288.4, "288")),
    ],
)
def test_times_have_two_digits_or_more(value: float, shown: str) -> None:
    assert milliseconds(value) == shown
    assert spread_ms([value]) == f"{shown} / {shown} / {shown}"


def test_a_workload_that_measures_something_else() -> None:
    with pytest.raises(UsageError, match="needs the measure 'worst_refill_ms'"):
        board(small_comparison())
