"""``rmqueue history``: tracks over commits, on a terminal and as a page."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rmqueue.bench_tracks import Track, Value, read_results
from rmqueue.errors import BenchError, OutputError, UsageError
from rmqueue.history import Wanted, run
from rmqueue.history_lines import Line, histories_of, sparkline
from rmqueue.history_page import curve
from tests.unit.asv_files import (
    COMMITS,
    OPEN,
    RATIO,
    STEALS,
    three_commits,
    write_benchmarks,
    write_result,
)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return three_commits(tmp_path / "results")


def lines_of(stored: Path) -> dict[str, Line]:
    (history,) = histories_of(read_results(stored), None, None)
    assert history.commits == COMMITS
    return {f"{x.track.benchmark} {x.track.params}": x for x in history.lines}


def test_a_track_has_a_value_for_each_commit_or_none(stored: Path) -> None:
    lines = lines_of(stored)
    one = lines[f"{STEALS} ('one',)"]
    assert [v.value for v in one.known] == [5, 7, 7]
    assert (one.changed_at, one.change, one.constant) == ((1,), "+40.0 %", False)
    two = lines[f"{STEALS} ('two',)"]
    assert two.values[0] is None
    assert (two.changed_at, two.change, two.constant) == ((), "+0.0 %", True)


def test_noise_does_not_fill_the_height_but_a_result_does() -> None:
    values = tuple(Value(x, x, x) for x in (1.0, 1.02, 0.99))
    bars = {sparkline(Line(Track(name), values)) for name in (RATIO, OPEN)}
    assert bars == {"▄▄▄"}
    assert sparkline(Line(Track(STEALS), values)) == "▃█▁"
    slower = (*values, Value(1.3, 1.3, 1.3))
    assert sparkline(Line(Track(RATIO), slower)) == "▁▂▁▇"


def test_the_table_names_the_commit_that_changed_a_result(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(Wanted(results=stored))
    out = capsys.readouterr().out
    assert re.search(r"Board.steals \(one\) +5 blocks +▁██ +7 blocks +\S+ % +b{8}", out)
    assert re.search(r"AgainstC.ratio +0.9 ratio +▁▁█ +1.6 ratio +\+77.8 %", out)
    assert "Open.open" in out
    assert "(two)" not in out
    assert "1 results are the same in all commits (--all)" in out
    run(Wanted(results=stored, everything=True))
    assert re.search(r"\(two\) +3 blocks +·▁▁ ", capsys.readouterr().out)


def test_only_what_matches_is_shown(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(Wanted(only="bench_mm", results=stored))
    out = capsys.readouterr().out
    assert "1.5 ms" in out
    assert "ratio" not in out


def test_the_page_is_well_formed_and_whole(stored: Path, tmp_path: Path) -> None:
    target = tmp_path / "history.html"
    run(Wanted(results=stored, html=target))
    text = target.read_text(encoding="utf-8")
    for commit in COMMITS:
        assert f"<code>{commit[:12]}</code>" in text
    assert not re.search(r"(src|href)=|<script", text)
    assert text.count("<svg") == 4
    assert "1 that never changed" in text
    line = lines_of(stored)[f"{STEALS} ('one',)"]
    (history,) = histories_of(read_results(stored), None, None)
    drawn = ElementTree.fromstring(curve(line, history))
    points = drawn.findall("circle")
    assert [point.get("class") for point in points] == [None, "c", None]
    heights = [float(point.get("cy", "nan")) for point in points]
    assert heights[0] > heights[1] == heights[2]  # more is higher up


def test_machines_are_never_mixed(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_result(stored, COMMITS[0], {RATIO: [9.5]}, machine="other")
    assert len(histories_of(read_results(stored), None, None)) == 2
    run(Wanted(results=stored, machine="other"))
    out = capsys.readouterr().out
    assert "9.5" in out
    assert "1.6" not in out
    with pytest.raises(UsageError, match=r"'third': here, other"):
        run(Wanted(results=stored, machine="third"))


@pytest.mark.parametrize("only", ["(", "nothing-like-it"])
def test_a_useless_pattern_is_refused(stored: Path, only: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(only))):
        run(Wanted(only=only, results=stored))


def test_no_results_and_broken_ones_are_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results: measure some"):
        run(Wanted(results=tmp_path))
    path = write_result(tmp_path, COMMITS[0], {OPEN: [1.0]})
    with pytest.raises(BenchError, match="no list of benchmarks"):
        run(Wanted(results=tmp_path))
    write_benchmarks(tmp_path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BenchError, match=re.escape(str(path))):
        run(Wanted(results=tmp_path))


def test_outside_a_checkout_the_way_in_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="rmqueue history needs a checkout"):
        run(Wanted())


def test_without_asv_it_says_what_to_install(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asv", None)
    with pytest.raises(UsageError, match=r"pip install 'rmqueue\[bench\]'"):
        run(Wanted(results=stored))


def test_a_page_that_cannot_be_written_is_refused_first(
    stored: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="there is no"):
        run(Wanted(results=stored, html=tmp_path / "none" / "x.html"))
