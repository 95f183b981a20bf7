"""Strategies that decide how many blocks a per-CPU list is refilled with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import create_model

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.errors import PluginError, StrategyError
from rmqueue.ops import PCP_ALLOC
from rmqueue.types import Strategy
from rmqueue.zone import Zone
from tests.unit.authors import module_of
from tests.unit.zones import hashes

REFILL = """
@jit
def fallback(zone, order, start_mt, flags, batch, st):
    st.fallbacks += 1
    st.seen_by_fallback = st.refills
    return rmqueue_steal(zone, order, start_mt)

@jit
def refill(zone, cpu, order, start_mt, wanted, st):
    st.refills += 1
    st.cpu, st.order, st.start_mt, st.wanted = cpu, order, start_mt, wanted
    st.seen_by_refill = st.fallbacks
    return st.answer + st.kept * wanted
"""
STATE = tuple(
    (name, "i8")
    for name in (
        *("fallbacks", "refills", "seen_by_fallback", "seen_by_refill"),
        *("cpu", "order", "start_mt", "wanted"),
    )
)


Make = Callable[..., Strategy]


@pytest.fixture(scope="module")
def refilling(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Strategies that take some blocks, and as many as the kernel `kept` times."""
    module = module_of(tmp_path_factory.mktemp("refill"), REFILL)

    def make(answer: int = 5, kept: int = 0, hook: bool = True) -> Strategy:
        return Strategy(
            name="mine",
            summary="Mine.",
            fallback=module.fallback,
            refill=module.refill if hook else None,
            parameters=create_model("Model", answer=(int, answer), kept=(int, kept)),
            state=STATE,
        )

    return make


def zone_with(strategy: str | Strategy | StrategyConfig) -> Zone:
    return Zone(ZoneConfig(pages=16_384, cpus=3, kernel="7.3"), strategy)


def asked(zone: Zone) -> dict[str, int]:
    record = zone._bound.state[0]
    return {name: int(record[name]) for name, _ in STATE}


@pytest.mark.parametrize(
    ("cpu", "order", "migratetype", "number"),
    [(0, 0, "unmovable", 0), (2, 0, "movable", 1), (1, 2, "reclaimable", 2)],
)
def test_it_is_told_who_asks_for_what(
    refilling: Make, cpu: int, order: int, migratetype: str, number: int
) -> None:
    zone, plain = zone_with(refilling()), zone_with("none")
    zone.alloc(order, migratetype, cpu=cpu)
    told = asked(zone)
    assert (told["cpu"], told["order"], told["start_mt"]) == (cpu, order, number)
    assert told["refills"] == 1
    # what the kernel would take: nobody else has changed its mind
    plain.alloc(order, "movable", cpu=cpu)
    assert told["wanted"] == (plain.pcp(cpu)["count"] >> order) + 1


@pytest.mark.parametrize(
    ("answer", "taken"),
    [((5, 0), 5), ((1, 0), 1), ((0, 0), 1), ((-7, 0), 1), ((40, 1), -1)],
)
def test_its_number_is_taken(
    refilling: Make, answer: tuple[int, int], taken: int
) -> None:
    zone = zone_with(refilling(*answer))
    zone.alloc(0, "movable", cpu=1)
    wanted = asked(zone)["wanted"]
    assert wanted > 1
    count = zone.pcp(1)["count"]
    assert count + 1 == (taken if taken > 0 else wanted + 40)
    assert len(zone.pcp_list(1, 1)) == count
    assert zone.nr_free == 16_384 - count - 1
    assert zone.counters["bulk"] == 1
    zone.check()


def test_no_more_is_taken_than_there_is(refilling: Make) -> None:
    zone = zone_with(refilling(1 << 60))
    assert zone.alloc(0, "movable", cpu=0) is not None
    assert zone.nr_free == 0
    assert zone.pcp(0)["count"] == 16_383
    zone.check()


def test_an_empty_list_alone_asks(refilling: Make) -> None:
    zone = zone_with(refilling(4))
    for count in range(1, 13):
        zone.alloc(0, "movable", cpu=0)
        assert asked(zone)["refills"] == -(-count // 4)
    zone.alloc(0, "movable")  # straight from the free lists
    assert asked(zone)["refills"] == 3


def test_both_functions_share_the_state(refilling: Make) -> None:
    zone = zone_with(refilling(3))
    zone.alloc(0, "unmovable", cpu=0)  # of a type that has no page: falls back
    told = asked(zone)
    assert told["refills"] == 1
    assert told["fallbacks"] == 3
    assert told["seen_by_fallback"] == 1
    assert told["seen_by_refill"] == 0
    zone.alloc(0, "unmovable", cpu=1)
    assert asked(zone)["seen_by_refill"] == 3


def stream() -> list[tuple[int, int, int, int]]:
    return [(PCP_ALLOC, 256 * (i % 3), i, i % 2) for i in range(3000)]


def test_a_strategy_without_it_is_unchanged(refilling: Make) -> None:
    """One that takes what the kernel wants is the kernel."""
    zones = [zone_with(refilling(hook=False)), zone_with(refilling(0, kept=1))]
    for zone in zones:
        zone.replay(stream())
    assert hashes(zones[0]) == hashes(zones[1])
    assert zones[0].counters == zones[1].counters
    assert asked(zones[0])["refills"] == 0
    assert asked(zones[1])["refills"] > 0
    assert asked(zones[0])["fallbacks"] == asked(zones[1])["fallbacks"] > 0


MISTAKES: dict[str, tuple[str, str]] = {
    "parameters": (
        "@jit\ndef refill(zone, order, wanted):\n    return wanted\n",
        "refill() takes 3 parameters: it is called with 6, zone, cpu, order, start_mt, "
        "wanted, st",
    ),
    "field": (
        "@jit\ndef refill(zone, cpu, order, start_mt, wanted, st):\n"
        "    return st.cap\n",
        "st has no field 'cap'",
    ),
    "nothing": (
        "@jit\ndef refill(zone, cpu, order, start_mt, wanted, st):\n"
        "    if order > 1:\n        return wanted\n",
        "refill() can end here without a return",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_in_it_are_named(tmp_path: Path, refilling: Make, case: str) -> None:
    text, words = MISTAKES[case]
    refill: Any = module_of(tmp_path, text).refill
    strategy = replace(refilling(), refill=refill)
    with pytest.raises(PluginError) as caught:
        zone_with(strategy)
    message = str(caught.value)
    assert message.startswith(f"strategy 'mine': {tmp_path}")
    assert words in message
    assert caught.value.exit_status == 3


def test_it_may_take_nothing(tmp_path: Path, refilling: Make) -> None:
    text = (
        "@jit\ndef refill(zone, cpu, order, start_mt, wanted, st):\n"
        "    rmqueue_steal(zone, order, start_mt)\n    return wanted\n"
    )
    zone = zone_with(replace(refilling(), refill=module_of(tmp_path, text).refill))
    with pytest.raises(StrategyError, match="where it only says how many to take"):
        zone.alloc(0, "unmovable", cpu=0)


@pytest.mark.parametrize("name", ["capped-claim", "capped-steal"])
@pytest.mark.parametrize("batches", [1, 3])
def test_the_capped_strategies_cap(name: str, batches: int) -> None:
    zone = Zone(
        ZoneConfig(pages=65_536, cpus=1),
        StrategyConfig(name=name, params={"batches": batches}),
    )
    plain = Zone(ZoneConfig(pages=65_536, cpus=1), "claim-whole-block")
    batch = zone.pcp(0)["batch"]
    most = {"movable": 0, "unmovable": 0, "reclaimable": 0}
    for _ in range(4):  # the kernel asks for ever more
        for migratetype in most:
            for one in (zone, plain):
                before = one.nr_free
                while one.nr_free == before:
                    one.alloc(0, migratetype, cpu=0)
                if one is zone:
                    most[migratetype] = max(most[migratetype], before - one.nr_free)
    assert most["movable"] > 3 * batch
    assert most["unmovable"] == most["reclaimable"] == batches * batch
    assert plain.nr_free < zone.nr_free
