"""Streams and arguments that no sane caller gives: counted or refused, never run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rmqueue import Zone, ZoneConfig
from rmqueue.errors import UsageError
from rmqueue.ops import (
    ALLOC,
    BULK,
    FREE,
    MOST_SLOTS,
    SET_LRU,
    ZONE_CTL,
    as_ops,
    slots_needed,
)

LAST = (1 << 31) - 1


@pytest.fixture
def zone() -> Zone:
    return Zone(ZoneConfig(pages=2048))


def test_a_negative_count_is_no_huge_one(zone: Zone) -> None:
    """Read as unsigned, it once filled slots with pages that nobody had room for."""
    result = zone.replay([(ALLOC, 256, 99, 0), (BULK, 256, 0, -LAST - 1)])
    assert result.misuse == {"slot": 1}
    assert result.served == 1
    zone.check()


@pytest.mark.parametrize("code", [FREE, SET_LRU])
def test_a_slot_never_filled_takes_no_memory(zone: Zone, code: int) -> None:
    ops = as_ops([(code, 0, LAST, 0)])
    assert slots_needed(ops) == 0
    assert not zone.replay(ops).misuse


def test_slots_have_an_end(zone: Zone) -> None:
    with pytest.raises(UsageError, match=f"fills slot {MOST_SLOTS}: number slots"):
        zone.replay([(ALLOC, 256, MOST_SLOTS, 0)])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((257, 256, 0, 0), "code is 257: it must be from 0 to 255"),
        ((1, 1 << 32, 0, 0), "a is 4294967296"),
        ((1, 0, 1 << 31, 0), "b is 2147483648"),
        ((1, 0, 0, -LAST - 2), "c is -2147483649"),
    ],
)
def test_numbers_that_do_not_fit(row: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        as_ops([(1, 0, 0, 0), row])


def test_a_negative_boost(zone: Zone) -> None:
    assert zone.replay([(ZONE_CTL, 16, -5, 0)]).misuse == {"code": 1}
    assert zone.watermarks["boost"] == 0


def test_a_batch_larger_than_any_zone(zone: Zone) -> None:
    assert len(zone.alloc_bulk(count=1 << 40, migratetype="movable")) == 2048
    assert zone.alloc() is None
    with pytest.raises(UsageError, match="count: cannot be negative"):
        zone.alloc_bulk(count=-1)


@pytest.mark.parametrize(
    "arguments", [{"order": 1.9}, {"cpu": 0.7}, {"migratetype": 1.0}]
)
def test_halves_are_no_numbers(zone: Zone, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a whole number is needed, found"):
        zone.alloc(**arguments)


@pytest.mark.parametrize("pfn", [5.5, None, "5"])
def test_a_pfn_is_a_number(zone: Zone, pfn: Any) -> None:
    with pytest.raises(UsageError, match="pfn: a whole number is needed"):
        zone.free(pfn)


def test_numpy_numbers_are_numbers(zone: Zone) -> None:
    wanted: dict[str, Any] = {"order": np.int64(1), "flags": np.int64(8)}
    pfn = zone.alloc(**wanted)
    assert pfn is not None
    given: list[Any] = [np.int64(pfn), np.int32(1)]
    zone.free(*given)


@pytest.mark.slow
def test_long_lists_are_cut_as_the_kernel_cuts_them() -> None:
    zone = Zone(ZoneConfig(pages=400_000))
    pages = zone.alloc_bulk(count=399_000, migratetype="movable")
    for chunk in (pages[:1], pages[1::2]):
        slots = np.arange(len(chunk))
        rows = np.column_stack([np.full(len(chunk), FREE), slots, slots, slots])
        zone._slots = (chunk - zone._base).astype(np.uint32)
        zone.replay(rows * [1, 0, 1, 0])
    line = next(ln for ln in zone.pagetypeinfo().splitlines() if "Movable" in ln)
    assert "type      Movable >100000 " in line


def test_pageblocks_are_counted_from_the_first_page() -> None:
    """The kernel steps by a pageblock from wherever the zone begins."""
    zone = Zone(ZoneConfig(start_pfn=511, pages=514))
    last = zone.pagetypeinfo().splitlines()[-1]
    assert sum(map(int, last.split("Normal")[1].split())) == 2
    assert len(zone.pageblock_types()) == 3
