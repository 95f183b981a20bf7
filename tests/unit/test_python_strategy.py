"""Strategies that stay Python: the same pages and counters, and a debugger stops."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import rmqueue as rq
from rmqueue.binding import BoundStrategy
from rmqueue.errors import PluginError, StrategyError
from rmqueue.mm.direct import PythonFallback, PythonStrategy
from rmqueue.mm.jit import ENABLED, is_compiled, python_function
from rmqueue.registry import default_registry
from rmqueue.simulation import Simulation
from rmqueue.testing.checklist import SKIPPED, Subject, perform
from rmqueue.testing.golden import replay_ops
from rmqueue.testing.strategy_checks import STRATEGY_CHECKS
from rmqueue.testing.trials import trials
from rmqueue.types import Strategy
from rmqueue_plugins.imx7d_dd import IMX7D_DD, DdParameters
from tests.unit.authors import module_of
from tests.unit.steps import NOTHING

IMPORT = "from rmqueue import strategy\n"
CONFIG = rq.ZoneConfig(pages=2048, kernel="7.3")


def python_twin(strategy: Strategy) -> Strategy:
    """The same strategy, not compiled."""
    refill = strategy.refill
    return replace(
        strategy,
        fallback=rq.strategy(jit=False)(python_function(strategy.fallback)),
        refill=None if refill is None else PythonStrategy(python_function(refill)),
    )


def author(folder: Path, body: str, mark: str = "@strategy(jit=False)") -> ModuleType:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = f"{mark}\ndef fallback(zone, order, start_mt, flags, batch, st):\n"
    return module_of(folder, f"{IMPORT}\n\n{head}{lines}")


def mine(folder: Path, body: str, **fields: Any) -> Strategy:
    return Strategy("mine", "Mine.", author(folder, body).fallback, **fields)


@pytest.mark.parametrize(
    "name", ["remembered-fallback", "fullest-claim", "chunked-refill"]
)
def test_pages_and_counters_are_those_of_compiled_code(name: str) -> None:
    compiled = default_registry().strategy(name)
    for trial in list(trials("7.3"))[:3]:
        runs = [
            replay_ops(rq.Zone(trial.config, strategy), trial.ops)
            for strategy in (compiled, python_twin(compiled))
        ]
        assert runs[0].keys() == runs[1].keys()
        for key, values in runs[0].items():
            assert np.array_equal(values, runs[1][key]), key


@pytest.mark.skipif(not ENABLED, reason="nothing is compiled")
def test_nothing_is_compiled_for_it(tmp_path: Path) -> None:
    bound = BoundStrategy(mine(tmp_path, "return -1"), "7.3")
    assert isinstance(bound.fallback, PythonFallback)


def test_the_decorator_can_also_compile(tmp_path: Path) -> None:
    for mark in ("@strategy", "@strategy()", "@strategy(jit=True)"):
        module = author(tmp_path, "return rmqueue_steal(zone, order, start_mt)", mark)
        assert not isinstance(module.fallback, PythonStrategy)
        assert is_compiled(module.fallback)
        zone = rq.Zone(CONFIG, Strategy("mine", "Mine.", module.fallback))
        assert zone.alloc() is not None


def test_it_may_do_what_python_does(tmp_path: Path) -> None:
    body = (
        "seen.append((order, start_mt, zone.nr_free, batch.mode, st.calls))\n"
        "st.calls += 1\n"
        "words = {'pfn': rmqueue_claim(zone, order, start_mt, flags)}\n"
        "return words['pfn']"
    )
    strategy = mine(tmp_path, body, state=(("calls", "i8"),))
    seen: list[tuple[int, ...]] = []
    python_function(strategy.fallback).__globals__["seen"] = seen
    zone = rq.Zone(CONFIG, strategy)
    zone.alloc(0, "movable")
    assert zone.alloc(2, "unmovable") is not None
    assert zone.alloc(2, "reclaimable") is not None
    assert seen == [(2, 0, 2047, 0, 0), (2, 2, 2043, 0, 1)]
    zone.check()


def test_its_helpers_may_be_compiled_or_not(tmp_path: Path) -> None:
    text = (
        f"{IMPORT}from rmqueue.mm.mmzone import MOVABLE\n\n\n"
        "@jit\ndef compiled(zone, scale, flag):\n"
        "    return zone.nr_free * scale if flag else 0.5\n\n\n"
        "def plain(zone):\n    one = compiled(zone, 2, True)\n"
        "    return one + compiled(zone, 2, False)"
        "\n\n\n@strategy(jit=False)\n"
        "def fallback(zone, order, start_mt, flags, batch, st):\n"
        "    st.seen = plain(zone)\n    return -1\n"
    )
    module = module_of(tmp_path, text)
    strategy = Strategy("mine", "Mine.", module.fallback, state=(("seen", "f8"),))
    zone = rq.Zone(CONFIG, strategy)
    assert zone.alloc(0, "unmovable") is None
    assert float(zone._bound.state["seen"][0]) == 2048 * 2 + 0.5


def test_breakpoint_stops_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[dict[str, Any]] = []

    def stop() -> None:
        frame = sys._getframe(1)
        stops.append({"line": frame.f_lineno, "order": frame.f_locals["order"]})

    monkeypatch.setattr(sys, "breakpointhook", stop)
    zone = rq.Zone(CONFIG, mine(tmp_path, "breakpoint()\nreturn -1"))
    assert zone.alloc(3, "unmovable") is None
    assert [stop["order"] for stop in stops] == [3]


def test_simulated_machines_ask_it_too() -> None:
    config = rq.ZoneConfig(pages=2048, cpus=2, max_page_order=8, pageblock_order=8)
    compiled = default_registry().strategy("remembered-fallback")
    found = []
    for strategy in (compiled, python_twin(compiled)):
        parameters = DdParameters(dd=100)
        machine = Simulation(
            IMX7D_DD, parameters, config, strategy, seed=1, costs=NOTHING
        )
        machine.run()
        found.append(machine.zones[0].counters)
    assert found[0] == found[1]


MISTAKES = {
    "an exception": ("n = [1]\nreturn n[order + 5]", 10, "IndexError: list index"),
    "no page": ("pages = []\nreturn {}.get(order)", 0, "returned None: return a page"),
    "a misspelt brick": ("return rmqueue_steel(zone)", 9, "did you mean"),
    "an endless loop": (
        "while True:\n    order += 1\nreturn -1",
        *(9, "a loop that does not end"),
    ),
    "a free page": ("return zone.start", 7, "still free or in use elsewhere"),
    "a wrong argument": (
        "return rmqueue_steal(zone, order, 'movable')",
        *(0, "strategy 'mine': "),
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_with_their_line(tmp_path: Path, case: str) -> None:
    body, line, words = MISTAKES[case]
    if not ENABLED and case in ("an endless loop", "a wrong argument"):
        pytest.skip("without the JIT nothing counts lines, or knows types")
    strategy = mine(tmp_path, body)
    with pytest.raises(PluginError) as caught:
        rq.Zone(CONFIG, strategy).alloc(0, "unmovable")
    message = str(caught.value)
    assert message.startswith("strategy 'mine': ")
    assert words in message
    name = python_function(strategy.fallback).__module__
    assert f"{name}.py, line {line or ''}" in message


def test_the_zone_stops(tmp_path: Path) -> None:
    zone = rq.Zone(CONFIG, mine(tmp_path, "raise OSError('gone')"))
    with pytest.raises(StrategyError, match="OSError: gone"):
        zone.replay([(1, 0, slot, 0) for slot in range(5)])
    with pytest.raises(StrategyError, match="takes no further requests"):
        zone.alloc(0, "movable")


def test_a_debugger_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Counting lines would take its place."""
    strategy = mine(tmp_path, "import sys\nseen.append(sys.gettrace())\nreturn -1")
    seen: list[Any] = []
    python_function(strategy.fallback).__globals__["seen"] = seen

    def debugger(frame: Any, event: str, argument: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(debugger)
    try:
        rq.Zone(CONFIG, strategy).alloc(0, "unmovable")
        left = sys.gettrace()
    finally:
        sys.settrace(before)
    assert seen == [debugger]
    assert left is debugger


def test_it_can_be_checked(tmp_path: Path) -> None:
    record = mine(tmp_path, "return rmqueue_claim(zone, order, start_mt, flags)")
    subject = Subject("strategy", record, default_registry())
    checks = {check.name: check for check in STRATEGY_CHECKS}
    for name in ("compiles", "conservation", "isolation"):
        assert not perform(checks[name], subject).failed
    result = perform(checks["speed"], subject)

    assert result.status == SKIPPED


PROGRAM = """\
from rmqueue import Strategy, Zone, ZoneConfig
from rmqueue.mm.fallback import rmqueue_claim
from rmqueue.mm.jit import jit


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    return rmqueue_claim(zone, order, start_mt, flags)


Zone(ZoneConfig(pages=2048), Strategy("mine", "Mine.", fallback)).alloc(order=3)
"""


def test_pdb_steps_from_a_strategy_into_a_brick(tmp_path: Path) -> None:
    """With the whole engine in Python."""
    (tmp_path / "mine.py").write_text(PROGRAM)
    commands = [
        "b 8",
        "c",
        "p 'order', order",
        "s",
        "w",
        "p 'area', zone.nr_area.tolist()[10]",
    ]
    words = [word for command in [*commands, "q"] for word in ("-c", command)]
    done = subprocess.run(
        [sys.executable, "-m", "pdb", *words, "mine.py"],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "('order', 3)" in done.stdout
    assert "rmqueue/mm/fallback.py" in done.stdout
    assert "('area', 2)" in done.stdout
    assert "StrategyError" not in done.stdout + done.stderr  # for a quit debugger
