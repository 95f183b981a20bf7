"""The published regressions come out: each kernel within its band, and in order.

Bands of the worst refill with the function tracer on, around what was traced on the
board; see the experiments imx7d and lkp.
"""

from __future__ import annotations

from functools import cache
from statistics import median

import pytest

from rmqueue.experiment import Experiment
from rmqueue.results import Comparison, Row
from rmqueue_plugins.regressions import board, lkp

SEEDS = (1, 2, 3)
#: Least and largest worst refill [ms].
BANDS = {
    "greedy-steal": (2, 6),
    "claim-whole-block": (80, 155),
    "steal-smallest-buddy": (200, 600),
    "remembered-fallback": (6, 9),
    "tight-fallback": (4, 5),
}
UNTRACED = ", untraced"


@cache
def board_runs() -> Comparison:
    """The experiment imx7d at its own size, with three of its ten seeds."""
    whole = Experiment.load("imx7d")
    config = whole.config.model_copy(update={"seeds": SEEDS})
    return Experiment(config, whole.base, whole.source).compare()


@cache
def server_runs() -> Comparison:
    """The experiment lkp-quick, whose figures are no prediction."""
    return Experiment.load("lkp-quick").compare()


def worst_ms(label: str) -> list[float]:
    rows = board_runs().rows_of(label)
    assert [row.seed for row in rows] == [*SEEDS]
    return [row.total.measures["worst_refill_ms"] for row in rows]


def measures(label: str) -> dict[str, float]:
    (row,) = server_runs().rows_of(label)
    return dict(row.total.measures)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", BANDS)
def test_each_kernel_is_within_its_band(strategy: str) -> None:
    low, high = BANDS[strategy]
    for value in worst_ms(strategy):
        assert low <= value <= high


@pytest.mark.slow
def test_the_order_is_the_published_one() -> None:
    middle = {strategy: median(worst_ms(strategy)) for strategy in BANDS}
    quick = max(middle["greedy-steal"], middle["tight-fallback"])
    assert quick < middle["remembered-fallback"]
    assert 10 * middle["remembered-fallback"] < middle["claim-whole-block"]
    assert 2 * middle["claim-whole-block"] < middle["steal-smallest-buddy"]


@pytest.mark.slow
def test_without_the_tracer_the_board_is_faster() -> None:
    for strategy in BANDS:
        traced, untraced = worst_ms(strategy), worst_ms(strategy + UNTRACED)
        assert all(b < a for a, b in zip(traced, untraced, strict=True))
    for strategy in ("remembered-fallback", "tight-fallback"):
        assert median(worst_ms(strategy + UNTRACED)) < 1.5


@pytest.mark.slow
def test_the_tracer_changes_costs_and_nothing_else() -> None:
    def work(row: Row) -> tuple[object, ...]:
        return row.seed, row.total.counters, row.total.claim, row.total.steal

    for strategy in BANDS:
        traced, untraced = (
            [work(row) for row in board_runs().rows_of(label)]
            for label in (strategy, strategy + UNTRACED)
        )
        assert traced == untraced


@pytest.mark.slow
def test_the_table_of_the_board() -> None:
    lines = board(board_runs()).splitlines()
    assert [line.split()[0] for line in lines[5:10]] == list(BANDS)
    assert all(line.count(" / ") == 4 for line in lines[5:10])
    assert "94 - 153" in lines[6]


@pytest.mark.slow
def test_the_small_server_has_the_regression() -> None:
    parent, bad, good = (
        measures(label) for label in ("f3b92176f4", "c2f6ea38fc", "2c847f27c3")
    )
    speed = [one["pages_per_s"] for one in (bad, parent, good)]
    assert speed == sorted(speed)
    assert speed[0] < 0.7 * speed[2]
    assert bad["spin_share_pct"] > 40
    assert good["spin_share_pct"] < 10
    assert bad["claim_attempts"] > 100 * good["claim_attempts"]
    for one in (parent, bad, good):
        assert one["lock_utilisation_pct"] < 100


@pytest.mark.slow
def test_the_table_of_the_server() -> None:
    text = lkp(server_runs())
    row = next(line for line in text.splitlines() if line.endswith(".throughput"))
    changes = [word for word in row.split() if word.endswith("%")]
    assert changes[0].startswith("-")
    assert changes[1].startswith("+")
    assert "scaling down is not neutral" in text
