"""The canonical figures: names, units, order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rmqueue.figures import (
    FIGURES,
    HIGHER,
    LOWER,
    figure_named,
    figures_of,
    index,
    measured,
    microseconds,
    named,
)
from tests.unit.experiments import made_row, small_comparison


def test_every_figure_of_a_run_is_known() -> None:
    for row in small_comparison().rows:
        figures = figures_of(row)
        assert figures.keys() >= FIGURES.keys()
        for name, value in figures.items():
            figure = figure_named(name)
            assert figure.name == name
            assert figure.unit, name
            assert isinstance(value, float)
            assert figure.show(value)


def test_values_are_in_their_units() -> None:
    row = small_comparison().rows[0]
    figures, total = figures_of(row), row.total
    assert figures == figures_of(total)
    assert figures["hold_worst_us"] == total.holds.worst_ps / 1e6
    assert figures["unusable_order_3"] == total.unusable[3] / 1000
    assert figures["work_claim_try"] == total.counters["claim_try"]
    assert figures["work_lock"] == total.counters["lock"]


def test_measures_do_not_hide_figures() -> None:
    row = made_row("one", 1)
    measures = {"free_pages": 3.0, "pages_per_s": 4.0, "elapsed_s": 1.5, "odd": 1.0}
    figures = figures_of(replace(row.total, measures=measures))
    assert figures["free_pages"] == 824
    assert figures["measure_free_pages"] == 3
    assert figure_named("measure_pages_per_s").better == HIGHER
    assert figure_named("measure_elapsed_s").better == LOWER
    assert figure_named("measure_elapsed_s").unit == "s"
    assert figure_named("measure_odd").unit == ""
    assert figure_named("measure_odd").heading == "odd"


def test_what_no_run_has() -> None:
    for name in ("", "worst", "claim_movable_from_nowhere", "unusable_order_x"):
        with pytest.raises(KeyError):
            figure_named(name)


def test_order_is_that_of_tables_whichever_run_has_what() -> None:
    first = {"asked": 1.0, "claim_movable_from_unmovable": 1.0, "holds": 1.0}
    second = {"asked": 1.0, "claim_movable_from_reclaimable": 1.0, "measure_b_s": 0.0}
    second |= {
        "measure_a_s": 0.0,
        "work_lock": 0.0,
        "steal_unmovable_from_movable": 1.0,
    }
    assert [figure.name for figure in named([first, second])] == [
        "asked",
        "claim_movable_from_reclaimable",
        "claim_movable_from_unmovable",
        "steal_unmovable_from_movable",
        "measure_b_s",
        "measure_a_s",
        "holds",
        "work_lock",
    ]


def test_only_the_simulators_time_is_not_of_the_kernel() -> None:
    assert [f.name for f in FIGURES.values() if not f.of_kernel] == ["ns_per_op"]


def test_shown() -> None:
    assert [microseconds(v) for v in (0.344, 99.999, 100.06)] == [
        "0.34",
        "100.00",
        "100.1",
    ]
    assert [index(v) for v in (0.984, 1.0, 0.0)] == ["0.984", "1.000", "0.000"]
    assert [measured(v) for v in (3.0, 3.14159, 1234.5)] == ["3", "3.14", "1234"]
