"""Statistics over seeds: what varies, what does not, and what is too little to tell."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rmqueue.bootstrap import (
    COVERAGE,
    ENOUGH,
    FEWEST,
    RANDOM_STATE,
    RESAMPLES,
    coverage_note,
    need_scipy,
)
from rmqueue.errors import RmqueueError, UnknownNameError, UsageError
from rmqueue.statistics import (
    DETERMINISTIC,
    FEW_RUNS,
    NOT_ASKED,
    ONE_RUN,
    paired,
    seeds_of,
    statistics_of,
    summarise,
)
from tests.unit.experiments import five_seeds, made_row, of_seeds, small_comparison

VALUES = [10.0, 12.0, 9.0, 15.0, 11.0]


def test_an_interval_is_scipys() -> None:
    found = summarise(VALUES)
    expected = stats.bootstrap(
        (VALUES,),
        np.mean,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(RANDOM_STATE),
    ).confidence_interval
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == tuple(map(float, expected))
    assert found.interval.method == "BCa"
    assert (found.n, found.mean, found.remark) == (5, float(np.mean(VALUES)), "")
    assert found.sd == float(np.std(VALUES, ddof=1))
    assert found.varies


def test_reports_can_be_made_again() -> None:
    first = summarise(VALUES)
    np.random.default_rng().random()
    assert summarise(list(VALUES)) == first == summarise(np.array(VALUES))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "remark", "sd"),
    [
        ([3.0], ONE_RUN, None),
        ([3.0, 4.0], FEW_RUNS, pytest.approx(0.5**0.5)),
        ([3.0, 3.0], DETERMINISTIC, 0.0),
        ([0.1 + 0.2, 0.3, 0.3], DETERMINISTIC, 0.0),
        ([0.0, 0.0, 0.0, 0.0], DETERMINISTIC, 0.0),
    ],
)
def test_no_interval_where_none_is_honest(
    values: list[float], remark: str, sd: float | None
) -> None:
    found = summarise(values)
    assert found.interval is None
    assert (found.remark, found.sd) == (remark, sd)
    assert found.mean == pytest.approx(np.mean(values))


def test_an_interval_that_nobody_wants_is_not_made() -> None:
    assert summarise(VALUES, interval=False).remark == NOT_ASKED
    assert paired(VALUES, VALUES[::-1], interval=False).percent_interval is None


def test_pairs_tell_more_than_means() -> None:
    """A change that each seed shows, far below their spread."""
    base = [100.0, 200.0, 300.0, 400.0]
    other = [101.0, 201.5, 301.0, 401.5]
    found = paired(base, other)
    assert found.change.mean == 1.25
    assert found.change.interval is not None
    assert 1.0 <= found.change.interval.low < found.change.interval.high <= 1.5
    assert found.percent == pytest.approx(0.5)
    assert found.percent_interval is not None
    assert 0 < found.percent_interval.low < 0.5 < found.percent_interval.high


def test_the_percents_interval_is_scipys_over_pairs() -> None:
    base, other = VALUES, [20.0, 18.0, 12.0, 33.0, 19.0]
    found = paired(base, other).percent_interval

    def percent(a: Any, b: Any, axis: int) -> Any:
        return 100 * (b.mean(axis=axis) / a.mean(axis=axis) - 1)

    expected = stats.bootstrap(
        (base, other),
        percent,
        paired=True,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(RANDOM_STATE),
    ).confidence_interval
    assert found is not None
    assert (found.low, found.high) == tuple(map(float, expected))


@pytest.mark.parametrize(
    ("base", "other", "change", "percent", "remark"),
    [
        ([5.0, 7.0, 9.0], [5.0, 7.0, 9.0], 0.0, 0.0, DETERMINISTIC),
        ([5.0, 7.0, 9.0], [6.0, 8.0, 10.0], 1.0, 100 / 7, DETERMINISTIC),
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 1.0, None, DETERMINISTIC),
        ([0.0, 0.0, 3.0], [1.0, 1.0, 1.0], 0.0, 0.0, ""),
        ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], 2.0, 100.0, ""),
        ([4.0], [3.0], -1.0, -25.0, ONE_RUN),
        ([-4.0, -2.0], [-2.0, -1.0], 1.5, 50.0, FEW_RUNS),
    ],
)
def test_differences(
    base: list[float],
    other: list[float],
    change: float,
    percent: float | None,
    remark: str,
) -> None:
    found = paired(base, other)
    assert found.change.mean == pytest.approx(change)
    assert found.percent == (None if percent is None else pytest.approx(percent))
    assert found.change.remark == remark
    assert (found.change.interval is None) == bool(remark)
    unsafe = min(base) <= 0 or len(base) < FEWEST
    if unsafe or percent in (0.0, 100.0):
        assert found.percent_interval is None


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(UsageError, match="2 runs cannot be paired with 3"):
        paired([1.0, 2.0], [1.0, 2.0, 3.0])


def test_statistics_of_a_comparison() -> None:
    found = statistics_of(five_seeds())
    assert found.baseline == "base"
    assert set(found.summaries) == {"base", "other_50%"}
    assert set(found.differences) == {"other_50%"}
    names = {figure.name for figure in found.figures}
    assert "ns_per_op" not in names, "the simulator's own time: no run has it again"
    assert names == set(found.summaries["base"]) == set(found.differences["other_50%"])
    assert found.summaries["base"]["work_claim_try"].mean == 30
    assert found.summaries["base"]["asked"].remark == DETERMINISTIC
    assert found.differences["other_50%"]["work_claim_try"].percent == pytest.approx(50)
    other = statistics_of(five_seeds(), "other_50%", main=True)
    assert all(figure.main for figure in other.figures)
    assert other.differences["base"]["work_claim_try"].percent == pytest.approx(
        -100 / 3
    )


def test_pairs_of_types_that_a_run_did_not_use_are_zeros() -> None:
    matrix = tuple(tuple(7 * (i == 1 and j == 0) for j in range(5)) for i in range(5))
    base, other = made_row("base", 1), made_row("other", 1)
    other = replace(other, total=replace(other.total, claim=matrix))
    found = statistics_of(replace(five_seeds(), rows=(base, other)))
    difference = found.differences["other"]["claim_movable_from_unmovable"]
    assert (difference.change.mean, difference.percent) == (7, None)


def test_seeds_that_only_one_has_are_not_paired() -> None:
    rows = [r for r in five_seeds().rows if (r.label, r.seed) != ("other_50%", 2)]
    found = statistics_of(replace(five_seeds(), rows=tuple(rows)))
    assert found.summaries["base"]["work_claim_try"].n == 5
    assert found.differences["other_50%"]["work_claim_try"].change.n == 4


def test_unknown_baseline() -> None:
    with pytest.raises(UnknownNameError, match="'bas': did you mean 'base'"):
        statistics_of(five_seeds(), "bas")


def test_one_run_of_a_recording() -> None:
    row = replace(made_row("one", 1), seed=None)
    found = statistics_of(replace(five_seeds(), rows=(row,)))
    assert {one.remark for one in found.summaries["one"].values()} == {ONE_RUN}
    assert seeds_of(five_seeds()) == 5


def test_notes_on_few_seeds() -> None:
    assert coverage_note(1) == coverage_note(2) == coverage_note(ENOUGH) == ""
    assert f"{COVERAGE[3]} %" in coverage_note(3)
    assert f"{COVERAGE[10]} %" in coverage_note(12)


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmqueue.bootstrap.find_spec", lambda name: None)
    need_scipy(2, "anything")
    with pytest.raises(
        RmqueueError, match=r"5 seeds needs SciPy: pip install 'rmqueue"
    ):
        need_scipy(5, "the report")
    assert summarise([1.0, 2.0]).remark == FEW_RUNS
    assert summarise([2.0, 2.0, 2.0]).remark == DETERMINISTIC
    with pytest.raises(RmqueueError, match="SciPy"):
        summarise([1.5, 2.0, 4.0, 4.25])


def test_one_seed_does_not_import_scipy() -> None:
    """It takes seconds."""
    program = (
        "import sys\n"
        "from tests.unit.experiments import of_seeds, five_seeds\n"
        "from rmqueue.export import as_csv, as_json\n"
        "from rmqueue.report import markdown, text\n"
        "for render in (as_csv, as_json, markdown, text):\n"
        "    render(of_seeds(five_seeds(), 1))\n"
        "assert 'scipy.stats' not in sys.modules\n"
        "text(five_seeds())\n"
        "assert 'scipy.stats' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_real_runs_have_statistics() -> None:
    found = statistics_of(small_comparison())
    assert {one.n for one in found.summaries["now"].values()} == {2}
    assert statistics_of(of_seeds(small_comparison(), 1)).figures
