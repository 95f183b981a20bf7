"""A comparison for programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

from rmqueue.export import as_csv, as_json
from rmqueue.mm.vmstat import COUNTERS
from tests.unit.experiments import small_comparison


def test_json_holds_everything() -> None:
    comparison = small_comparison()
    values = json.loads(as_json(comparison))
    assert values["migratetypes"][:3] == ["unmovable", "movable", "reclaimable"]
    assert len(values["rows"]) == len(comparison.rows)
    for row, found in zip(comparison.rows, values["rows"], strict=True):
        assert found["label"] == row.label
        assert found["total"]["counters"] == dict(row.total.counters)
        assert found["total"]["claim"] == [list(line) for line in row.total.claim]
        assert found["zones"][0]["holds"]["worst_ps"] == row.zones[0].holds.worst_ps
    assert values["provenance"]["config"]["name"] == "small"


def test_csv_has_a_line_per_row() -> None:
    comparison = small_comparison()
    lines = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert [(line["label"], line["seed"]) for line in lines] == [
        (row.label, str(row.seed)) for row in comparison.rows
    ]
    for line, row in zip(lines, comparison.rows, strict=True):
        assert None not in line
        assert all(value is not None for value in line.values())
        for counter in COUNTERS:
            assert line[f"work_{counter}"] == str(row.total.counters[counter])
        assert line["claim_unmovable_from_movable"] == str(row.total.claim[0][1])
        assert line["hold_worst_ps"] == str(row.total.holds.worst_ps)
        assert line["unusable_order_5"] == str(row.total.unusable[5])


def test_unusual_pairs_get_a_column() -> None:
    comparison = small_comparison()
    matrix = tuple(tuple(3 * (i == 1 and j == 4) for j in range(5)) for i in range(5))
    row = comparison.rows[0]
    odd = replace(row, total=replace(row.total, pollute=matrix))
    text = as_csv(replace(comparison, rows=(odd, *comparison.rows[1:])))
    lines = list(csv.DictReader(io.StringIO(text)))
    assert lines[0]["pollute_movable_from_cma"] == "3"
    assert lines[1]["pollute_movable_from_cma"] == "0"
    assert "pollute_movable_from_cma" not in as_csv(comparison)
