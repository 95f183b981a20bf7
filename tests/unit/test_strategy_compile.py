"""The digest of a strategy: all that can change what it does, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.mm.strategy import strategy_digest
from rmqueue.types import Strategy
from rmqueue.zone import Zone
from tests.unit.authors import module_of

STATE = np.dtype([("limit", "i8")])
BASE = """
LIMIT = 3
TABLE = (1, 2)

@jit
def inner(zone, order):
    return order + 1

@jit
def fallback(zone, order, start_mt, flags, batch, st):
    if inner(zone, order) > LIMIT + TABLE[0]:
        return -1
    return rmqueue_steal(zone, order, start_mt)
"""


def digest(
    folder: Path, text: str, state: np.dtype[Any] = STATE, name: str = "author"
) -> str:
    return strategy_digest(module_of(folder, text, name).fallback, state)


def test_the_same_text_has_the_same_digest(tmp_path: Path) -> None:
    assert digest(tmp_path, BASE) == digest(tmp_path, BASE)
    assert digest(tmp_path, BASE) == digest(tmp_path, BASE + "\nUNUSED = 5\n")


CHANGES: dict[str, Callable[[str], str]] = {
    "global": lambda text: text.replace("LIMIT = 3", "LIMIT = 4"),
    "table": lambda text: text.replace("(1, 2)", "(1, 3)"),
    "constant": lambda text: text.replace("return -1", "return -2"),
    "callee": lambda text: text.replace("order + 1", "order + 2"),
    "operator": lambda text: text.replace(" > LIMIT", " >= LIMIT"),
    "brick": lambda text: text.replace(
        "return rmqueue_steal(zone, order, start_mt)",
        "return rmqueue_claim(zone, order, start_mt, flags)",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_another_digest(tmp_path: Path, change: str) -> None:
    assert CHANGES[change](BASE) != BASE
    assert digest(tmp_path, CHANGES[change](BASE)) != digest(tmp_path, BASE)


def test_another_record_is_another_digest(tmp_path: Path) -> None:
    for other in ([("limit", "f8")], [("limt", "i8")], [("limit", "i8"), ("x", "i8")]):
        assert digest(tmp_path, BASE, np.dtype(other)) != digest(tmp_path, BASE)


def test_a_renamed_module_is_another_digest(tmp_path: Path) -> None:
    """Compiled code names its modules: they must be there when it is loaded."""
    assert digest(tmp_path, BASE) != digest(tmp_path, BASE, name="other")


def test_a_renamed_module_is_compiled_anew(tmp_path: Path) -> None:
    for name in ("author_before", "author_after"):
        fallback = module_of(tmp_path, BASE, name).fallback
        zone = Zone(
            ZoneConfig(pages=64, pageblock_order=4), Strategy("m", "", fallback)
        )
        assert zone.alloc() == 0
        del sys.modules[name]


def answer(folder: Path, text: str) -> list[int | None]:
    module = module_of(folder, text)
    zone = Zone(
        ZoneConfig(pages=64, pageblock_order=4, max_page_order=4),
        Strategy("mine", "Mine.", module.fallback),
    )
    return [zone.alloc(order, "unmovable") for order in range(5)]


def test_an_edited_strategy_does_what_it_says_now(tmp_path: Path) -> None:
    """Within one process, with all others still loaded."""
    assert answer(tmp_path, BASE) == [0, 2, 4, 8, None]
    changed = CHANGES["global"](BASE).replace("LIMIT = 4", "LIMIT = 1")
    assert answer(tmp_path, changed) == [0, 2, None, None, None]
    assert answer(tmp_path, BASE) == [0, 2, 4, 8, None]


def test_zones_of_two_strategies_do_not_mix_them_up(tmp_path: Path) -> None:
    """Both are bound before either runs: each zone asks its own."""
    config = ZoneConfig(pages=64, pageblock_order=4)
    texts = [BASE, BASE.replace("LIMIT = 3", "LIMIT = -5")]
    modules = [module_of(tmp_path, text) for text in texts]
    zones = [
        Zone(config, Strategy("mine", "Mine.", module.fallback)) for module in modules
    ]
    assert zones[0].alloc() == 0
    assert zones[1].alloc() is None
    assert zones[0].alloc() == 1
