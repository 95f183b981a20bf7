"""The comparison table of the kernel test robot, character by character."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rmqueue.errors import UsageError
from rmqueue.results import Comparison
from rmqueue_plugins.lkp import change_cell, differ, lkp_rows, value_cell
from rmqueue_plugins.regressions import KB_PER_PAGE, lkp
from tests.unit.experiments import five_seeds, small_comparison

THROUGHPUT = "vm-scalability.throughput"
PARENT, BAD, MERGED, GOOD = "f3b92176f4", "c2f6ea38fc", "acc4d5ff0b", "2c847f27c3"
#: Published mean and spread of each kernel [KB/s].
PUBLISHED = {
    PARENT: (25_525_364, 0.035),
    BAD: (11_135_467, 0.0),
    MERGED: (10_779_336, 0.0),
    GOOD: (33_581_409, 0.0),
}
OTHER_MEASURES = {
    "median_task_pages_per_s": 100.0,
    "elapsed_s": 300.0,
    "spin_share_pct": 10.0,
    "claim_attempts": 5.0,
    "claims_per_kpage": 8.0,
    "steals_per_kpage": 9.0,
    "pages_stolen": 6.0,
    "free_pages": 7.0,
}


def three(mean: float, spread: float) -> list[float]:
    """Three figures of this mean, and of this standard deviation as a share of it."""
    return [mean * (1 - spread), mean, mean * (1 + spread)]


def hand_made(figures: dict[str, dict[str, list[float]]], **fields: Any) -> Comparison:
    """A comparison of kernels whose measures are given, one figure per seed."""
    model = small_comparison().rows[0]
    rows = []
    for label, measures in figures.items():
        for seed in range(len(next(iter(measures.values())))):
            own = {name: values[seed] for name, values in measures.items()}
            total = replace(
                model.total, measures={"machine_nodes": 4.0, **OTHER_MEASURES, **own}
            )
            machine = "lkp-cpl-4sp2"
            row = replace(model, label=label, total=total, machine=machine, seed=seed)
            rows.append(row)
    return replace(small_comparison(), rows=tuple(rows), **fields)


def regression() -> Comparison:
    """What was published, as if it had been simulated: section A of the targets."""
    figures = {
        label: {
            # half a KB more: the table cuts
            "pages_per_s": three((mean + 0.5) / 4 / KB_PER_PAGE, spread)
        }
        for label, (mean, spread) in PUBLISHED.items()
    }
    published = {
        label: {"subject": f"subject of {label}", THROUGHPUT: float(mean)}
        for label, (mean, _) in PUBLISHED.items()
    }
    return hand_made(figures, published=published, notes=("a note",))


ROW = (
    "  25525364 ±  3%     -56.4%   11135467           -57.8%   10779336      "
    "     +31.6%   33581409        vm-scalability.throughput"
)


def test_the_published_table_comes_out() -> None:
    lines = lkp(regression()).splitlines()
    assert ROW in lines
    assert lines[lines.index("published:") + 1] == ROW.replace("±  3%", "     ")


def test_the_head_is_that_of_the_robot() -> None:
    assert lkp(regression()).splitlines()[:15] == [
        "=" * 89,
        "tbox_group/testcase/test/simulator:",
        "  lkp-cpl-4sp2/vm-scalability/lru-file-mmap-read/rmqueue",
        "",
        "commit: ",
        '  f3b92176f4 ("subject of f3b92176f4")',
        '  c2f6ea38fc ("subject of c2f6ea38fc")',
        '  acc4d5ff0b ("subject of acc4d5ff0b")',
        '  2c847f27c3 ("subject of 2c847f27c3")',
        "",
        " ".join(
            [
                "f3b92176f4".ljust(16),
                *(label.ljust(27) for label in (BAD, MERGED, GOOD)),
                "",
            ]
        ),
        " ".join(["-" * 16, *["-" * 27] * 3, ""]),
        "         %stddev" + "     %change         %stddev" * 3,
        "             \\  " + "        |                \\  " * 3,
        ROW,
    ]


def test_columns_stand_below_their_heads() -> None:
    lines = lkp(regression()).splitlines()
    rule, row = lines[11], lines[14]
    ends = [at for at, c in enumerate(rule) if c == "-" and rule[at + 1] == " "]
    # a value with its spread ends where its column does
    assert row[: ends[0] + 1] == "  25525364 ±  3%"
    assert [row[end - 15 : end + 1].strip() for end in ends[1:]] == [
        *("11135467", "10779336", "33581409")
    ]


def test_long_headings_are_cut() -> None:
    names = "a-parent-with-a-long-name", "another-kernel-with-a-very-long-name"
    measures = [{"pages_per_s": [1.0]}, {"pages_per_s": [2.0]}]
    text = lkp(hand_made(dict(zip(names, measures, strict=True))))
    assert "\na-parent-with-a- another-kernel-with-a-very- \n" in text
    assert '\n  a-parent-w ("")\n  another-ke ("")\n' in text


def test_deviations_from_what_was_published() -> None:
    text = lkp(regression())
    assert f"  {THROUGHPUT}: {PARENT} +0.0%, {BAD} +0.0%, {MERGED} +0.0%" in text
    assert f"  {BAD} / {PARENT}: simulated 0.436, published 0.436" in text
    assert f"  {GOOD} / {PARENT}: simulated 1.316, published 1.316" in text
    assert text.endswith("\n\na note\n")
    bare = lkp(replace(regression(), published={}))
    assert f"  {BAD} / {PARENT}: simulated 0.436\n" in bare
    assert "published:\n" not in bare


@pytest.mark.parametrize(
    ("base", "other", "shown"),
    [
        ([10.0], [10.0], False),
        ([10.0], [10.1], True),
        ([10.0], [9.9], True),
        ([9.0, 11.0], [10.5, 12.0], True),  # all above the mean, their mean above all
        ([9.0, 11.0], [10.5, 11.4], False),  # their mean is not above all
        ([9.0, 11.0], [9.9, 15.0], False),  # not all are above the mean
        ([9.0, 11.0], [8.0, 9.5], True),
        ([9.0, 11.0], [8.6, 9.5], False),
        ([9.0, 11.0], [5.0, 10.1], False),
        ([10.0], [10.0, 12.0], False),
    ],
)
def test_a_row_appears_where_kernels_differ(
    base: list[float], other: list[float], shown: bool
) -> None:
    assert differ(base, other) is shown
    rows = list(lkp_rows(("a", "b"), {"a": {"key": base}, "b": {"key": other}}))
    assert bool(rows) is shown
    assert change_cell("key", base, other).strip() == (
        f"{100 * (sum(other) / len(other) / (sum(base) / len(base)) - 1):+.1f}%"
        if shown
        else ""
    )


def test_a_row_of_which_one_column_differs_has_the_others_too() -> None:
    figures = {"a": {"key": [10.0]}, "b": {"key": [10.0]}, "c": {"key": [20.0]}}
    (row,) = lkp_rows(("a", "b", "c"), figures)
    assert row == (
        "     10.00                       10.00          +100.0%      20.00        key"
    )


def test_a_key_that_the_parent_does_not_have() -> None:
    figures: dict[str, dict[str, list[float]]] = {"a": {}, "b": {"key": [3.5]}}
    (row,) = lkp_rows(("a", "b"), figures)
    assert row == " " * 28 + "      3.50        key"


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([0.0], "      0.00      "),
        ([3.14159], "      3.14      "),
        ([999.994], "    999.99      "),
        ([1000.0], "      1000      "),
        ([1999.99], "      1999      "),  # cut, not rounded
        ([100_000_000.0], " 100000000      "),
        ([673_300_000.0], " 6.733e+08      "),
        ([1.07e9], "  1.07e+09      "),
        ([-42.0], "    -42.00      "),
        (three(100.0, 0.02), "    100.00      "),
        (three(100.0, 0.021), "    100.00 ±  2%"),
        (three(25_525_364.5, 0.0399), "  25525364 ±  3%"),
        (three(1e9, 1.5), "     1e+09 ±150%"),
        ([], " " * 16),
    ],
)
def test_values(values: list[float], cell: str) -> None:
    assert value_cell(values) == cell
    assert len(cell) == 16


@pytest.mark.parametrize(
    ("key", "base", "other", "cell"),
    [
        ("key", 100.0, 43.6, "     -56.4% "),
        ("key", 100.0, 308.7, "    +208.7% "),
        ("key", 3.0, 30_000.0, " +999900.0% "),
        ("perf-profile.self.x", 71.5, 26.31, "     -45.2  "),
        ("mpstat.cpu.all.sys%", 40.0, 80.0, "     +40.0  "),
        ("key", 0.0, 5.0, " " * 12),
        ("perf-profile.self.x", 0.0, 5.0, "      +5.0  "),
        ("key", 5.0, 5.0, " " * 12),
    ],
)
def test_changes(key: str, base: float, other: float, cell: str) -> None:
    assert change_cell(key, [base], [other]) == cell
    assert len(cell) == 12


def test_keys_are_sums_over_nodes() -> None:
    """Those of one node times four, but for times and shares."""
    measures = {
        "pages_per_s": 1e6,
        "median_task_pages_per_s": 1e4,
        "elapsed_s": 181.84,
        "spin_share_pct": 5.0,
        "claim_attempts": 10.0,
        "pages_stolen": 20.0,
        "free_pages": 30.0,
    }
    figures = {
        "a": {name: [1.0] for name in measures},
        "b": {name: [value] for name, value in measures.items()},
    }
    lines = lkp(hand_made(figures)).splitlines()
    found = {line.split()[-1]: line.split()[-2] for line in lines[12:19]}
    assert found == {
        THROUGHPUT: "18000000",
        "vm-scalability.median": "45000",
        "vm-scalability.time.elapsed_time": "181.84",
        "perf-profile.self.zone_lock_spinning": "5.00",
        "rmqueue.claim_attempts": "40.00",
        "rmqueue.pages_stolen": "80.00",
        "rmqueue.nr_free_pages": "120.00",
    }


def test_a_workload_that_measures_something_else() -> None:
    rows = hand_made({"a": {"pages_per_s": [1.0]}}).rows
    measures = {"machine_nodes": 4.0}
    row = replace(rows[0], total=replace(rows[0].total, measures=measures))
    with pytest.raises(UsageError, match="needs the measure 'pages_per_s'"):
        lkp(replace(small_comparison(), rows=(row,)))


def test_any_comparison() -> None:
    assert lkp(five_seeds()).splitlines() == [
        "=" * 89,
        "tbox_group/testcase/simulator:",
        "  generic/by-hand/rmqueue",
        "",
        "commit: ",
        '  base ("none on kernel profile 6.14")',
        '  other_50% ("none on kernel profile 6.14")',
        "",
        "base             other_50%" + " " * 19,
        "-" * 16 + " " + "-" * 27 + " ",
        "         %stddev     %change         %stddev",
        "             \\          |                \\  ",
        "      0.00                        3.00 ± 52%  rmqueue.work_scan_block",
        "      4.00           +50.0%       6.00        rmqueue.mixed_pageblocks",
        "",
        "workload made up",
        "mean of 5 seeds",
        "not shown: what does not tell a kernel from the first",
        "a note",
    ]


def test_hashes_are_cut_and_names_are_not() -> None:
    row = small_comparison().rows[0]
    rows = tuple(replace(row, label=label) for label in ("a" * 40, "steal-smallest-b"))
    words = lkp(replace(small_comparison(), rows=rows))
    assert f'\n  {"a" * 10} ("greedy-steal on kernel profile 6.9")\n' in words
    assert '\n  steal-smallest-b ("greedy' in words
    assert words.count("rmqueue.") == 0, "nothing differs"
