"""Look-ups over plugins: broken ones are named and stop nobody."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from rmqueue.errors import PluginError, UnknownNameError, UsageError
from rmqueue.hookspecs import hookimpl
from rmqueue.listing import list_plugins
from rmqueue.loader import KINDS
from rmqueue.registry import Registry, default_registry
from rmqueue.types import Strategy, TraceReader


def nothing(*_: object) -> int:
    return -1


class Plugins:
    """Modules made for one test, and their entry points."""

    def __init__(self) -> None:
        self.points: list[EntryPoint] = []

    def add(self, name: str, strategies: object, module: str = "") -> None:
        made = ModuleType(module or f"made_{name.replace('-', '_')}")

        @hookimpl
        def rmqueue_strategies() -> object:
            return strategies

        made.rmqueue_strategies = rmqueue_strategies  # type: ignore[attr-defined]
        sys.modules[made.__name__] = made
        self.point(name, made.__name__)

    def point(self, name: str, module: str) -> None:
        self.points.append(EntryPoint(name, module, "rmqueue"))

    def reader(self, name: str, accepts: object) -> None:
        made = ModuleType(f"made_{name}")
        record = TraceReader(name, "Reads.", accepts, nothing)  # type: ignore[arg-type]

        @hookimpl
        def rmqueue_trace_readers() -> list[TraceReader]:
            return [record]

        made.rmqueue_trace_readers = rmqueue_trace_readers  # type: ignore[attr-defined]
        sys.modules[made.__name__] = made
        self.point(name, made.__name__)

    def registry(self, *blocked: str) -> Registry:
        return Registry(self.points, blocked)


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    found = Plugins()
    found.add("good", [strategy("good"), strategy("better")])
    return found


def strategy(name: str) -> Strategy:
    return Strategy(name, "Does nothing.", nothing)


def test_what_is_installed_is_found() -> None:
    registry = default_registry()
    assert registry.failures == ()
    assert registry.duplicates() == ()
    assert set(registry.names("strategy")) >= {"none", "remembered-fallback"}
    for kind in KINDS:
        for name in registry.names(kind):
            entry = registry.find(kind, name)
            assert entry.provenance.distribution == "rmqueue"
            assert entry.record.summary.endswith(".")


def test_a_look_up_loads_no_more_than_it_needs(plugins: Plugins) -> None:
    plugins.point("broken", "there.is.no.such.module")
    registry = plugins.registry()
    assert registry.strategy("good").name == "good"
    assert registry.failures == ()
    assert registry.strategy("better").name == "better"
    registry.load_all()
    assert len(registry.failures) == 1


BROKEN = {
    "not a list of strategies": [1, 2],
    "no list": 7,
    "a bad name": [Strategy("Not A Name", "", nothing)],
    "an unknown kernel": [Strategy("x", "", nothing, kernel="2.4")],
    "nothing": [],
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_stops_nobody(plugins: Plugins, case: str) -> None:
    plugins.add("broken", BROKEN[case])
    registry = plugins.registry()
    assert registry.names("strategy") == ("better", "good")
    (failure,) = registry.failures
    assert "plugin 'broken' of unknown unknown (made_broken) is broken" in str(failure)
    with pytest.raises(PluginError, match="plugin 'broken' of"):
        registry.strategy("broken")


def test_a_plugin_that_raises_or_is_missing_stops_nobody(
    plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_raiser.py").write_text("1 / 0\n")
    (tmp_path / "made_typo.py").write_text(
        "from rmqueue.hookspecs import hookimpl\n"
        "@hookimpl\ndef rmqueue_strategie():\n    return []\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.point("raiser", "made_raiser")
    plugins.point("typo", "made_typo")
    plugins.point("absent", "made_of_nothing")
    registry = plugins.registry()
    assert registry.names("strategy") == ("better", "good")
    reasons = {f.provenance.entry_point: f.reason for f in registry.failures}
    assert reasons.keys() == {"raiser", "typo", "absent"}
    assert "ZeroDivisionError" in reasons["raiser"]
    assert "rmqueue_strategie" in reasons["typo"]
    assert "made_of_nothing" in reasons["absent"]


def test_duplicates_are_named_with_their_givers(plugins: Plugins) -> None:
    plugins.add("other", [strategy("good")])
    registry = plugins.registry()
    registry.load_all()
    (words,) = registry.duplicates()
    assert "strategy 'good' is offered by" in words
    assert "made_good" in words
    assert "made_other" in words
    with pytest.raises(PluginError, match="block one of good, other with"):
        registry.strategy("good")
    assert plugins.registry("other").strategy("good").name == "good"


def test_blocked_plugins_are_not_loaded(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins.point("broken", "there.is.no.such.module")
    registry = plugins.registry("broken", "good")
    assert registry.names("strategy") == ()
    assert registry.blocked_points == ("broken", "good")
    with pytest.raises(UsageError, match="strategy 'good' is blocked"):
        registry.strategy("good")
    monkeypatch.setenv("RMQUEUE_BLOCK", " none ,, rmqueue-other")
    assert Registry().blocked == {"none", "rmqueue-other"}
    assert "none" not in Registry().names("strategy")
    monkeypatch.setenv("RMQUEUE_BLOCK", "rmqueue")  # a distribution
    assert Registry().names("strategy") == ()


def test_unknown_names_come_with_the_nearest(plugins: Plugins) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'good'") as caught:
        plugins.registry().strategy("godo")
    assert caught.value.exit_status == 2
    with pytest.raises(UnknownNameError, match="choose from better, good"):
        plugins.registry().strategy("xyz")
    with pytest.raises(UnknownNameError, match="none is installed"):
        plugins.registry().machine("xyz")


def test_readers_are_asked_who_accepts(plugins: Plugins) -> None:
    def raises(path: Path) -> bool:
        raise ValueError("no idea")

    plugins.reader("yes", lambda path: path.suffix == ".yes")
    plugins.reader("raises", raises)
    registry = plugins.registry()
    assert registry.reader_for(Path("a.yes")).name == "yes"
    assert "no idea" in str(registry.failures[0])
    with pytest.raises(UsageError, match="no trace reader accepts this recording"):
        registry.reader_for(Path("a.no"))
    plugins.reader("also", lambda path: True)
    with pytest.raises(UsageError, match="two readers accept this recording"):
        plugins.registry().reader_for(Path("a.yes"))


def test_the_listing_ends_in_the_errors(
    plugins: Plugins, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins.point("broken", "there.is.no.such.module")
    plugins.add("blocked", [strategy("blocked")])
    with pytest.raises(PluginError, match="plugin 'broken'"):
        list_plugins(plugins.registry("blocked"))
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["kind", "name", "distribution", "module", "summary"]
    assert [line.split()[1] for line in out[1:3]] == ["better", "good"]
    assert out[-1] == "blocked: blocked"


class SlowList(list[Strategy]):
    """What a plugin offers that takes its time, and lets other threads run."""

    def __iter__(self) -> Iterator[Strategy]:
        time.sleep(0.02)
        return super().__iter__()


def test_threads_may_look_up_at_once(plugins: Plugins) -> None:
    names = [f"strategy-{index}" for index in range(8)]
    for name in names:
        plugins.add(name, SlowList([Strategy(name, "", nothing)]))
    registry = plugins.registry()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(registry.strategy, names * 4))
        everything = list(pool.map(lambda _: registry.names("strategy"), range(16)))
    assert [strategy.name for strategy in found] == names * 4
    assert everything == [("better", "good", *names)] * 16
