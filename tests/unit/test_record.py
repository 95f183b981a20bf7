"""`rmqueue record` on a kernel of files and pipes."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rmqueue.record import record
from rmqueue.record_scan import open_trace
from rmqueue.record_settings import NEEDED_EVENTS, PROC_FILES, RecordSettings
from rmqueue_plugins.readers.recording import read
from tests.meta.sources import ROOT
from tests.unit import recordings
from tests.unit.fake_tracefs import (
    LINES,
    MANY,
    FakeKernel,
    about,
    mark,
    settings,
    wait_for,
)

#: `main` of the fake, as a process.
DRIVER = ("-m", "tests.unit.fake_tracefs")
WHOLE = sorted(
    [f"{when}-{name}.txt" for when in ("start", "end") for name in PROC_FILES]
    + ["formats.txt", "recording.json", "trace.txt.gz"]
)
WINDOW = "".join(
    map(mark, ("RMQ PROC_start", "RMQ SNAP_start", "RMQ SNAP_end", "RMQ PROC_end"))
)

GAPS = [LINES[0], "CPU:1 [LOST 12 EVENTS]\n", "CPU:0 [LOST EVENTS]\n", LINES[1]]


def test_a_whole_recording(
    kernel: FakeKernel, capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = settings(kernel, "sh", "-c", "echo hello; exit 3")
    assert record(wanted) == 3
    assert capfd.readouterr() == ("hello\n", f"rmqueue: {wanted.folder}: 20 events "
                                  "in 0.000 s\n")  # fmt: skip
    assert sorted(os.listdir(wanted.folder)) == WHOLE
    assert (wanted.folder.stat().st_mode & 0o555) == 0o555
    text = gzip.decompress((wanted.folder / "trace.txt.gz").read_bytes()).decode()
    begin = WINDOW.index(mark("RMQ SNAP_end"))
    assert text == WINDOW[:begin] + "".join(LINES) + WINDOW[begin:]
    assert kernel.instances == []
    for name in PROC_FILES:
        content = (kernel.proc / name).read_text()
        assert (wanted.folder / f"start-{name}.txt").read_text() == content
        assert (wanted.folder / f"end-{name}.txt").read_text() == content
    assert (
        "name: mm_page_alloc\nname: mm_page_alloc_zone_locked"
        in (wanted.folder / "formats.txt").read_text()
    )


def test_what_the_kernel_is_told(kernel: FakeKernel) -> None:
    wanted = settings(kernel, "cat", f"{kernel.tracefs}/instances/x", buffer_kb=4096)
    assert record(wanted) == 1
    told = {name: text.strip() for name, text in kernel.seen.items()}
    assert told["buffer_size_kb"] == "4096"
    assert told["trace_clock"] == "global"
    assert told["tracing_on"] == "0"
    assert all(told[f"events/{event}/enable"] == "1" for event in NEEDED_EVENTS)
    on = [name for name in ("overwrite", "markers", "hex", "bin")
          if told[f"options/{name}"] == "1"]  # fmt: skip
    assert on == ["overwrite", "markers"]
    for event in NEEDED_EVENTS:  # the machine's own tracing is left alone
        assert (kernel.tracefs / "events" / event / "enable").read_text() == "0\n"


def test_what_recording_json_says(kernel: FakeKernel) -> None:
    wanted = settings(kernel, "sh", "-c", "exit 0")
    assert record(wanted) == 0
    found = about(wanted.folder)
    assert found["name"] == "out"
    assert found["kernel_package"] == "6.12.3-made"
    assert found["cpus"] == 2
    assert found["page_block_order"] == 9
    assert found["command"] == ["sh", "-c", "exit 0"]
    assert found["workload_cmd"] == "sh -c 'exit 0'"
    assert (found["exit_status"], found["stopped_by"]) == (0, None)
    assert found["buffer_kb_per_cpu"] == "32000"  # 1 GB free, 16th part, two CPUs
    assert found["per_cpu_stats"]["cpu1"]["overrun"] == "0"
    assert set(found["lost_events"].values()) == {0}
    assert [text for _, text in found["markers"]][1:3] == [
        *("RMQ SNAP_start", "RMQ SNAP_end")
    ]
    assert found["events"]["mm_page_alloc"] == 8
    assert "vmscan/mm_vmscan_kswapd_sleep" in found["missing_events"]
    assert found["start_state"]["exact"] is False
    assert "start-pagetypeinfo.txt" in found["start_state"]["from"]
    assert found["events_while_read"] == {"start": 0, "end": 0}
    assert all((wanted.folder / path).exists() for path in found["paths"].values())


def test_readers_take_it_once_the_start_state_is_there(kernel: FakeKernel) -> None:
    wanted = settings(kernel, "true", compress="xz")
    assert record(wanted) == 0
    packed = (wanted.folder / "trace.txt.xz").read_bytes()
    assert b"RMQ SNAP_end" in lzma.decompress(packed)
    made = recordings.write(kernel.root.parent / "made", [])
    for name in ("state-start.json.xz", "pages-start.npz"):
        shutil.copyfile(made / name, wanted.folder / name)
    recording = read(wanted.folder)
    assert recording.name == "out"
    assert recording.kernel == "6.12.3-made"
    assert recording.zones[0].recorded["pages"] == 8


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_zstd(kernel: FakeKernel) -> None:
    wanted = settings(kernel, "true", compress="zst")
    assert record(wanted) == 0
    with open_trace(wanted.folder / "trace.txt.zst") as file:
        assert file.read().decode().count("mm_page_alloc:") == 8


@pytest.mark.parametrize("kernel_lines", [MANY], ids=["40,000 lines"])
def test_a_trace_larger_than_every_buffer(kernel: FakeKernel) -> None:
    wanted = settings(kernel)
    assert record(wanted) == 0
    with gzip.open(wanted.folder / "trace.txt.gz", "rt") as file:
        assert [line for line in file if "mm_page_alloc:" in line] == MANY


@pytest.mark.parametrize("kernel_lines", [GAPS], ids=["12 lost"])
def test_lost_events(kernel: FakeKernel, capfd: pytest.CaptureFixture[str]) -> None:
    kernel.overrun = 6
    wanted = settings(kernel)
    assert record(wanted) == 0
    lost = about(wanted.folder)["lost_events"]
    assert lost["overrun"] == 12
    assert lost["lost lines"] == 2
    assert lost["events of lost lines"] == 12
    err = capfd.readouterr().err
    assert "12 events were lost" in err
    assert "--buffer-kb above 32000" in err


def test_a_command_that_is_killed(kernel: FakeKernel) -> None:
    assert record(settings(kernel, "sh", "-c", "kill -9 $$")) == 137


@pytest.mark.parametrize(
    ("number", "status", "deaf"),
    [
        pytest.param(signal.SIGINT, 130, False, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, True, id="TERM, and the command is deaf"),
    ],
)
def test_signals_keep_what_was_recorded(
    kernel_root: Path, number: signal.Signals, status: int, deaf: bool
) -> None:
    started = kernel_root.parent / "started"
    script = ("trap '' INT TERM; " * deaf) + f"echo $$ > {started}; exec sleep 60"
    with FakeKernel(kernel_root) as kernel:
        wanted = settings(kernel, "sh", "-c", script)
        child = begin(kernel, wanted)
        wait_for(started)
        child.send_signal(number)
        err = child.communicate(timeout=60)[1]
        assert kernel.instances == []
    assert child.returncode == status, err
    assert f"stopped by {number.name}: kept what was recorded until then" in err
    assert "Traceback" not in err
    assert sorted(os.listdir(wanted.folder)) == WHOLE
    found = about(wanted.folder)
    assert (found["exit_status"], found["stopped_by"]) == (None, number.name)
    assert found["events"]["mm_page_alloc"] == 8
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def begin(kernel: FakeKernel, wanted: RecordSettings) -> subprocess.Popen[str]:
    """The command as a process of its own, which can be sent signals."""
    where = [str(kernel.root), "record", "-o", str(wanted.folder), *kernel.options]
    return subprocess.Popen(
        [sys.executable, *DRIVER, *where, "--", *wanted.command],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
