"""What cannot be asked of a zone: a typed error, the true state, a zone as before."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from rmqueue.errors import (
    AllocatorError,
    DoubleFreeError,
    InvariantError,
    NotAllocatedError,
    OrderError,
    PfnError,
    RmqueueError,
    UnknownNameError,
    UsageError,
)
from rmqueue.ops import (
    ALLOC,
    BULK,
    FREE,
    PCP_ALLOC,
    PCP_DECAY,
    PCP_DRAIN,
    PCP_FREE,
    SET_LRU,
    SPLIT,
    UNRESERVE,
    ZONE_CTL,
    request,
)
from rmqueue.zone import Zone
from tests.unit.zones import hashes, zone_of

BASE = 4096


@pytest.fixture
def zone() -> Zone:
    """Order 0 at BASE, order 3 at BASE + 8, a page on a CPU, a reserved range."""
    zone = zone_of(2048, cpus=2, start_pfn=BASE, reserved=((BASE + 1024, BASE + 2048),))
    assert zone.alloc(0, "movable") == BASE
    assert zone.alloc(3, "movable") == BASE + 8
    assert zone.alloc(0, "movable") == BASE + 1
    zone.free(BASE + 1, cpu=1)
    return zone


FREES = {
    "double free": (BASE + 16, 0, DoubleFreeError, "is free already: in the block of"),
    "inside a free block": (
        *(BASE + 700, 0, DoubleFreeError),
        f"pfn {BASE + 700} is free already: in the block of order 9 at pfn",
    ),
    "on a CPU": (
        *(BASE + 1, 0, DoubleFreeError),
        f"pfn {BASE + 1} is free already: on a per-CPU list, in the block of order 0",
    ),
    "below": (BASE - 1, 0, PfnError, f"outside the zone, which has [{BASE}, 6144)"),
    "behind": (BASE + 2048, 0, PfnError, f"pfn {BASE + 2048} is outside the zone"),
    "far": (1 << 60, 0, PfnError, "outside the zone"),
    "negative": (-1, 0, PfnError, "pfn -1 is outside the zone"),
    "reserved": (BASE + 1555, 0, NotAllocatedError, "was never given to a caller"),
    "too small": (BASE + 8, 0, OrderError, "was given with order 3, not 0"),
    "too large": (BASE, 3, OrderError, "was given with order 0, not 3"),
    "inside": (
        *(BASE + 11, 0, NotAllocatedError),
        f"pfn {BASE + 11} is in use, inside the block of order 3 at pfn {BASE + 8}",
    ),
    "no such order": (
        BASE,
        11,
        OrderError,
        "order 11 does not exist: the zone has 0 to",
    ),
    "negative order": (BASE, -1, OrderError, "order -1 does not exist"),
}


@pytest.mark.parametrize("case", FREES)
@pytest.mark.parametrize("cpu", [None, 0])
def test_free_of_what_nobody_holds(zone: Zone, case: str, cpu: int | None) -> None:
    pfn, order, kind, words = FREES[case]
    before = hashes(zone), zone.counters
    with pytest.raises(kind) as caught:
        zone.free(pfn, order, cpu=cpu)
    assert words in str(caught.value)
    assert caught.value.exit_status == 6
    if "order" not in case:
        assert isinstance(caught.value, AllocatorError)
        assert caught.value.pfn == pfn
    assert (hashes(zone), zone.counters) == before
    zone.check()


def test_free_twice(zone: Zone) -> None:
    zone.free(BASE)
    before = hashes(zone)
    with pytest.raises(DoubleFreeError, match=f"pfn {BASE} is free already"):
        zone.free(BASE)
    assert hashes(zone) == before
    zone.free(BASE + 8, 3)
    with pytest.raises(DoubleFreeError):
        zone.free(BASE + 8, 3)
    zone.check()


ASKS: dict[str, tuple[Callable[[Zone], object], type[RmqueueError], str]] = {
    "type": (
        *(lambda z: z.alloc(0, "moveable"), UnknownNameError),
        "no migratetype is called 'moveable': did you mean 'movable'",
    ),
    "no type to ask for": (
        *(lambda z: z.alloc(0, "highatomic"), UnknownNameError),
        "no migratetype is called 'highatomic'",
    ),
    "type index": (lambda z: z.alloc(0, 3), UsageError, "found 3"),
    "negative type": (lambda z: z.alloc(0, -1), UsageError, "found -1"),
    "flag": (
        *(lambda z: z.alloc(flags=("nofrag",)), UnknownNameError),
        "no allocation flag is called 'nofrag'",
    ),
    "flag bits": (lambda z: z.alloc(flags=256), UsageError, "0 to 255, found 256"),
    "cpu": (lambda z: z.alloc(cpu=2), UsageError, "cpu 2 does not exist: the zone"),
    "negative cpu": (lambda z: z.alloc(cpu=-1), UsageError, "cpu -1 does not exist"),
    "free on a cpu": (
        lambda z: z.free(BASE, cpu=7),
        UsageError,
        "cpu 7 does not",
    ),
    "order": (lambda z: z.alloc(11), OrderError, "order 11 does not exist"),
    "negative order": (lambda z: z.alloc(-1), OrderError, "order -1 does not exist"),
    "batch order": (lambda z: z.alloc_bulk(11, 2), OrderError, "order 11 does not"),
    "batch type": (lambda z: z.alloc_bulk(0, 2, "x"), UnknownNameError, "choose from"),
    "list order": (lambda z: z.free_list(11, 0), OrderError, "order 11 does not exist"),
    "list type": (lambda z: z.free_list(0, "cma"), UnknownNameError, "'cma'"),
    "cpu of pcp": (lambda z: z.pcp(2), UsageError, "cpu 2 does not exist"),
    "cpu of a list": (lambda z: z.pcp_list(-1, 0), UsageError, "cpu -1"),
}


@pytest.mark.parametrize("case", ASKS)
def test_impossible_requests(zone: Zone, case: str) -> None:
    ask, kind, words = ASKS[case]
    before = hashes(zone), zone.counters
    with pytest.raises(kind) as caught:
        ask(zone)
    assert words in str(caught.value)
    assert (hashes(zone), zone.counters) == before
    zone.check()


def test_a_batch_of_a_negative_number_is_refused(zone: Zone) -> None:
    before = zone.nr_free
    with pytest.raises(UsageError, match="count: cannot be negative"):
        zone.alloc_bulk(0, -5)
    assert zone.nr_free == before
    zone.check()


MISUSE = {
    "code": [(13, 0, 0, 0), (255, 0, 0, 0), (ZONE_CTL, 17, 1, 0)],
    "order": [
        (ALLOC, request(11, 0), 5, 0),
        (PCP_ALLOC, request(200, 0), 5, 0),
        (BULK, request(11, 1), 5, 2),
        (SPLIT, 4, 1, 5),
    ],
    "migratetype": [
        (ALLOC, request(0, 3), 5, 0),
        (PCP_ALLOC, request(0, 4), 5, 0),
        (BULK, request(0, 7), 5, 2),
        (UNRESERVE, 3, 1, 0),
    ],
    "slot": [(ALLOC, 0, -1, 0), (FREE, 0, -1, 0), (SET_LRU, 0, -7, 1)],
    "cpu": [
        (PCP_ALLOC, 0, 5, 2),
        (PCP_FREE, 0, 0, 2),
        (PCP_DRAIN, 0, 0, 2),
        (PCP_DECAY, 0, 0, -1),
    ],
}


@pytest.mark.parametrize("kind", MISUSE)
def test_the_same_in_a_replay_is_counted(kind: str) -> None:
    zone = zone_of(2048, cpus=2)
    zone.replay([(ALLOC, request(0, 1), 0, 0), (ALLOC, request(3, 1), 1, 0)])
    before = hashes(zone)
    for op in MISUSE[kind]:
        result = zone.replay([(0, 0, 0, 0), op])
        assert result.misuse == {kind: 1}, op
        assert result.first_misuse == 1
        assert result.served == 0
        assert hashes(zone) == before
        zone.check()
    whole = zone.replay(MISUSE[kind])
    assert whole.misuse == {kind: len(MISUSE[kind])}
    assert whole.first_misuse == 0
    assert whole.ops == len(MISUSE[kind])
    assert all(value in (-1, 0) for value in whole.res.tolist())


def test_a_block_freed_behind_a_slots_back_is_misuse() -> None:
    """A slot that names a page which `free` took back: nothing happens to the page."""
    zone = zone_of()
    pfn = int(zone.replay([(ALLOC, request(0, 1), 0, 0)]).res[0])
    zone.free(pfn)
    before = hashes(zone)
    for op in ((FREE, 0, 0, 0), (PCP_FREE, 0, 0, 0), (SET_LRU, 0, 0, 1)):
        assert zone.replay([op]).misuse == {"not_in_use": 1}
        assert hashes(zone) == before
    assert zone.replay([(SPLIT, 0, 0, 1)]).misuse == {"not_in_use": 1}
    zone.check()


def test_an_occupied_slot_is_misuse_and_the_new_page_wins() -> None:
    zone = zone_of()
    ask = (ALLOC, request(0, 1), 0, 0)
    result = zone.replay([ask, ask, (FREE, 0, 0, 0)])
    assert result.misuse == {"occupied": 1}
    assert result.first_misuse == 1
    assert zone.nr_free == zone.managed - 1
    zone.check()


def test_an_empty_slot_is_no_misuse() -> None:
    zone = zone_of()
    ops = [(FREE, 0, 3, 0), (PCP_FREE, 0, 3, 0), (SET_LRU, 0, 3, 1), (SPLIT, 0, 3, 3)]
    assert zone.replay(ops).misuse == {}
    assert zone.nr_free == zone.managed


@pytest.mark.parametrize(
    "error",
    [
        PfnError("far away", 7),
        UnknownNameError("strategy", "x", ("y", "z")),
        InvariantError("nr_free", None, 3, 1, 2),
        DoubleFreeError("twice"),
    ],
)
def test_errors_survive_a_pickle(error: RmqueueError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_kind_of_error_has_its_exit_status() -> None:
    def below(kind: type[RmqueueError]) -> set[type[RmqueueError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    statuses = {kind.__name__: kind.exit_status for kind in below(RmqueueError)}
    assert statuses.pop("RmqueueError") == 1
    assert {statuses[n] for n in ("UsageError", "ConfigError", "UnknownNameError")} == {
        2
    }
    assert statuses["PluginError"] == statuses["StrategyError"] == 3
    assert statuses["TraceError"] == 4
    assert statuses["InvariantError"] == 5
    assert statuses["PfnError"] == statuses["OrderError"] == 6
    # what runs another command leaves with the statuses that env and timeout have
    assert statuses.pop("RecordError") == 125
    assert statuses.pop("CommandNotFoundError") == 127
    assert all(1 <= status < 64 for status in statuses.values())
