"""A tracefs and a procfs of files and pipes, and a thread that is their kernel.

What the kernel does when an instance is made or removed is done by two programs of the
same names, ``mkdir`` and ``rmdir``: the recorder's calls are led to them (`main`, the
fixture of test_record), and a shell finds them in its PATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rmqueue.record_settings import (
    NEEDED_EVENTS,
    READ_MARK,
    WELCOME_EVENTS,
    RecordSettings,
)
from tests.unit import recordings

OPTIONS = ("overwrite", "markers", "context-info", "irq-info", "hex", "bin")
STATS = """entries: {entries}
overrun: {overrun}
commit overrun: 0
bytes: 4673204
oldest event ts:    22.645309
now ts:    28.860043
dropped events: 0
read events: 9
"""
PROC = {
    "vmstat": "nr_free_pages 3072\n",
    "meminfo": "MemTotal:   16384 kB\nMemFree:     1024000 kB\n",
    "zoneinfo": "Node 0, zone   Normal\n  pagesets\n    cpu: 0\n    cpu: 1\n",
    "buddyinfo": "Node 0, zone   Normal      0      3 \n",
    "pagetypeinfo": "Page block order: 9\nPages per block:  512\n",
    "version": 'Linux version 6.12.3-made (a "made" one) #1 SMP\n',
    "cmdline": 'console=ttyS0 dyndbg="file mm\\x +p"\n',
    "sys/kernel/osrelease": "6.12.3-made\n",
}
MKDIR = """#!/bin/sh
case $1 in
*/instances/*) cp -a '{template}' '{template}.new' && mv '{template}.new' "$1" ;;
*) exec /bin/mkdir "$@" ;;
esac
"""
RMDIR = """#!/bin/sh
case $1 in
*/instances/*) [ ! -e '{root}/busy' ] && rm -r "$1" ;;
*) exec /bin/rmdir "$@" ;;
esac
"""
#: Requests of the trace: pages of the second block of `recordings.STATE`.
LINES = tuple(
    line
    for pfn in range(1024, 1032)
    for line in (recordings.locked(pfn), recordings.alloc(pfn))
)


def mark(text: str) -> str:
    return recordings.mark(text)


#: More than all buffers on the way hold.
MANY = [recordings.alloc(pfn % 4096) for pfn in range(40_000)]


class FakeKernel:
    """The tree and its kernel.

    Parameters
    ----------
    root : Path
        Empty folder for everything.
    lines : iterable of str
        What is traced behind the mark of the start.
    """

    def __init__(self, root: Path, lines: Iterable[str] = LINES) -> None:
        self.root, self.lines = root, tuple(lines)
        self.tracefs, self.proc = root / "tracefs", root / "proc"
        self.programs, self.template = root / "programs", root / "template"
        self.overrun = 0
        self.seen: dict[str, str] = {}
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._build()

    def __enter__(self) -> FakeKernel:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()

    @property
    def instances(self) -> list[Path]:
        """Instances that are there now."""
        return sorted((self.tracefs / "instances").iterdir())

    @property
    def options(self) -> list[str]:
        """Options of the command that lead it here."""
        return ["--tracefs", str(self.tracefs), "--proc", str(self.proc)]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def _build(self) -> None:
        for name, content in PROC.items():
            write(self.proc / name, content)
        (self.tracefs / "instances").mkdir(parents=True)
        for event in (*NEEDED_EVENTS, *WELCOME_EVENTS[:3]):
            name = event.partition("/")[2]
            write(self.tracefs / "events" / event / "format", f"name: {name}\n")
            for tree in (self.tracefs, self.template):
                write(tree / "events" / event / "enable", "0\n")
        for file in ("tracing_on", *(f"options/{option}" for option in OPTIONS)):
            write(self.template / file, "1\n")
        write(self.template / "trace_clock", "local\n")
        write(self.template / "buffer_size_kb", "7\n")
        for cpu in range(2):
            write(self.template / f"per_cpu/cpu{cpu}/stats", self._stats(9))
        for pipe in ("trace_marker", "trace_pipe"):
            os.mkfifo(self.template / pipe)
        for name, text in (("mkdir", MKDIR), ("rmdir", RMDIR)):
            program = self.programs / name
            write(program, text.format(template=self.template, root=self.root))
            program.chmod(0o755)

    def _stats(self, entries: int) -> str:
        return STATS.format(entries=entries, overrun=self.overrun)

    def _run(self) -> None:
        while not self._leave.wait(0.005):
            with contextlib.suppress(OSError):  # it is being removed
                for instance in self.instances:
                    self._serve(instance)

    def _serve(self, instance: Path) -> None:
        """Answer what is written to an instance, until tracing is off or it is gone."""
        marks = os.open(instance / "trace_marker", os.O_RDWR | os.O_NONBLOCK)
        pipe = os.open(instance / "trace_pipe", os.O_RDWR | os.O_NONBLOCK)
        heard: list[str] = []
        try:
            while instance.exists() and not self._leave.is_set():
                is_off = READ_MARK in heard and not self._is_on(instance)
                if select.select([marks], [], [], 0.01)[0]:
                    texts = os.read(marks, 4096).decode().splitlines()
                    heard += texts
                    for text in texts:
                        self._emit(pipe, text)
                elif is_off:
                    break
        finally:
            self._look(instance)
            os.close(pipe)
            os.close(marks)
            for stats in instance.glob("per_cpu/*/stats"):
                write(stats.with_name("new"), self._stats(0))
                stats.with_name("new").replace(stats)
        while instance.exists() and not self._leave.wait(0.005):
            pass

    def _emit(self, pipe: int, text: str) -> None:
        lines = self.lines if text == recordings.START else ()
        left = "".join((mark(text), *lines)).encode()
        while left and not self._leave.is_set() and self.instances:
            try:
                left = left[os.write(pipe, left) :]
            except BlockingIOError:
                time.sleep(0.001)

    @staticmethod
    def _is_on(instance: Path) -> bool:
        try:
            return (instance / "tracing_on").read_text().startswith("1")
        except OSError:
            return False

    def _look(self, instance: Path) -> None:
        """Keep what was written to the instance, for the tests to see."""
        for path in sorted(instance.rglob("*")):
            try:
                if stat.S_ISREG(path.stat().st_mode):
                    self.seen[str(path.relative_to(instance))] = path.read_text()
            except OSError:
                continue


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def settings(
    kernel: FakeKernel, *command: str, name: str = "out", **more: Any
) -> RecordSettings:
    return RecordSettings(
        command or ("true",),
        kernel.root.parent / name,
        **{"tracefs": kernel.tracefs, "proc": kernel.proc, **more},
    )


def about(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "recording.json").read_text())
    return content


def nothing_is_left(kernel: FakeKernel) -> None:
    assert kernel.instances == []
    assert os.listdir(kernel.root.parent) == ["kernel"]


def wait_for(path: Path, seconds: float = 60) -> None:
    """Wait until a command has written its pid."""
    give_up = time.monotonic() + seconds
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < give_up
        time.sleep(0.02)


def lead_to(programs: Path, root: Path) -> tuple[Any, Any]:
    """`os.mkdir` and `os.rmdir` that leave instances below a folder to programs."""
    mkdir, rmdir = os.mkdir, os.rmdir

    def make(path: Any, *arguments: Any, **more: Any) -> None:
        if not is_instance(path):
            mkdir(path, *arguments, **more)
        elif os.path.exists(path):
            raise FileExistsError(path)
        else:
            subprocess.run([programs / "mkdir", path], check=True)

    def remove(path: Any, *arguments: Any, **more: Any) -> None:
        if not is_instance(path):
            rmdir(path, *arguments, **more)
        elif subprocess.run([programs / "rmdir", path], check=False).returncode:
            raise OSError(16, "Device or resource busy", str(path))

    def is_instance(path: Any) -> bool:
        return str(path).startswith(f"{root}/tracefs/instances/")

    return make, remove


def main() -> None:
    """Run the command as a process of its own; the first argument is the root."""
    from rmqueue import cli

    root = Path(sys.argv.pop(1))
    os.mkdir, os.rmdir = lead_to(root / "programs", root)
    cli.main()


if __name__ == "__main__":
    main()
