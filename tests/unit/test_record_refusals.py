"""What `rmqueue record` refuses, and that nothing is left of it then."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from rmqueue import record as recorder
from rmqueue import record_child, tracefs
from rmqueue.errors import (
    CommandNotFoundError,
    OutputError,
    RecordError,
    RmqueueError,
    UsageError,
)
from rmqueue.record import record
from rmqueue.record_scan import count_lines
from rmqueue.record_settings import RecordSettings
from tests.unit import recordings
from tests.unit.fake_tracefs import (
    LINES,
    MANY,
    FakeKernel,
    nothing_is_left,
    settings,
)


def refused(wanted: RecordSettings, kind: type[RmqueueError], *words: str) -> None:
    with pytest.raises(kind) as caught:
        record(wanted)
    for word in words:
        assert word in str(caught.value)


def test_no_command(kernel: FakeKernel) -> None:
    wanted = settings(kernel)
    none = RecordSettings((), wanted.folder)
    refused(none, UsageError, "no command to record", "rmqueue record -- make")
    missing = settings(kernel, "no-such-command")
    refused(missing, CommandNotFoundError, "no-such-command: command not found")
    assert CommandNotFoundError.exit_status == 127
    plain = settings(kernel, str(kernel.proc / "version"))
    refused(plain, CommandNotFoundError, "is not executable")
    nothing_is_left(kernel)


def test_a_program_that_cannot_run(kernel: FakeKernel) -> None:
    broken = kernel.root / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    refused(settings(kernel, str(broken)), RecordError, f"{broken}: Exec format error")
    nothing_is_left(kernel)


def test_a_folder_that_exists(kernel: FakeKernel) -> None:
    refused(settings(kernel, name="kernel"), UsageError, "kernel: exists", "--output")
    refused(
        settings(kernel, name="no/such/out"),
        *(OutputError, "out: cannot be made in", "No such file"),
    )
    nothing_is_left(kernel)


def test_a_folder_that_comes_to_exist(kernel: FakeKernel) -> None:
    wanted = settings(kernel, "mkdir", str(kernel.root.parent / "out"))
    refused(wanted, OutputError, "somebody has made it meanwhile")
    assert kernel.instances == []
    assert sorted(os.listdir(kernel.root.parent)) == ["kernel", "out"]


def test_no_tracefs(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = settings(kernel, tracefs=kernel.root / "nowhere")
    refused(elsewhere, RecordError, "no tracefs at", "nowhere", "mount -t tracefs")
    places = (kernel.root / "first", kernel.root / "second")
    monkeypatch.setattr(tracefs, "TRACEFS_FOLDERS", places)
    anywhere = settings(kernel, tracefs=None)
    refused(anywhere, RecordError, "first or ", "second: 'mount", "--tracefs")
    monkeypatch.setattr(tracefs, "TRACEFS_FOLDERS", (places[0], kernel.tracefs))
    assert record(anywhere) == 0


def test_no_root(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    access, opened, looked = os.access, os.open, os.stat

    def refuse_open(path: Any, *arguments: Any, **more: Any) -> Any:
        if str(path).endswith("pagetypeinfo"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *arguments, **more)

    def refuse_stat(path: Any, *arguments: Any, **more: Any) -> Any:
        if str(path).startswith(str(kernel.tracefs)):
            raise PermissionError(13, "Permission denied", path)
        return looked(path, *arguments, **more)

    def refuse_access(path: Any, mode: int, **more: Any) -> bool:
        return not str(path).endswith("instances") and access(path, mode, **more)

    for name, refusal in (
        *(("open", refuse_open), ("stat", refuse_stat), ("access", refuse_access)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, refusal)
            refused(settings(kernel), RecordError, "recorded by root", "sudo")
        nothing_is_left(kernel)


def test_no_instances(kernel: FakeKernel) -> None:
    (kernel.tracefs / "instances").rename(kernel.tracefs / "other")
    refused(settings(kernel), RecordError, "this kernel has no instances")
    (kernel.tracefs / "other").rename(kernel.tracefs / "instances")
    nothing_is_left(kernel)


def test_an_event_that_the_kernel_lacks(kernel: FakeKernel) -> None:
    shutil.rmtree(kernel.tracefs / "events/kmem/mm_page_pcpu_drain")
    refused(settings(kernel), RecordError, "no event kmem/mm_page_pcpu_drain:")
    nothing_is_left(kernel)


def test_a_kernel_that_refuses_a_buffer(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).endswith("buffer_size_kb"):
            raise OSError(12, "Cannot allocate memory", path)
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    refused(settings(kernel), RecordError, "Cannot allocate memory: --buffer-kb")
    nothing_is_left(kernel)


def test_an_instance_of_a_killed_recorder(kernel: FakeKernel) -> None:
    left = kernel.tracefs / f"instances/rmqueue-{os.getpid()}"
    Path(left).mkdir()
    refused(settings(kernel), RecordError, f"'rmdir {left}' removes it")
    subprocess.run([kernel.programs / "rmdir", left], check=True)
    nothing_is_left(kernel)


def test_an_instance_that_stays_busy(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracefs, "REMOVAL_PAUSE_S", 0)
    (kernel.root / "busy").touch()
    wanted = settings(kernel)
    refused(wanted, RecordError, "cannot be removed (Device or resource busy)")
    assert not wanted.folder.exists()


@pytest.mark.parametrize(
    ("kernel_lines", "command"),
    [(list(LINES), ["true"]), (MANY, ["sleep", "60"])],
    ids=["at the end", "on the way"],
)
def test_a_full_disk(
    kernel: FakeKernel, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_child, "PATIENCE_S", (0.1, 1.0))
    monkeypatch.setattr(recorder, "open_sink", open_full)
    begun = time.monotonic()
    wanted = settings(kernel, *command)
    refused(wanted, RecordError, "No space left on device: nothing is kept")
    assert time.monotonic() - begun < 30
    nothing_is_left(kernel)


def open_full(path: Path) -> Any:
    """A file on a disk that is full."""
    return open("/dev/full", "wb", buffering=0)


def test_a_second_signal_ends_the_patience(kernel: FakeKernel) -> None:
    class Pending:
        is_done, error = False, None

        def finish(self) -> None: ...

    class Twice:
        stops = 1

        def wait(self, seconds: float) -> None:
            self.stops += 1

    with pytest.raises(KeyboardInterrupt):
        recorder.finish(Pending(), Twice())  # type: ignore[arg-type]


def test_a_signal_before_the_command_begins(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recorder.read_start

    def interrupted(*arguments: Any) -> dict[str, bytes]:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(recorder, "read_start", interrupted)
    touched = kernel.root / "touched"
    with pytest.raises(KeyboardInterrupt):
        record(settings(kernel, "touch", str(touched)))
    assert not touched.exists()
    nothing_is_left(kernel)


def test_handlers_are_put_back(kernel: FakeKernel) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
    before = [signal.getsignal(number) for number in numbers]
    assert record(settings(kernel)) == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_lines_that_should_not_be_there() -> None:
    lines = [recordings.alloc(1, at=30), recordings.alloc(2, at=29), "rubbish\n", "#\n"]
    found = count_lines([line.encode() for line in lines])
    assert (found.out_of_order, found.unparsed_lines) == (1, 1)
    assert (found.first_ts, found.last_ts) == (5.00003, 5.000029)
    assert not found.has_window()
