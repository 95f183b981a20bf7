"""The exact gate: whatever a strategy does otherwise than written down is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import expected
from benchmarks.figures import SERVER, Table, replayed

from rmqueue.registry import default_registry
from tests.meta.sources import ROOT

STORED = expected.read()["figures"]


def test_every_strategy_of_ours_is_in_every_table() -> None:
    """A new one is added by the command that the message names."""
    own = set(expected.own_strategies(default_registry()))
    for experiment, table in STORED.items():
        assert set(table) == own, (
            f'{experiment}: python -m benchmarks.expected --update "reason"'
        )


def test_a_replay_gives_what_is_written_down() -> None:
    names = ("greedy-steal", "remembered-fallback")
    found = replayed("synthetic", names)
    stored = {name: STORED["synthetic"][name] for name in names}
    assert not list(expected.differences({"synthetic": stored}, {"synthetic": found}))


def test_a_strategy_that_searches_more_is_found() -> None:
    """`steal-smallest-buddy` serves the same pages and forgets what it has learnt."""
    other = replayed("real", ("steal-smallest-buddy",))["steal-smallest-buddy"]
    stored = {"real": {"remembered-fallback": STORED["real"]["remembered-fallback"]}}
    lines = expected.differences(stored, {"real": {"remembered-fallback": other}})
    changed = {line.figure for line in lines}
    assert {"claim attempts", "blocks scanned", "worst hold"} <= changed
    assert "pages served" not in changed


def test_one_more_and_one_less_are_differences() -> None:
    stored: dict[str, Table] = {"real": {"one": {"steals": 4.0, "gone": 1.0}}}
    found: dict[str, Table] = {"real": {"one": {"steals": 5, "new": 0.5}}}
    assert list(map(str, expected.differences(stored, found))) == [
        "real: one: gone: 1 -> none",
        "real: one: new: none -> 0.5",
        "real: one: steals: 4 -> 5",
    ]
    assert not list(expected.differences(stored, stored))


def test_the_whole_run_of_the_server_is_compared_if_it_has_run() -> None:
    stored: dict[str, Table] = {SERVER: {"one": {"pages_per_s": 2.0}}}
    assert expected.check(stored, {}, full=False) == []
    assert len(expected.check(stored, {}, full=True)) == 1


def test_an_update_says_what_changes_and_keeps_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    assert expected.update({"real": {"one": {"steals": 4}}}, "first", path)
    changed = expected.update({"real": {"one": {"steals": 3}}}, " fewer steals ", path)
    assert list(map(str, changed)) == ["real: one: steals: 4 -> 3"]
    assert expected.read(path)["reason"] == "fewer steals"
    assert [child.name for child in tmp_path.iterdir()] == ["expected.json"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"reason": "", "figures": {}}', '{"figures": {}}', '{"reason": "x"}'],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "expected.json"
    path.write_text(text)
    with pytest.raises(expected.TableError, match=re.escape(str(path))):
        expected.read(path)


def test_an_update_without_a_reason_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        expected.main(["--update", " "])
    assert left.value.code == 2
    assert "say why" in capsys.readouterr().err


def test_the_command_fails_if_anything_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = {name: table for name, table in STORED.items() if name != SERVER}
    monkeypatch.setattr(expected, "collect", lambda names, full: quick)
    assert expected.main([]) == 0
    copy = json.loads(json.dumps(quick))
    copy["imx7d"]["tight-fallback"]["worst_refill_ms"] *= 1.001
    monkeypatch.setattr(expected, "collect", lambda names, full: copy)
    assert expected.main([]) == 1
    out = capsys.readouterr().out
    assert "imx7d: tight-fallback: worst_refill_ms: 4.3058 -> 4.31" in out
    assert "1 differ from expected.json" in out


def test_environments_of_the_benchmarks_have_the_pinned_numba_and_numpy() -> None:
    """Or history would measure them, and other results than CI's."""
    conf = (ROOT / "asv.conf.json").read_text(encoding="utf-8")
    pins = dict(re.findall(r'"(numba|numpy)": \["([\d.]+)"\]', conf))
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    wanted = dict(re.findall(r"^(numba|numpy)==(\S+)$", constraints, re.MULTILINE))
    assert pins == wanted


STRANGER = """
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    return -1


@hookimpl
def rmqueue_strategies():
    return [Strategy("strange", "Fail.", fallback)]
"""


def test_a_strangers_plugin_is_measured_and_not_in_the_table(tmp_path: Path) -> None:
    (tmp_path / "rmqueue_strange.py").write_text(STRANGER)
    info = tmp_path / "rmqueue_strange-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rmqueue-strange\n")
    points = "[rmqueue]\nstrange = rmqueue_strange\n"
    (info / "entry_points.txt").write_text(points)
    program = (
        "from benchmarks import bench_results, choice, expected\n"
        "from rmqueue.registry import default_registry\n"
        "print('strange' in bench_results.Replayed.params[0])\n"
        "print('strange' in expected.own_strategies(default_registry()))\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False"]
