"""From a zone to figures: none of a zone that an author's strategy has broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.config import ZoneConfig
from rmqueue.errors import StrategyError
from rmqueue.outcomes import state_fields
from rmqueue.zone import Zone
from tests.unit.authors import strategy_of

CONFIG = ZoneConfig(pages=4096, kernel="6.14")
STEAL = "return rmqueue_steal(zone, order, start_mt)"


def used(folder: Path, body: str) -> Zone:
    """A zone in which a strategy was asked once."""
    zone = Zone(CONFIG, strategy_of(folder, body))
    assert zone.alloc(order=0, migratetype="unmovable") is not None
    return zone


def test_an_orderly_zone(tmp_path: Path) -> None:
    fields = state_fields(CONFIG, used(tmp_path, STEAL), (9,))
    assert fields["free_pages"] == 4095


def test_a_zone_in_disorder(tmp_path: Path) -> None:
    zone = used(tmp_path, f"zone.nr_free += 7\n{STEAL}")
    with pytest.raises(StrategyError) as caught:
        state_fields(CONFIG, zone, (9,))
    assert "'mine' has left the zone in disorder" in str(caught.value)
    assert "invariant nr_free is broken: expected 4095" in str(caught.value)
    assert "found 4102" in str(caught.value)
