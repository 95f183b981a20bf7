"""From a zone to figures: none of a zone that an author's strategy has broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.config import ZoneConfig
from rmqueue.errors import StrategyError
from rmqueue.experiment import Experiment
from rmqueue.outcomes import refuse_disorder
from rmqueue.registry import Registry
from rmqueue.zone import Zone
from tests.unit.authors import strategy_of
from tests.unit.experiments import small_file

CONFIG = ZoneConfig(pages=4096, kernel="6.14")
STEAL = "return rmqueue_steal(zone, order, start_mt)"


def used(folder: Path, body: str) -> Zone:
    """A zone in which a strategy was asked once."""
    zone = Zone(CONFIG, strategy_of(folder, body))
    assert zone.alloc(order=0, migratetype="unmovable") is not None
    return zone


def test_an_orderly_zone(tmp_path: Path) -> None:
    refuse_disorder(used(tmp_path, STEAL))


def test_a_zone_in_disorder(tmp_path: Path) -> None:
    zone = used(tmp_path, f"zone.nr_free += 7\n{STEAL}")
    with pytest.raises(StrategyError) as caught:
        refuse_disorder(zone)
    assert "'mine' has left the zone in disorder" in str(caught.value)
    assert "invariant nr_free is broken: expected 4095" in str(caught.value)
    assert "found 4102" in str(caught.value)


PLUGIN = """\
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import rmqueue_steal
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    zone.nr_free += 7
    return rmqueue_steal(zone, order, start_mt)


@hookimpl
def rmqueue_strategies():
    return [Strategy("careless", "Counts pages that are not there.", fallback)]
"""


def test_an_experiment_ends_without_figures(
    tmp_path: Path, own_registry: Registry
) -> None:
    path = tmp_path / "careless.py"
    path.write_text(PLUGIN)
    own_registry.add_file(path)
    experiment = Experiment.load(small_file(tmp_path), strategies=("careless",))
    with pytest.raises(StrategyError, match="'careless' has left the zone in disorder"):
        experiment.compare()
