"""The shell script of `rmqueue record --dry-run`: it runs, and records the same."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from rmqueue.errors import UsageError
from rmqueue.record import record
from rmqueue.record_script import make_script
from rmqueue.record_settings import RecordSettings
from tests.unit.fake_tracefs import (
    FakeKernel,
    about,
    nothing_is_left,
    settings,
    wait_for,
    write,
)

#: Keys that take a look into the trace, which the script does not.
LOOKS = {
    *("events", "events_per_cpu", "first_ts", "last_ts", "duration_s", "markers"),
    *("unparsed_lines", "out_of_order_lines", "events_while_read"),
}
SHELLS = [
    pytest.param(words, id=" ".join(words))
    for words in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"])
    if shutil.which(words[0])
]


def begin(
    kernel: FakeKernel, wanted: RecordSettings, shell: list[str] | None = None
) -> subprocess.Popen[str]:
    script = kernel.root / "script"
    script.write_text(make_script(wanted))
    return subprocess.Popen(
        [*(shell or ["sh"]), str(script)],
        env=kernel.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def run(
    kernel: FakeKernel, wanted: RecordSettings, shell: list[str] | None = None
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the script."""
    child = begin(kernel, wanted, shell)
    out, err = child.communicate("typed\n", timeout=60)
    return child.returncode, out, err


@pytest.mark.parametrize("shell", SHELLS)
def test_the_same_folder(kernel: FakeKernel, shell: list[str]) -> None:
    command = ("sh", "-c", 'read line; echo "$line" \'"\\\'; exit 3')
    by_script, by_us = (
        settings(kernel, *command, name="script"),
        settings(kernel, *command, name="us"),
    )
    status, out, err = run(kernel, by_script, shell)
    assert (status, out) == (3, 'typed "\\\n'), err
    assert err == f"rmqueue: {by_script.folder}: 0 events lost\n"
    assert kernel.instances == []
    seen = dict(kernel.seen)
    assert record(by_us) == 3
    assert sorted(os.listdir(by_script.folder)) == sorted(os.listdir(by_us.folder))
    for name in os.listdir(by_us.folder):
        one, other = ((folder / name).read_bytes()
                      for folder in (by_script.folder, by_us.folder))  # fmt: skip
        if name.endswith(".gz"):
            assert gzip.decompress(one) == gzip.decompress(other)
        elif name.endswith(".txt"):
            assert one == other, name
    told, expected = about(by_script.folder), about(by_us.folder)
    assert expected.keys() - told.keys() == LOOKS
    assert told.keys() <= expected.keys()
    for key in told.keys() - {"name", "recorded_by", "lost_events"}:
        assert told[key] == expected[key], key
    assert told["lost_events"].items() <= expected["lost_events"].items()
    stats = {name for name in seen if "stats" not in name}
    assert {name: seen[name].strip() for name in stats} == {
        name: kernel.seen[name].strip() for name in stats
    }


def test_options_end_up_in_the_script(kernel: FakeKernel) -> None:
    wanted = replace(
        settings(kernel, "true", name="it's mine"), compress="xz", buffer_kb=4096
    )
    assert run(kernel, wanted)[0] == 0
    assert kernel.seen["buffer_size_kb"].strip() == "4096"
    assert (wanted.folder / "trace.txt.xz").exists()
    assert about(wanted.folder)["name"] == "it's mine"
    write(kernel.proc / "meminfo", "MemFree:   16000 kB\n")
    assert run(kernel, settings(kernel, name="small"))[0] == 0
    assert kernel.seen["buffer_size_kb"].strip() == "1024"


def test_it_asks_nothing_of_this_machine() -> None:
    wanted = RecordSettings(("no-such-command", "a b"), Path("no/such/folder"))
    script = make_script(wanted)
    assert script == make_script(wanted)
    assert script.startswith("#!/bin/sh\n")
    assert script.endswith("\nrmq_main no-such-command 'a b'\n")
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    with pytest.raises(UsageError, match="no command to record"):
        make_script(RecordSettings((), Path("folder")))


def test_it_needs_few_programs(kernel: FakeKernel) -> None:
    few = kernel.root / "few"
    few.mkdir()
    for name in ("cat", "rm", "mv", "sleep", "gzip", "cp"):
        (few / name).symlink_to(str(shutil.which(name)))
    (few / "sh").symlink_to("/bin/sh")
    wanted = settings(kernel, "sh", "-c", "exit 5")
    script = kernel.root / "script"
    script.write_text(make_script(wanted))
    done = subprocess.run(
        ["/bin/sh", script],
        env={"PATH": f"{kernel.programs}:{few}"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (5, b""), done.stderr
    assert json.loads((wanted.folder / "recording.json").read_text())["cpus"] == 2


@pytest.mark.parametrize(
    ("number", "status", "deaf"),
    [
        pytest.param(signal.SIGINT, 130, False, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, True, id="TERM, and the command is deaf"),
    ],
)
def test_signals_keep_what_was_recorded(
    kernel: FakeKernel, number: signal.Signals, status: int, deaf: bool
) -> None:
    started = kernel.root / "started"
    words = ("trap '' INT TERM; " * deaf) + f"echo $$ > {started}; exec sleep 60"
    wanted = settings(kernel, "sh", "-c", words)
    child = begin(kernel, wanted)
    wait_for(started)
    child.send_signal(number)
    err = child.communicate(timeout=60)[1]
    assert child.returncode == status, err
    assert kernel.instances == []
    found = about(wanted.folder)
    assert (found["exit_status"], found["stopped_by"]) == (None, number.name)
    text = gzip.decompress((wanted.folder / "trace.txt.gz").read_bytes())
    assert b"RMQ SNAP_end" in text
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def refused(kernel: FakeKernel, wanted: RecordSettings, status: int, word: str) -> None:
    found, out, err = run(kernel, wanted)
    assert (found, out) == (status, ""), err
    assert word in err
    assert all(line.startswith("rmqueue: ") for line in err.splitlines())


def test_what_it_refuses(kernel: FakeKernel) -> None:
    wanted = settings(kernel)
    refused(kernel, settings(kernel, name="kernel"), 2, "kernel: exists")
    refused(kernel, settings(kernel, "no-such"), 127, "no-such: command not found")
    nowhere = settings(kernel, tracefs=kernel.root / "nowhere")
    refused(kernel, nowhere, 125, "'mount -t tracefs nodev")
    shutil.rmtree(kernel.tracefs / "events/kmem/mm_page_pcpu_drain")
    refused(kernel, wanted, 125, "no event kmem/mm_page_pcpu_drain")
    nothing_is_left(kernel)


def test_what_the_kernel_refuses(kernel: FakeKernel) -> None:
    (kernel.template / "trace_clock").unlink()
    refused(kernel, settings(kernel), 125, "trace_clock: no such file")
    nothing_is_left(kernel)
    (kernel.tracefs / "instances").rename(kernel.tracefs / "other")
    refused(kernel, settings(kernel), 125, "this kernel has no instances")
    (kernel.tracefs / "other").rename(kernel.tracefs / "instances")


def test_a_full_disk(kernel: FakeKernel) -> None:
    gzip_program = kernel.programs / "gzip"
    write(gzip_program, "#!/bin/sh\ncat >/dev/null\nexit 1\n")
    gzip_program.chmod(0o755)
    refused(kernel, settings(kernel), 125, "gzip -1 failed: is the disk full?")
    nothing_is_left(kernel)
