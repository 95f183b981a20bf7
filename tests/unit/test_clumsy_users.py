"""What happens to users who are unlucky: processes, as a shell starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rmqueue.mm.jit import ENABLED
from tests.unit.experiments import small_file

COMMAND = [sys.executable, "-m", "rmqueue.cli"]
#: A strategy that never comes back, as a plugin beside the experiment.
ENDLESS = """
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy


@jit
def spin(st):
    for _ in range(1 << 28):
        st.turns = st.turns * 6364136223846793005 + 1


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    for _ in range(60_000):  # hours, and within its budget of steps
        spin(st)
    return -1


@hookimpl
def rmqueue_strategies():
    state = (("turns", "i8"),)
    return [Strategy("endless", "Never comes back.", fallback, state=state)]
"""


def ended(
    *arguments: object, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    path = small_file(tmp_path)
    done = ended("compare", path, "-q", cwd=tmp_path, RMQUEUE_CACHE_DIR="/dev/null")
    assert done.returncode == 1
    assert "compiled code cannot be kept there" in done.stderr
    assert "set RMQUEUE_CACHE_DIR to a folder" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_behind_stdout(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "plugins"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr == b"rmqueue: stdout: No space left on device\n"


def test_a_plugin_that_leaves_does_not_take_us_along(tmp_path: Path) -> None:
    install(tmp_path, "leaver", "import sys\nsys.exit(0)\n")
    done = ended("plugins", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 3
    assert "plugin 'leaver' of leaver 1.0" in done.stderr
    assert "remembered-fallback" in done.stdout


def test_a_suite_is_checked_before_it_runs(tmp_path: Path) -> None:
    small_file(tmp_path)
    suite = tmp_path / "both.toml"
    suite.write_text('name = "both"\nparts = ["small.toml", "missing.toml"]\n')
    done = ended("compare", "./both.toml", "-q", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "missing.toml: there is no such file" in done.stderr


def test_unknown_names_say_where_they_stand(tmp_path: Path) -> None:
    path = small_file(tmp_path)
    path.write_text(path.read_text().replace('machine = "generic"', 'machine = "x"'))
    done = ended("compare", path, "-q", cwd=tmp_path)
    assert done.stderr.startswith(f"rmqueue: {path}: no machine is called 'x'")


def test_a_wrong_item_is_one_mistake(tmp_path: Path) -> None:
    path = small_file(tmp_path)
    text = "".join(
        line for line in path.read_text().splitlines(True) if "seeds" not in line
    )
    path.write_text("seeds = [-1]\n" + text)
    done = ended("compare", path, "-q", cwd=tmp_path)
    assert done.stderr.splitlines() == [
        f"rmqueue: {path}: seeds[0]: should be greater than or equal to 0 (found -1)"
    ]


@pytest.mark.skipif(not ENABLED, reason="plain Python hears of Ctrl-C by itself")
def test_ctrl_c_ends_a_strategy_that_never_comes_back(tmp_path: Path) -> None:
    install(tmp_path, "endless", ENDLESS)
    running = subprocess.Popen(
        [*COMMAND, "compare", "synthetic", "--strategies", "endless", "-q"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    try:
        time.sleep(15)  # compiled by then, and never back
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert (running.returncode, out, err) == (130, "", "rmqueue: interrupted\n")


@pytest.mark.parametrize("words", ["", "what is done is kept"])
def test_ctrl_c_is_answered(tmp_path: Path, words: str) -> None:
    """Whatever the command: Typer ends with the status, and says nothing."""
    code = (
        "import rmqueue.listing, rmqueue.cli\n"
        f"def stop(): raise KeyboardInterrupt(*{[words] if words else []})\n"
        "rmqueue.listing.list_plugins = stop\n"
        "rmqueue.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plugins"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    said = f"rmqueue: {words or 'interrupted'}\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "", said)


def heed_interrupts() -> None:
    """Undo what a shell does to a command in its background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def install(folder: Path, name: str, text: str) -> None:
    """Install a plugin of one module, as pip would do it."""
    (folder / f"{name}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(f"[rmqueue]\n{name} = {name}\n")
