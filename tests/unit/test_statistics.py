"""Sums of a recording beside those of the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.errors import UsageError
from rmqueue.statistics_report import (
    statistics_renderables,
    statistics_tables,
    statistics_text,
)
from rmqueue.trace.statistics import Figure, Statistics, statistics_of
from rmqueue_plugins.readers.evidence import read_evidence
from tests.unit import proc_texts, recordings
from tests.unit.recordings import alloc, line, locked

FREE = {"Movable": {3: 2, 0: 2}, "Unmovable": {10: 1}}
PAGEBLOCKS = {"Movable": 6, "Unmovable": 2}


def steal(pfn: int, found: int, mt: int = 2, other: int = 0) -> str:
    return line(
        f"mm_page_alloc_extfrag: page=0 pfn={pfn:#x} alloc_order=0 "
        f"fallback_order={found} pageblock_order=9 alloc_migratetype={mt} "
        f"fallback_migratetype={other} fragmenting=1 change_ownership=1"
    )


LINES = [locked(1024), alloc(1024), steal(2048, 10), alloc(2048, mt=2)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def found(tmp_path: Path) -> Statistics:
    folder = proc_texts.write(tmp_path / "made", LINES, FREE, PAGEBLOCKS)
    return statistics_of(read_evidence(folder), seeds=(1, 2))


def test_what_was_taken_is_compared(found: Statistics) -> None:
    assert found.figure("taken", "native") == Figure("taken", "native", 1, (1, 1))
    assert found.figure("taken", "claim") == Figure("taken", "claim", 1, (1, 1))
    assert found.figure("taken", "steal").recorded == 0
    (types,) = found.part("types")
    assert (types.name, types.recorded) == ("reclaimable from unmovable, claim", 1)
    (orders,) = found.part("orders")
    assert (orders.name, orders.simulated) == ("order 0 from 10", (1, 1))


def test_the_end_is_compared_with_the_counts_at_the_end(found: Statistics) -> None:
    blocks = found.figure("pageblocks", "Normal reclaimable")
    assert (blocks.recorded, blocks.simulated) == (0, (2, 2))
    free = found.figure("free", "Normal unmovable, order 10")
    assert (free.recorded, free.simulated, free.difference) == (1, (0, 0), -1.0)


def test_spread_and_difference() -> None:
    figure = Figure("taken", "steal", 200, (190, 200, 180))
    assert (figure.mean, figure.spread, figure.difference) == (190, (180, 200), -0.05)
    assert Figure("taken", "steal", 0, (3,)).difference is None
    assert Figure("free", "x", None, (3,)).difference is None


def test_an_exact_state_runs_once(tmp_path: Path) -> None:
    folder = recordings.write(tmp_path / "exact", [locked(1024), alloc(1024)])
    found = statistics_of(read_evidence(folder), "claim-whole-block")
    assert (found.exact, found.seeds, found.strategy) == (True, (), "claim-whole-block")
    assert found.figure("taken", "native").simulated == (1,)
    assert {figure.recorded for figure in found.part("free")} == {None}
    assert "from the recorded start state" in statistics_text(found)


def test_seeds_are_needed(tmp_path: Path) -> None:
    folder = proc_texts.write(tmp_path / "made", LINES, FREE, PAGEBLOCKS)
    with pytest.raises(UsageError, match="give at least one"):
        statistics_of(read_evidence(folder), seeds=())


def test_tables(found: Statistics) -> None:
    text = statistics_text(found)
    assert "from 2 start states that are made up, seeds 1, 2" in text
    assert "- the start state is made up from pagetypeinfo, seed 1" in text
    titles = [table.title for table in statistics_tables(found)]
    assert titles[:2] == [
        "blocks taken from the free lists",
        "fallbacks by type asked for and type taken",
    ]
    assert len(statistics_renderables(found)) == 1 + len(titles) + len(found.notes)
