"""Zones that are watched while they run: in a terminal, and as lines."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console

from rmqueue.experiment import Experiment
from rmqueue.mm.jit import ENABLED
from rmqueue.samples import Sample, Sampler
from rmqueue.watch import Wanted, watch
from rmqueue.watch_board import WINDOW, Board, Seen, rates
from tests.unit.test_study import SWEEP, timeless
from tests.unit.test_study_design import BASE, study


def sample(**fields: object) -> Sample:
    values: dict[str, object] = {
        "zone": "Normal",
        "done": 0.5,
        "ops": 2000,
        "time_s": None,
        "free_blocks": (8, 0, 4),
        "free_pages": (1, 2000, 3, 0, 0),
        "claims": 30,
        "steals": 500,
        "polluted": 0,
        "claim_tries": 0,
        "worst_hold_ps": 12_340_000,
        "types": bytes([0, 1, 1, 2, 3, 4]),
        "used": bytes([255, 255, 0, 255, 255, 255]),
        "mixed": bytes(6),
    }
    return Sample(**{**values, **fields})  # type: ignore[arg-type]


def drawn(board: Board, width: int = 70, colours: str | None = None) -> str:
    console = Console(
        file=io.StringIO(),
        record=True,
        width=width,
        force_terminal=True,
        color_system=colours,  # type: ignore[arg-type]
    )
    console.print(board)
    return console.export_text(styles=colours is not None)


def board_of(*titles: str) -> Board:
    board = Board("small")
    for title in titles:
        seen = Seen(title)
        for _ in range(WINDOW):
            seen.take(sample(ops=1000, claims=10, steals=0))
        seen.take(sample())
        board.runs.append(seen)
    return board


def test_a_panel_shows_what_happens() -> None:
    picture = drawn(board_of("capped, seed 1"))
    assert "small\n" in picture
    assert "capped, seed 1: 50%" in picture
    assert "worst hold 12.34 us" in picture
    assert "claims 30 (20.0 in 1,000)  steals 500 (500.0 in 1,000)" in picture
    assert "free pages: U 1 M 2,000 R 3" in picture
    bars = {
        int(line.split()[2]): line.count("█")
        for line in picture.splitlines()
        if line.startswith("│ order")
    }
    assert bars[0] * 2 == bars[2] > bars[1] == 0  # eight pages, and sixteen


def test_the_map_can_be_read_without_colours() -> None:
    picture = drawn(board_of("one"), 90)
    assert "│ UMmRHC " in picture
    legend = "U unmovable M movable R reclaimable H highatomic C cma; small: more than"
    assert legend in picture
    coloured = drawn(board_of("one"), colours="truecolor")
    assert "\x1b[30;48;2;86;180;233mM\x1b[0m" in coloured


def test_panels_lie_side_by_side_where_there_is_room() -> None:
    titles = ("one", "two")
    together = [
        sum(all(t in line for t in titles) for line in drawn(board).splitlines())
        for board in [board_of(*titles)]
    ]
    assert together == [0]
    wide = drawn(board_of(*titles), 140).splitlines()
    assert sum(all(f" {t}: 50%" in line for t in titles) for line in wide) == 1


def test_runs_that_have_ended_leave() -> None:
    board = board_of("one", "two", "three")
    board.runs[0].ended = board.runs[1].ended = True
    assert [run.title for run in board.shown()] == ["three"]
    board.runs[2].ended = True
    assert [run.title for run in board.shown()] == ["two", "three"]
    assert "three: done" in drawn(board, 200)
    board.runs.append(Seen("four"))
    assert "starting: four\n" in drawn(board)
    assert Board("empty").shown() == []
    assert "pageblocks:" in drawn(Board("empty"))


def test_rates_go_by_the_clock_if_there_is_one() -> None:
    assert rates(None, sample()) == (15.0, 250.0, "in 1,000")
    before = sample(time_s=1.0, claims=10, steals=0)
    assert rates(before, sample(time_s=3.0)) == (10.0, 250.0, "a second")
    assert rates(before, sample(time_s=1.0)) == (0.0, 0.0, "a second")


def test_whoever_listens_changes_nothing(tmp_path: Path) -> None:
    experiment = Experiment.load(study(tmp_path))
    run = experiment.runs()[0]
    heard: list[Sample] = []
    sampler = Sampler(7, on_sample=heard.append)
    measured = experiment.measured(run, sampler=sampler)
    assert [vars(one) for one in heard] == [vars(one) for one in measured.samples]
    assert len(heard) == 7
    alone = experiment.measured(run).row
    rows = [json.loads(json.dumps(asdict(row))) for row in (measured.row, alone)]
    assert timeless(rows[0]) == timeless(rows[1])


def test_a_line_for_each_look_where_there_is_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study(tmp_path, SWEEP)
    watch(Wanted(str(path), samples=4))
    lines = capsys.readouterr().out.splitlines()
    looks = [line for line in lines if "free blocks" in line]
    assert len(looks) == 2 * 2 * 2 * 4
    assert sum("capped, seed 2: " in line and " 100%: " in line for line in looks) == 2
    assert sum("fallbacks, worst hold" in line for line in lines) == 8
    for pages in (2048, 4096):
        head = f"small at zone.pages = {pages}: "
        assert sum(line.startswith(head) for line in lines) == len(lines) / 2


def test_what_a_point_does_not_concern_is_watched_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = '[[sweep]]\nover = { "strategies.capped.params.batches" = [1, 2] }\n'
    watch(Wanted(str(study(tmp_path, more)), samples=1, quick=True))
    lines = capsys.readouterr().out.splitlines()
    ends = [line for line in lines if "fallbacks, worst hold" in line]
    assert sum("remembered-fallback" in line for line in ends) == 1
    assert sum("capped" in line.partition(": ")[2] for line in ends) == 2


def test_it_moves_in_a_terminal(tmp_path: Path) -> None:
    path = study(tmp_path)
    console = Console(
        file=io.StringIO(), record=True, force_terminal=True, width=100, height=50
    )
    watch(Wanted(str(path), samples=4, quick=True), console)
    said = console.export_text()
    assert "seed 1: done" in said
    assert "pageblocks: U unmovable" in said
    assert said.count("fallbacks, worst hold") == 2


@pytest.mark.skipif(not ENABLED, reason="it would take long")
def test_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    base = BASE.replace("= 2000", "= 100_000").replace("[1, 2]", str([*range(1, 99)]))
    path = study(tmp_path, "", base)
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "rmqueue.cli", "watch", str(path)]
    command = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "50"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        seen = read_until(ours, "worst hold")
        assert "pageblocks:" in read_until(ours, "pageblocks:", seen)
        command.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert command.wait(timeout=60) == 130
        assert time.monotonic() - begun < 15
        rest = read_until(ours, "rmqueue: interrupted")
        assert "\x1b[?25h" in rest  # the cursor is there again
    finally:
        command.kill()
        command.wait()
        os.close(ours)


def read_until(descriptor: int, words: str, seen: str = "") -> str:
    """Read what a terminal is sent until it holds these words."""
    end = time.monotonic() + 60
    while words not in seen and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                seen += os.read(descriptor, 65536).decode(errors="replace")
            except OSError:  # nobody is left on the other side
                break
    assert words in seen
    return seen
