"""Changes to free lists that no request makes: each leaves the zone whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rmqueue.mm import surgery
from rmqueue.mm.follow import TAKE
from rmqueue.mm.mmzone import MOVABLE, RECLAIMABLE, UNMOVABLE
from rmqueue.registry import default_registry
from rmqueue.trace.predict import Prediction
from rmqueue.trace.twin import TwinZone
from rmqueue.types import ZoneState
from rmqueue.validate import find_evidence
from rmqueue.zone import Zone
from tests.unit.closed_loop import Machine
from tests.unit.zones import lists, zone_of

START = 1024


def change(zone: Zone, what: int, pfn: int, x: int = 0, y: int = 0) -> None:
    """Do a change; pages that leave the lists are neither free nor in use then."""
    free = zone.nr_free
    surgery.change(zone.address, 0, what, pfn - zone._base, x, y)
    zone._record["unaccounted"] += free - zone.nr_free
    zone.check()


def looked(zone: Zone, what: int, x: int, y: int = 0) -> int:
    return int(surgery.look(zone.address, what, x, y))


@pytest.fixture
def zone() -> Zone:
    """Three blocks of order 10, all movable, from pfn 1024 on."""
    return zone_of(3072, start_pfn=START)


def test_carve_puts_the_other_halves_first_on_the_same_lists(zone: Zone) -> None:
    free = zone.nr_free
    change(zone, surgery.CARVE, START + 1024 + 37, 0)
    first = START + 1024
    # of each half without the page the larger is cut off first
    assert lists(zone, "movable") == {
        0: [first + 36],
        1: [first + 38],
        2: [first + 32],
        3: [first + 40],
        4: [first + 48],
        5: [first],
        6: [first + 64],
        7: [first + 128],
        8: [first + 256],
        9: [first + 512],
        10: [START, START + 2048],
    }
    assert zone.nr_free == free - 1


def test_carve_takes_what_is_free_of_a_range(zone: Zone) -> None:
    for page in range(16):
        assert zone.alloc(0, "movable") == START + page
    for page in (1, 2, 7):
        zone.free(START + page)
    before, free = lists(zone, "movable"), zone.nr_free
    change(zone, surgery.CARVE, START, 3)
    assert zone.nr_free == free - 3
    assert lists(zone, "movable") == {k: v for k, v in before.items() if k > 0}


def test_give_undoes_carve(zone: Zone) -> None:
    before = lists(zone, "movable")
    change(zone, surgery.CARVE, START + 3, 0)
    change(zone, surgery.GIVE, START + 3, 0, -1)
    assert {k: sorted(v) for k, v in lists(zone, "movable").items()} == before


def test_give_twice_frees_once(zone: Zone) -> None:
    before, free = lists(zone, "movable"), zone.nr_free
    change(zone, surgery.GIVE, START + 8, 2, -1)
    assert zone.nr_free == free
    assert {k: sorted(v) for k, v in lists(zone, "movable").items()} == before


@pytest.mark.parametrize(("kernel", "second"), [("6.1", MOVABLE), ("6.9", UNMOVABLE)])
def test_give_to_another_type_than_the_pageblocks(kernel: str, second: int) -> None:
    zone = zone_of(3072, "greedy-steal", start_pfn=START, kernel=kernel)
    change(zone, surgery.CARVE, START, 0)
    change(zone, surgery.GIVE, START, 0, UNMOVABLE)
    # it merges with what is on other lists, and with a pageblock of another type
    assert zone.pageblock_types().tolist() == [MOVABLE, second, *[MOVABLE] * 4]
    assert lists(zone, "unmovable") == {10: [START]}


def test_rotate_turns_a_list(zone: Zone) -> None:
    change(zone, surgery.ROTATE, START + 2048)
    assert zone.free_list(10, 1).tolist() == [START + 2048, START, START + 1024]
    change(zone, surgery.ROTATE, START + 2048)
    assert zone.free_list(10, 1).tolist() == [START + 2048, START, START + 1024]


@pytest.mark.parametrize("convert", [0, 1])
def test_take_over_of_a_large_block_sets_all_types(zone: Zone, convert: int) -> None:
    change(zone, surgery.TAKE_OVER, START + 1024, RECLAIMABLE, convert)
    assert lists(zone, "reclaimable") == {10: [START + 1024]}
    assert zone.pageblock_types().tolist() == [1, 1, 2, 2, 1, 1]


def broken_up(kernel: str, strategy: str) -> Zone:
    """The first pageblock has free blocks of orders 0 (at 1) and 4 to 8."""
    zone = zone_of(3072, strategy, start_pfn=START, kernel=kernel)
    for _ in range(16):
        zone.alloc(0, "movable")
    zone.free(START + 1)
    return zone


def test_take_over_with_its_pageblock(zone: Zone) -> None:
    zone = broken_up("6.14", "remembered-fallback")
    change(zone, surgery.TAKE_OVER, START + 32, UNMOVABLE, 1)
    orders = (0, 4, 5, 6, 7, 8)
    assert tuple(lists(zone, "unmovable")) == orders
    assert zone.pageblock_types()[0] == UNMOVABLE


def test_take_over_without_its_type() -> None:
    # unmovable requests pull all free blocks over, movable ones small blocks alone
    zone = broken_up("6.9", "greedy-steal")
    change(zone, surgery.TAKE_OVER, START + 1, UNMOVABLE, 0)
    assert tuple(lists(zone, "unmovable")) == (0, 4, 5, 6, 7, 8)
    assert zone.pageblock_types()[0] == MOVABLE
    change(zone, surgery.TAKE_OVER, START + 1, MOVABLE, 0)
    assert tuple(lists(zone, "unmovable")) == (4, 5, 6, 7, 8)
    change(zone, surgery.TAKE_OVER, START + 16, MOVABLE, 0)
    assert lists(zone, "unmovable") == {}


@pytest.mark.parametrize("move", [0, 1])
def test_isolate_makes_large_blocks_movable(move: int) -> None:
    kernel, strategy = ("6.14", "tight-fallback") if move else ("6.9", "greedy-steal")
    zone = zone_of(3072, strategy, start_pfn=START, kernel=kernel)
    for _ in range(16):
        zone.alloc(0, "unmovable")
    assert zone.pageblock_types()[0] == UNMOVABLE
    free = zone.nr_free
    change(zone, surgery.ISOLATE, START + 32, MOVABLE, move)
    assert (zone.nr_free, zone.pageblock_types()[0]) == (free - 32, UNMOVABLE)
    change(zone, surgery.ISOLATE, START + 256, MOVABLE, move)
    assert (zone.nr_free, zone.pageblock_types()[0]) == (free - 288, MOVABLE)
    left = {4: [START + 16], 6: [START + 64], 7: [START + 128]}
    if move:
        assert lists(zone, "movable").items() >= left.items()
    else:
        assert lists(zone, "unmovable").items() >= left.items()


def test_isolate_of_several_pageblocks() -> None:
    zone = zone_of(3072, start_pfn=START)
    change(zone, surgery.TAKE_OVER, START, UNMOVABLE, 1)
    change(zone, surgery.ISOLATE, START, MOVABLE, 1)
    assert zone.pageblock_types().tolist() == [MOVABLE] * 6
    assert lists(zone, "unmovable") == {}


def test_look(zone: Zone) -> None:
    change(zone, surgery.CARVE, START + 37, 0)
    assert looked(zone, surgery.BLOCK, 37) == -1
    assert looked(zone, surgery.BLOCK, 47) == 64 * 40 + 3
    assert looked(zone, surgery.BLOCK, 1024 + 700) == 64 * 1024 + 10
    assert looked(zone, surgery.LIST, 2048) == MOVABLE
    assert looked(zone, surgery.FIRST, 5, MOVABLE) == 0
    assert looked(zone, surgery.FIRST, 10, MOVABLE) == 1024
    assert looked(zone, surgery.FIRST, 10, UNMOVABLE) == -1


# The twin ----------------------------------------------------------------------------


def state() -> ZoneState:
    """Four blocks of order 10; one movable page of the last is on an LRU list."""
    return ZoneState(
        name="Normal",
        start_pfn=START,
        pages=4096,
        managed=4096,
        kernel="6.14",
        cpus=1,
        pageblock_order=9,
        max_page_order=10,
        watermarks=(60, 75, 90),
        boost=0,
        nr_reserved_high=0,
        pageblock_types=np.array([1, 1, 1, 1, 0, 0, 1, 1], np.uint8),
        free_lists={
            (10, 1): np.array([START + 1024, START]),
            (10, 0): np.array([START + 2048]),
        },
        blocks=np.empty((0, 2), np.int64),
        lru=np.array([START + 3072]),
        pcps=(),
    )


def everything(twin: TwinZone) -> list[dict[str, bytes]]:
    """All bytes of both zones, less the addresses of their arrays."""
    found = []
    for zone, bound in zip(twin._zones, twin._strategies, strict=True):
        names = zone.record.dtype.names or ()
        fields = names[names.index("base") :]
        found.append(
            {
                **{name: zone.record[name].tobytes() for name in fields},
                **{
                    name: getattr(zone, name).tobytes()
                    for name in ("links", "meta", "words", "scans")
                },
                "state": bound.state.tobytes(),
            }
        )
    return found


@pytest.fixture
def twin() -> TwinZone:
    return TwinZone(state(), "remembered-fallback", "6.14")


ATTEMPTS: dict[str, Callable[[TwinZone], None]] = {
    "carve": lambda twin: twin.attempt(surgery.CARVE, START + 77, 1),
    "give": lambda twin: twin.attempt(surgery.GIVE, START + 3072, 3, -1),
    "rotate": lambda twin: twin.attempt(surgery.ROTATE, START),
    "take over": lambda twin: twin.attempt(surgery.TAKE_OVER, START, RECLAIMABLE, 1),
    "isolate": lambda twin: twin.attempt(surgery.ISOLATE, START + 2048, MOVABLE, 1),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=list(ATTEMPTS))
def test_undo_restores_every_byte(
    twin: TwinZone, attempt: Callable[[TwinZone], None]
) -> None:
    before = everything(twin)
    assert before[0] == before[1]
    attempt(twin)
    tried = everything(twin)
    assert (tried[0] != before[0], tried[1]) == (True, before[1])
    twin.undo()
    assert everything(twin) == before


def test_undo_of_a_request(tmp_path: Path) -> None:
    _, take = Machine("6.12.117").worked(5)
    take.write(tmp_path)
    evidence = find_evidence(str(tmp_path), default_registry())
    prediction = Prediction(evidence, "remembered-fallback", "6.14")
    steps = prediction.steps["what"]
    (twin,) = prediction.zones
    before = everything(twin)
    for at in np.flatnonzero(steps <= TAKE)[:20].tolist():
        prediction._record["position"] = at
        assert prediction._ask(0, False).pfn >= START
        assert everything(twin)[0] != before[0]
        twin.undo()
        assert everything(twin) == before


def test_what_a_twin_shows(twin: TwinZone) -> None:
    assert twin.free_block(START + 1500) == (START + 1024, 10)
    assert twin.free_block(START + 3072) is None
    assert twin.list_of(START + 2048) == UNMOVABLE
    assert twin.pageblock_type(START + 2048 + 511) == UNMOVABLE
    assert twin.pageblock_types().tolist() == [1, 1, 1, 1, 0, 0, 1, 1]
    assert twin.free_lists() == {
        (10, 0): [START + 2048],
        (10, 1): [START + 1024, START],
    }
    twin.change(surgery.ROTATE, START)
    assert twin.free_list(10, 1) == [START, START + 1024]
