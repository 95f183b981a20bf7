"""``rmqueue trace``: several files, what is printed, ops, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rmqueue import Zone, ZoneConfig
from rmqueue.cli import app
from rmqueue.errors import RmqueueError, TraceError
from rmqueue.ops import read_ops
from rmqueue.trace.columns import KEY, read_columns
from rmqueue.trace.merge import merged
from rmqueue.trace.requests import requests_of
from rmqueue.trace.survey import survey
from rmqueue.trace_source import open_trace
from rmqueue_plugins.readers.tracefs import _scanner
from tests.unit.recordings import alloc, free, line, locked, mark, write
from tests.unit.test_trace_formats import PERF, TRACE_CMD, TRACEFS, joined


def run(*arguments: object) -> str:
    """Standard output of a command that must succeed."""
    result = CliRunner().invoke(app, ["trace", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def text_of(path: Path, *lines: str) -> Path:
    path.write_text("# tracer: nop\n" + "".join(lines))
    return path


def merge(*paths: Path) -> list[str]:
    """Lines of the merged events as ``pfn@time``, and the marks."""
    chunks = list(merged([(str(path), open_trace(path).chunks) for path in paths]))
    events = joined(chunks)
    shown = [f"{event['pfn']}@{event['time_us'] - 5_000_000}" for event in events]
    first = 0
    for chunk in chunks:
        for index, text in chunk.marks:
            shown[first + index] = text
        first += len(chunk.events)
    return shown


# Several files -----------------------------------------------------------------------


def test_parts_are_joined_in_the_order_of_time(tmp_path: Path) -> None:
    first = text_of(tmp_path / "a", alloc(1, at=1), alloc(2, at=5))
    second = text_of(tmp_path / "b", alloc(3, at=5), line("x: a=1", at=6))
    third = text_of(tmp_path / "c", line("tracing_mark_write: hi", at=9))
    assert merge(third, first, second) == ["1@1", "2@5", "3@5", "hi"]
    chunks = merged([(p.name, open_trace(p).chunks) for p in (third, first, second)])
    assert joined(list(chunks))["line"].tolist() == [2, 3, 5, 7]


def test_files_of_cpus_are_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmqueue_plugins.readers.tracefs._MOST_ROWS", 3)
    paths = []
    for cpu in range(3):
        lines = [alloc(at, at=at, cpu=cpu) for at in range(cpu, 60, 3)]
        lines.insert(7, line(f"tracing_mark_write: {cpu}", at=18 + cpu, cpu=cpu))
        paths.append(text_of(tmp_path / f"cpu{cpu}", *lines))
    shown = merge(*paths)
    assert [word for word in shown if "@" in word] == [f"{n}@{n}" for n in range(60)]
    assert [word for word in shown if "@" not in word] == ["0", "1", "2"]
    assert shown[18:20] == ["18@18", "0"]


def test_what_cannot_be_ordered_is_refused(tmp_path: Path) -> None:
    one = text_of(tmp_path / "a", alloc(1, at=1), alloc(2, at=5))
    other = text_of(tmp_path / "b", alloc(1, at=2), alloc(2, at=7))
    with pytest.raises(TraceError, match=r"b: overlaps .*a in time .* both have CPU 0"):
        merge(one, other)
    back = text_of(tmp_path / "c", alloc(1, at=9), alloc(2, at=8))
    with pytest.raises(TraceError, match="c: 1 events are earlier than the one before"):
        merge(one, back)
    with pytest.raises(TraceError, match="no event in it"):
        merge(one, text_of(tmp_path / "d", line("x: a=1")))


# Import and info ---------------------------------------------------------------------


def test_import_keeps_where_it_came_from(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    out = tmp_path / "x.parquet"
    printed = run("import", TRACE_CMD, "-o", out)
    assert "302 events, 2 others left out, 0 broken lines, none lost" in printed
    about = json.loads(pyarrow.parquet.ParquetFile(out).metadata.metadata[KEY])
    (source,) = about["sources"]
    assert (source["file"], source["reader"]) == (TRACE_CMD.name, "trace-cmd")
    assert (source["bytes"], len(source["sha256"])) == (TRACE_CMD.stat().st_size, 64)
    assert (about["schema"], about["about"]["format"]) == (1, "trace-cmd")
    rows = joined(list(read_columns(out)))
    assert (rows == joined(list(open_trace(TRACE_CMD).chunks()))).all()
    text, columns = run("info", TRACE_CMD), run("info", out)
    assert text.splitlines()[1:] == columns.splitlines()[1:]


def test_import_shows_broken_and_lost_lines(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    lines = [alloc(8)] * 300
    path = text_of(tmp_path / "a", *lines, "nonsense\n", "CPU:3 [LOST 47 EVENTS]\n")
    printed = run("import", path, "-o", tmp_path / "x.parquet")
    assert "1 broken lines, events lost in 1 places" in printed
    assert "  line 302: expected 'TASK-PID" in printed
    assert "  line 303: CPU:3 [LOST 47 EVENTS]" in printed
    printed = run("info", tmp_path / "x.parquet")
    assert "lost events: 47, in 1 places" in printed
    assert "302  expected 'TASK-PID [CPU]" in printed


def test_info_sums_up(tmp_path: Path) -> None:
    printed = run("info", TRACEFS)
    for words in (
        "tracefs, kernel unknown",
        "mm_page_alloc_zone_locked           139",
        "tracing_mark_write                    2",
        "  claim  movable <- reclaimable",
        "compaction (begin to end)",
        "RMQ SNAP_start",
    ):
        assert words in printed, words
    assert "steal  movable <- unmovable" in run("info", PERF)


def test_compaction_without_begin_and_end(tmp_path: Path) -> None:
    isolate = (
        "mm_compaction_isolate_freepages: range=(0x0 ~ 0x9) nr_scanned=9 nr_taken="
    )
    lines = [line(f"{isolate}{taken}", at=20_000 * taken) for taken in (1, 2)]
    lines.append(line(f"{isolate}4", at=40_007))
    found = survey(open_trace(text_of(tmp_path / "a", *lines)).chunks())
    assert not found.marked
    windows = [(c.first_us, c.isolations, c.taken) for c in found.compactions]
    assert windows == [(5_020_000, 1, 1), (5_040_000, 2, 6)]


def test_types_have_the_names_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(
        tmp_path / "made",
        [alloc(0, mt=1), line("mm_page_pcpu_drain: pfn=0x0 order=0 migratetype=4")],
        migratetypes=[
            *(["MIGRATE_UNMOVABLE", 0], ["MIGRATE_MOVABLE", 1]),
            *(["MIGRATE_RECLAIMABLE", 2], ["MIGRATE_PCPTYPES", 3]),
            *(["MIGRATE_HIGHATOMIC", 3], ["MIGRATE_ISOLATE", 4]),
            ["MIGRATE_TYPES", 5],
        ],
    )
    found = survey(open_trace(folder).chunks())
    assert found.about["kernel"] == "6.12.3-made"
    assert [found.type_name(mt) for mt in (3, 4, 5)] == [
        *("highatomic", "isolate", "type 5"),
    ]


# Ops ---------------------------------------------------------------------------------


def test_ops_of_a_trace_alone_replay(tmp_path: Path) -> None:
    path = text_of(
        tmp_path / "a",
        free(512, 3),  # from before
        alloc(64, 2, 0),
        alloc(0, 0),  # failed
        free(66),  # a part
        free(66),  # again
        alloc(1024, 4),
        alloc(1025, 0),  # inside: the free was not seen
        free(64),
        free(1025),
    )
    printed = run("ops", path, "-o", tmp_path / "x.npz")
    assert "1 frees of free pages: left out" in printed
    (stream,), about = read_ops(tmp_path / "x.npz")
    assert stream.blocks.tolist() == [[512, 3]]
    assert about["source"]["file"] == "a"
    zone = Zone(ZoneConfig(pages=4096), "remembered-fallback")
    for ops in (stream.set_up(), stream.ops):
        assert zone.replay(ops).misuse == {}
    zone.check()
    _, inferred = requests_of(open_trace(path).chunks(), "x")
    assert inferred == {"before": 1, "failed": 1, "freed_twice": 1, "freed_unseen": 1}


def test_ops_of_a_recording_are_those_of_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))
    events = [locked(1024, 4), alloc(1024, 4), alloc(2048, 4), free(1024, 4)]
    folder = write(tmp_path / "made", events)
    printed = run("ops", folder, "-o", tmp_path / "x.npz")
    assert "allocations came straight from a free" in printed
    (stream,), _ = read_ops(tmp_path / "x.npz")
    (zone,) = open_trace(folder).reader.read(folder).zones
    assert (stream.ops == zone.ops).all()
    assert (stream.blocks == zone.state.blocks).all()
    assert stream.name == "Normal"


def test_damaged_ops_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for write_it in (
        lambda: path.write_bytes(b"nothing"),
        lambda: np.savez(path, about=np.frombuffer(b"{}", np.uint8)),
        lambda: np.savez(path, about=np.frombuffer(b'{"rmqueue ops": 9}', np.uint8)),
        path.unlink,
    ):
        write_it()
        with pytest.raises(TraceError, match=r"x\.npz: "):
            read_ops(path)


# What is refused ---------------------------------------------------------------------


def raw(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (raw(b""), "no trace reader accepts this recording: it is empty"),
    "a.txt": (raw(b"hello\n"), r"accepts this recording: it begins with b'hello\\n'"),
    "noise": (raw(bytes(range(256)) * 99), "no trace reader accepts this recording: "),
    "folder": (Path.mkdir, "it is a folder with nothing in it"),
    "missing": (lambda path: None, "no such file, folder or built-in experiment"),
    "a.xz": (raw(b"no xz"), r"not whole xz data \(it begins with b'no xz'\)"),
    "b.xz": (raw(b"\xfd7zXZ\x00cut"), "not whole xz data"),
    "b.gz": (raw(b"\x1f\x8b\x08\x00cut"), "not whole gzip data"),
    "trace.dat": (raw(b"\x17\x08\x44tracing6"), "run 'trace-cmd report -i FILE' first"),
    "perf.data": (raw(b"PERFILE2xx"), "run 'perf script -i FILE' first"),
    "pipe": (os.mkfifo, "neither a file nor a folder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_line(name: str, tmp_path: Path) -> None:
    make, words = REFUSED[name]
    path = tmp_path / name
    make(path)
    with pytest.raises(RmqueueError, match=words) as caught:
        run("info", path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status in (2, 4)


def test_cut_zstd_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.zst"
    with pyarrow.output_stream(str(path), compression="zstd") as out:
        out.write(TRACEFS.read_bytes())
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(TraceError, match=r"a\.zst: not whole zstd data"):
        run("info", path)


def test_nothing_is_begun_that_cannot_be_written(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "no" / "x.parquet"):
        for command in ("import", "ops"):
            with pytest.raises(RmqueueError, match="cannot be written"):
                run(command, TRACEFS, "-o", out)
    with pytest.raises(TraceError, match="nothing is requested in this trace"):
        run("ops", text_of(tmp_path / "a", mark("x")), "-o", tmp_path / "x.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("command", ["import", "ops"])
def test_the_input_is_not_written_over(command: str, tmp_path: Path) -> None:
    path = text_of(tmp_path / "t.txt", alloc(1), free(1))
    before = path.read_bytes()
    with pytest.raises(RmqueueError, match="name another"):
        run(command, path, "-o", path)
    assert path.read_bytes() == before


def test_traces_of_two_forms_are_no_parts_of_one(tmp_path: Path) -> None:
    with pytest.raises(RmqueueError, match="one form"):
        run("import", TRACEFS, PERF, "-o", tmp_path / "x.parquet")


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(
        "rmqueue.binding.code_folder", lambda: tmp_path / "file" / "code"
    )
    with pytest.raises(RmqueueError, match="RMQUEUE_CACHE_DIR"):
        _scanner.__wrapped__()
