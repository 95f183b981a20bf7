"""Tables of a comparison: for mails, terminals and markdown."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from rmqueue.figures import index, whole
from rmqueue.grid import grid_of, spread
from rmqueue.report import markdown, one_line, rich_table, text, wrapped
from rmqueue.results import Comparison, Recorded
from tests.unit.experiments import five_seeds, of_seeds, small_comparison


def test_a_column_per_strategy_and_a_cell_per_row() -> None:
    grid = grid_of(small_comparison())
    assert grid.headings == ("greedy-steal", "now", "none")
    assert all(len(cells) == 3 for _, cells in grid.rows)
    labels = [label for label, _ in grid.rows]
    assert len(set(labels)) == len(labels)
    for label in ("kernel", "pages served", "worst hold [us]", "mixed pageblocks"):
        assert label in labels
    assert dict(grid.rows)["kernel"][:2] == ("6.9", "6.14")


def test_several_seeds_are_a_mean_with_its_deviation() -> None:
    assert spread([5], whole) == spread([5, 5, 5], whole) == "5"
    assert spread([9, 1, 4], whole) == "4.7 ± 4.0"
    assert spread([9000, 1000, 4000], whole) == "4667 ± 4041"
    assert spread([0.9871, 0.9872], index) == "0.987150 ± 0.000071"
    assert spread([], whole) == ""
    rows = small_comparison().rows_of("now")
    low, high = sorted(row.total.asked for row in rows)
    cell = dict(grid_of(small_comparison()).rows)["pages asked"][1]
    middle, apart = (low + high) / 2, (high - low) / 2**0.5
    assert (
        cell == f"{middle:.1f} ± {apart:.1f}" or cell == f"{middle:.0f} ± {apart:.0f}"
    )
    assert "two seeds are too few for intervals" in grid_of(small_comparison()).notes


def test_one_seed_looks_as_it_always_did() -> None:
    one = of_seeds(small_comparison(), 1)
    words = text(one) + markdown(one)
    assert "±" not in words
    assert not grid_of(one).changes
    assert "deterministic" not in words
    assert "deviation" not in words


@pytest.mark.parametrize("render", [text, markdown])
def test_changes_stand_below(render: Callable[[Comparison], str]) -> None:
    words = render(five_seeds())
    assert "change against base, paired by seed" in words
    assert "+50.0 %" in words, "claim attempts: 10, 20, ... and half as many more"
    assert "95 % interval" in words
    assert "intervals of 5 seeds are too narrow" in words


def test_cells_of_changes() -> None:
    grid = grid_of(five_seeds())
    cells = list(grid.changes)
    labels = [label for label, _ in cells]
    at = labels.index("claim attempts")
    assert cells[at][1] == ("", "+50.0 %")
    assert cells[at + 1] == ("  95 % interval", ("", "deterministic"))
    at = labels.index("blocks scanned")
    assert cells[at][1] == ("", "+3.0")  # of nothing
    assert cells[at + 1][1] == ("", "+1.8..+4.2")
    at = labels.index("mixed pageblocks")
    assert cells[at + 1][1] == ("", "deterministic")
    assert "p99 hold [us]" not in labels, "it does not change"


def test_without_scipy_there_are_no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmqueue.grid.can_bootstrap", lambda: False)
    words = text(five_seeds())
    assert "+50.0 %" in words
    assert ".." not in words.partition("change against")[2].partition("\n\n")[0]
    assert "no intervals: they need SciPy: pip install 'rmqueue[study]'" in words


def test_plain_text_is_aligned() -> None:
    lines = text(small_comparison()).splitlines()
    assert lines[0].startswith("small: workload mix on an empty zone of 5 MiB, 2 CPUs")
    assert lines[1] == "A sentence."
    rule = next(at for at, line in enumerate(lines) if set(line) == {"-"})
    body = lines[rule + 1 : lines.index("", rule)]
    assert len(body) == len(grid_of(small_comparison()).rows)
    assert max(map(len, body)) <= len(lines[rule])
    assert all(line == line.rstrip() for line in lines)


def test_the_recorded_kernel_has_a_column_of_its_own() -> None:
    matrix = tuple(tuple(7 * (i == 0 and j == 1) for j in range(5)) for i in range(5))
    recorded = Recorded("6.1.0-42", 1234, matrix, None)
    grid = grid_of(replace(small_comparison(), recorded=recorded))
    assert grid.headings[-1] == "recorded"
    cells = dict(grid.rows)
    assert cells["kernel"][-1] == "6.1.0-42"
    assert cells["pages served"][-1] == "1234"
    assert cells["claim   unmovable <- movable"][-1] == "7"
    assert cells["worst hold [us]"][-1] == ""


def test_markdown_is_one_table() -> None:
    lines = markdown(small_comparison()).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(grid_of(small_comparison()).rows)
    assert {line.count("|") for line in table} == {5}
    assert table[1] == "| :--- | ---: | ---: | ---: |"
    odd = replace(small_comparison(), description="a|b *c* <d>")
    assert "a\\|b \\*c\\* \\<d\\>" in markdown(odd)


def test_terminals_get_the_same_cells() -> None:
    out = io.StringIO()
    Console(width=200, file=out).print(rich_table(small_comparison()))
    shown = [line.strip() for line in out.getvalue().splitlines()]
    for label, cells in grid_of(small_comparison()).rows:
        line = next(line for line in shown if line.startswith(label))
        for cell in cells:
            assert cell in line


def test_one_line_says_what_came_of_a_run() -> None:
    line = one_line(small_comparison().rows[0])
    assert line.startswith("greedy-steal on 6.9, seed 1: ")
    assert "worst hold" in line


def test_headings_break_at_dashes() -> None:
    assert wrapped("claim-whole-block", 11) == ["claim-", "whole-block"]
    assert wrapped("none", 4) == ["none"]


def test_columns_on_different_kernels_are_said() -> None:
    words = "columns are on different kernel profiles"
    mixed = small_comparison()
    assert words in text(mixed)
    assert words in markdown(mixed)
    assert words not in text(replace(mixed, rows=mixed.rows_of("now")))
