"""The multi-CPU loop: the same figures with the JIT, without it, and ever after."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.golden.smp_runs import FILE, RUNS, figures

STORED: dict[str, dict[str, Any]] = json.loads(FILE.read_text())


#: Those that also run without the JIT, which takes seconds each.
QUICK = (
    "read, smallest",
    "read, latest",
    "read, two nodes",
    "dd, greedy",
    "dd, latest",
)


def runs() -> list[Any]:
    return [
        pytest.param(name, marks=() if name in QUICK else (pytest.mark.slow,))
        for name in RUNS
    ]


@pytest.mark.parametrize("name", runs())
def test_figures_are_those_stored(name: str) -> None:
    found = figures(RUNS[name]())
    assert found.keys() == STORED[name].keys()
    for part, values in STORED[name].items():
        assert found[part] == values, part


def test_every_run_is_stored() -> None:
    assert STORED.keys() == RUNS.keys()


def test_the_runs_do_what_they_are_for() -> None:
    """They drain, steal, claim, find scans warm, wait for locks, boost and reclaim."""
    read = STORED["read, smallest"]["nodes"][0]
    for name in ("waits", "wakeups", "drains", "reclaimed", "stalls", "lru", "slabs"):
        assert read[name] > 0, name
    for name in ("steal", "claim_part", "scan_page_warm", "boost", "pcp_flush"):
        assert read["counters"][name] > 0, name
    assert read["counters"]["claim_try"] > read["counters"]["claim_part"]
    for name, run in STORED.items():
        if name.startswith("dd"):
            assert run["worst"]["worst_ps"] > 0
            assert run["nodes"][0]["wakeups"] > 0
