"""Studies that are ended from outside: no run is lost but those in flight."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rmqueue.mm.jit import ENABLED
from rmqueue.study import report_command, run_command
from rmqueue.study.dataset import Place
from rmqueue.study.study import read_study
from tests.unit.processes import ignored, in_session
from tests.unit.test_study import SWEEP
from tests.unit.test_study_design import BASE, study

#: What a command says that is ended.
ENDED = {"run": run_command.STOPPED, "report": report_command.STOPPED}


@pytest.mark.skipif(not ENABLED, reason="what is killed is another process, jitted")
@pytest.mark.parametrize("jobs", [1, 2])
def test_kill_9_loses_at_most_the_runs_in_flight(tmp_path: Path, jobs: int) -> None:
    path = study(tmp_path, SWEEP, BASE.replace("[1, 2]", "{ from = 1, to = 40 }"))
    words = [sys.executable, "-m", "rmqueue.cli", "run", str(path), "-o", "kept", "-q"]
    place = Place(tmp_path / "kept")
    running = subprocess.Popen(
        [*words, "--jobs", str(jobs)], cwd=tmp_path, start_new_session=True
    )
    try:
        while len(place.files()) < 20:
            assert running.poll() is None
            time.sleep(0.01)
        before = place.keys()
    finally:
        running.kill()
        running.wait()
    end = time.monotonic() + 30
    while in_session(running.pid):
        assert time.monotonic() < end, "its processes go on without it"
        time.sleep(0.05)
    there = place.keys()
    assert before <= there
    assert len(list(place.runs())) == len(there) < 160  # each is whole
    done = subprocess.run(
        [*words, "--resume"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (
        f"{160 - len(there)} of 160 runs done, {len(there)} were there" in done.stdout
    )
    found = read_study(tmp_path / "kept")
    assert (len(found.runs), found.missing) == (160, 0)


@pytest.mark.skipif(not ENABLED, reason="what is ended is jitted")
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("command", ["run", "report"])
def test_sigterm_ends_it_in_words(tmp_path: Path, command: str, jobs: int) -> None:
    """SLURM and systemd end what runs too long like this."""
    path = study(tmp_path, SWEEP, BASE.replace("= 2000", "= 3_000_000"))
    words = [sys.executable, "-m", "rmqueue.cli", command, str(path), "-q"]
    kept, stopped = tmp_path / f"{path.stem}.study", ENDED[command]
    running = subprocess.Popen(
        [*words, "--jobs", str(jobs)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not Place(kept).files():
            assert running.poll() is None
            time.sleep(0.01)
        assert ignored(running.pid) & 1 << (signal.SIGPIPE - 1)
        running.terminate()
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert (said, running.returncode) == (f"rmqueue: {stopped}\n", 130)
