"""The command `rmqueue record`: options, messages, a quick start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rmqueue import record_command
from rmqueue.record_settings import COMPRESSORS
from tests.meta.sources import ROOT
from tests.unit.fake_tracefs import FakeKernel, about, settings

#: `main` of the fake, as a process.
DRIVER = (sys.executable, "-m", "tests.unit.fake_tracefs")


def command(kernel: FakeKernel, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DRIVER, str(kernel.root), "record", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_records(kernel: FakeKernel) -> None:
    folder = settings(kernel).folder
    options = ["-o", str(folder), "--compress", "xz", "--buffer-kb", "2048"]
    done = command(kernel, *options, *kernel.options, "sh", "-c", "exit 7", "--dry-run")
    assert (done.returncode, done.stdout) == (7, ""), done.stderr
    assert about(folder)["command"] == ["sh", "-c", "exit 7", "--dry-run"]
    assert about(folder)["buffer_kb_per_cpu"] == "2048"
    assert (folder / "trace.txt.xz").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "rmqueue: no command to record: rmqueue record -- make -j8"),
        (["--dry-run"], 2, "rmqueue: no command to record: rmqueue record --dry-run"),
        (["--", "no-such-command"], 127, "rmqueue: no-such-command: command not found"),
        (["--tracefs", "/proc", "true"], 125, "rmqueue: no tracefs at /proc: "),
    ],
)
def test_it_refuses(
    kernel: FakeKernel, arguments: list[str], status: int, message: str
) -> None:
    folder = settings(kernel).folder
    done = command(kernel, "-o", str(folder), *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert not folder.exists()


def test_a_dry_run_needs_neither_root_nor_numpy() -> None:
    code = (
        "import sys; from rmqueue import cli\n"
        "sys.argv = ['rmqueue', 'record', '--dry-run', '--', 'make', '-j8']\n"
        "try: cli.main()\n"
        "except SystemExit: print(sorted({'numpy', 'numba'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\nrmq_main make -j8\n[]\n")


def test_every_compressor_can_be_chosen() -> None:
    assert {one.value for one in record_command.Compressor} == COMPRESSORS.keys()
