"""Forms of traces: the same events whoever wrote the text, and back from Parquet."""

from __future__ import annotations

import gzip
import io
import lzma
from pathlib import Path

import numpy as np
import pytest

from rmqueue.errors import RmqueueError, TraceError
from rmqueue.registry import default_registry
from rmqueue.trace.chunks import Chunk
from rmqueue.trace.columns import KEY, read_columns, write_columns
from rmqueue.trace.events import COMPACT_BEGIN, EVENTS, FALLBACK, ISOLATE, MARK
from rmqueue.trace_source import open_trace
from rmqueue_plugins.readers import tracefs
from rmqueue_plugins.readers.files import form_of, form_of_text, read_text
from rmqueue_plugins.readers.recording import read
from rmqueue_plugins.readers.tracefs import chunks_of, parse
from tests.unit.recordings import alloc, free, line, locked, mark, write

TRACES = Path(__file__).parent / "traces"
TRACEFS, TRACE_CMD, PERF = (
    TRACES / name
    for name in ("6.18-tracefs.txt", "6.18-trace-cmd.txt", "6.12-perf.txt")
)
#: The flags are not in the text of trace-cmd, and lines are counted from its own first.
PRINTED = [name for name in EVENTS.names or () if name not in ("line", "irq")]


def joined(chunks: list[Chunk]) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return np.concatenate([chunk.events for chunk in chunks])


# What differs between the tools ------------------------------------------------------


def test_trace_cmd_and_tracefs_give_equal_events() -> None:
    ours, theirs = (parse(p.read_bytes(), p.name) for p in (TRACEFS, TRACE_CMD))
    assert len(ours.events) == 300
    for name in PRINTED:
        assert (ours.events[name] == theirs.events[name]).all(), name
    assert ours.marks == theirs.marks == ((0, "RMQ SNAP_start"), (1, ours.marks[1][1]))
    assert (ours.lines, ours.broken) == (theirs.lines, theirs.broken) == (304, ())
    assert set(theirs.events["irq"]) == {0}


def test_fragmenting_is_that_of_the_kernel() -> None:
    text = TRACE_CMD.read_text()
    assert "fragmenting=10" in text
    events = parse(text.encode(), "x").events
    fallbacks = events[events["kind"] == FALLBACK]
    assert fallbacks["fallback_order"].tolist() == [9, 0]
    assert fallbacks["fragmenting"].tolist() == [0, 1]
    assert set(events["fragmenting"][events["kind"] != FALLBACK]) == {-1}
    perf = parse(PERF.read_bytes(), "x").events
    perf = perf[perf["kind"] == FALLBACK]
    assert (perf["fragmenting"] == (perf["fallback_order"] < 9)).all()


def test_perf_names_system_and_event() -> None:
    trace = parse(PERF.read_bytes(), "perf")
    assert (len(trace.events), trace.lines, trace.broken) == (250, 250, ())
    first = trace.events[0]
    assert (first["cpu"], first["time_us"]) == (0, 12_008_481)
    assert (first["pfn"], first["order"], first["mt"]) == (0x52F0, 2, 0)
    movable = trace.events["movable"][trace.events["mt"] == 1]
    assert 1 in movable


@pytest.mark.parametrize(
    "prefix",
    [
        "            sup   261 [000]    12.008481: kmem:",
        "  two words 7   261/262 [000] 12.008481:      kmem:",
        "a:b 1.123456: x 261 [000] 12.008481: kmem:",
        "sup   261 [000]    12.008481999: kmem:",
    ],
)
def test_tasks_of_perf_may_hold_anything(prefix: str) -> None:
    text = PERF.read_text() + prefix + "mm_page_free: page=0x8 pfn=0x8 order=3\n"
    event = parse(text.encode(), "x").events[-1]
    assert (event["time_us"], event["pfn"], event["order"]) == (12_008_481, 8, 3)


@pytest.mark.parametrize("packed", ["plain", "xz", "gz", "zst"])
@pytest.mark.parametrize("path", [TRACEFS, TRACE_CMD, PERF], ids=lambda p: str(p.stem))
def test_packed_text_is_the_same(path: Path, packed: str, tmp_path: Path) -> None:
    raw = path.read_bytes()
    file = tmp_path / "trace"  # not its name tells how it is packed
    if packed == "zst":
        pyarrow = pytest.importorskip("pyarrow")
        with pyarrow.output_stream(str(file), compression="zstd") as out:
            out.write(raw)
    else:
        done = {"plain": raw, "xz": lzma.compress(raw), "gz": gzip.compress(raw)}
        file.write_bytes(done[packed])
    assert read_text(file) == raw
    assert form_of(file) == form_of(path)
    chunks = list(open_trace(file).chunks())
    kinds = [event for event in joined(chunks) if event["kind"] < COMPACT_BEGIN]
    assert len(kinds) == len(parse(raw, "x").events)


def test_lines_may_end_as_in_windows() -> None:
    text = TRACEFS.read_bytes()
    one, other = parse(text, "x"), parse(text.replace(b"\n", b"\r\n"), "x")
    assert (one.events == other.events).all()
    assert one.marks == other.marks


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b"# tracer: nop\n", "tracefs"),
        (alloc(8).encode(), "tracefs"),
        (b"cpus=2\n", "trace-cmd"),
        (b"a-1 [000] 5.000001: mm_page_free: pfn=0x1 order=0\n", "trace-cmd"),
        (b"# captured on    : Wed\n", "perf-script"),
        (b"\x17\x08\x44tracing7", "trace.dat"),
        (b"PERFILE2", "perf.data"),
        (b"PAR1", "parquet"),
        (b"nothing of all this\n" * 9, ""),
        (b"", ""),
    ],
)
def test_forms_are_told_by_how_a_file_begins(text: bytes, form: str) -> None:
    assert form_of_text(text) == form


def test_every_form_has_one_reader() -> None:
    registry = default_registry()
    for path, name in ((TRACEFS, "tracefs"), (TRACE_CMD, "trace-cmd")):
        assert registry.reader_for(path).name == name
    reader = registry.reader_for(PERF)
    assert reader.name == "perf-script"
    with pytest.raises(TraceError, match=r"6\.12-perf.*name the recording folder"):
        reader.read(PERF)


def test_the_kernel_is_known_where_the_text_names_it() -> None:
    head = b"# hostname : x\n# os release : 6.12.117\n"
    (chunk,) = chunks_of(io.BytesIO(head + PERF.read_bytes()), "x")
    assert chunk.about == {"format": "perf-script", "kernel": "6.12.117"}


# Lost and broken lines ---------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "CPU:3 [LOST 47 EVENTS]",
        "CPU:0 [47 EVENTS DROPPED]",
        "CPU:0 [EVENTS DROPPED]",
        "   swapper     0 [001] 12.5: PERF_RECORD_LOST lost 47",
        "Processed 317721 events and lost 4 chunks!",
    ],
)
def test_lost_events_are_told_by_all_tools(words: str) -> None:
    text = f"# tracer: nop\n{alloc(8)}{words}\n{alloc(16)}"
    trace = parse(text.encode(), "x")
    assert trace.lost == ((3, words),)
    assert (trace.lines, trace.broken) == (2, ())


def test_remarks_of_the_tools_are_no_lines() -> None:
    text = (
        "cpus=2\nversion = 7\nCPU 1 is empty\n"
        + alloc(8)
        + "\tffffffff81234567 __alloc_pages+0x1\n => __alloc_pages\n\n"
        + line("<stack trace>")
    )
    trace = parse(text.encode(), "x")
    assert (len(trace.events), trace.lines, trace.broken) == (1, 2, ())


def test_a_missing_field_is_named() -> None:
    text = TRACEFS.read_bytes().replace(b" change_ownership=1", b"")
    trace = parse(text, "x")
    assert [number for number, _ in trace.broken] == [77]
    chunks = list(chunks_of(io.BytesIO(text), "x"))
    reasons = {broken.reason for chunk in chunks for broken in chunk.broken}
    assert reasons == {"mm_page_alloc_extfrag has no field 'change_ownership='"}
    with pytest.raises(TraceError, match=r"no field 'pfn='.* of Linux 6\.1 or later"):
        parse(TRACEFS.read_bytes().replace(b" pfn=", b" pfm="), "x")


def test_garbage_is_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracefs, "BLOCK_BYTES", 1 << 14)
    rest = iter(range(10))

    class Endless(io.BytesIO):
        def readinto(self, room: object) -> int:
            next(rest)  # not so many reads
            view = memoryview(room)  # type: ignore[arg-type]
            view[:] = (b"nonsense\n" * (len(view) // 9 + 1))[: len(view)]
            return len(view)

    with pytest.raises(TraceError, match=r"'nonsense'; .* lines are broken"):
        list(chunks_of(Endless(), "x"))


def test_a_line_without_an_end_is_refused() -> None:
    text = alloc(8) + "a" * (tracefs.BLOCK_BYTES + tracefs.LONGEST_LINE)
    with pytest.raises(TraceError, match="x: line 2: more than 65,536 bytes without a"):
        parse(text.encode(), "x")


def test_more_notes_than_the_scanner_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracefs, "_MOST_NOTES", 3)
    monkeypatch.setattr(tracefs, "_MOST_ROWS", 5)
    text = "".join(mark(f"mark {at}") + alloc(8) for at in range(20))
    trace = parse(text.encode(), "x")
    assert [text for _, text in trace.marks] == [f"mark {at}" for at in range(20)]
    assert [index for index, _ in trace.marks] == list(range(0, 40, 2))
    assert set(trace.events["kind"][::2]) == {MARK}


# Parquet -----------------------------------------------------------------------------


def test_columns_come_back(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    text = TRACEFS.read_text() + "CPU:1 [LOST 9 EVENTS]\nnonsense\n"
    chunks = list(chunks_of(io.BytesIO(text.encode()), "x"))
    path = tmp_path / "x.parquet"
    write_columns(path, iter(chunks), {"rmqueue": "0", "sources": []})
    again = list(read_columns(path))
    assert (joined(again) == joined(chunks)).all()
    for name in ("marks", "lines", "others", "nr_broken", "broken", "lost", "about"):
        (one,), (other,) = (
            [getattr(c, name) for c in part] for part in (chunks, again)
        )
        assert one == other, name
    assert list(tmp_path.iterdir()) == [path]


def test_rows_are_kept_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("rmqueue.trace.columns.GROUP_ROWS", 100)
    monkeypatch.setattr("rmqueue.trace.columns.READ_ROWS", 64)
    monkeypatch.setattr(tracefs, "BLOCK_BYTES", 5000)
    raw = TRACEFS.read_bytes() + mark("late").encode()
    chunks = list(chunks_of(io.BytesIO(raw), "x"))
    assert len(chunks) > 5
    path = tmp_path / "x.parquet"
    write_columns(path, iter(chunks), {})
    again = list(read_columns(path))
    assert (joined(again) == joined(chunks)).all()
    assert again[-1].marks[-1][1] == "late"
    assert sum(chunk.lines for chunk in again) == sum(chunk.lines for chunk in chunks)


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    text = (alloc(8) + "nonsense\n").encode()
    with pytest.raises(TraceError, match="line 2"):
        write_columns(tmp_path / "x.parquet", chunks_of(io.BytesIO(text), "x"), {})
    assert not list(tmp_path.iterdir())


def test_strange_parquet_is_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
    with pytest.raises(TraceError, match="but not one that 'rmqueue trace import'"):
        list(read_columns(path))
    write_columns(path, chunks_of(io.BytesIO(TRACEFS.read_bytes()), "x"), {})
    whole, table = path.read_bytes(), pyarrow.parquet.read_table(path)
    about = pyarrow.parquet.ParquetFile(path).metadata.metadata[KEY]
    for meta, words in (
        (about.replace(b'"schema": 1', b'"schema": 2'), "schema 2, and this rmqueue"),
        (about.replace(b'"marks"', b'"mark"'), "metadata are damaged"),
        (b"[]", "metadata are damaged"),
        (about, "column 'pfn' must be int64, it is missing"),
    ):
        small = table.drop_columns(["pfn"]).replace_schema_metadata({KEY: meta})
        pyarrow.parquet.write_table(small, path)
        with pytest.raises(TraceError, match=words):
            list(read_columns(path))
    for raw in (whole[:2000], whole[:-9], whole[:900] + bytes(99) + whole[999:]):
        path.write_bytes(raw)
        with pytest.raises(TraceError, match=r"x\.parquet: "):
            list(read_columns(path))


# Recording folders -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["trace-cmd-report.txt", "trace.parquet"])
def test_a_folder_may_hold_any_form(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))
    lines = [locked(1024, 4), alloc(1024, 4), free(1024, 4)]
    folder = write(tmp_path / "made", lines)
    expected = read(folder)
    text = lzma.decompress((folder / "trace.txt.xz").read_bytes()).decode()
    (folder / "trace.txt.xz").unlink()
    if form.endswith(".txt"):
        report = text.replace(".....", "").replace(
            "tracing_mark", "print: tracing_mark"
        )
        (folder / form).write_text("cpus=1\n" + report)
    else:
        pytest.importorskip("pyarrow")
        write_columns(folder / form, chunks_of(io.BytesIO(text.encode()), "x"), {})
    found = read(folder)
    assert (found.zones[0].ops == expected.zones[0].ops).all()
    chunks = list(open_trace(folder).chunks())
    assert chunks[0].about["kernel"] == "6.12.3-made"
    assert chunks[0].about["trace"] == form


def test_isolations_and_compactions_have_their_rows() -> None:
    events = joined(list(chunks_of(io.BytesIO(TRACE_CMD.read_bytes()), "x")))
    assert (events["kind"] >= COMPACT_BEGIN).sum() == 2
    isolated = events[events["kind"] == ISOLATE]
    assert len(isolated) == 38
    assert (isolated["pfn"] < isolated["end"]).all()


def test_without_pyarrow_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(RmqueueError, match=r"pip install 'rmqueue\[trace\]'"):
        write_columns(tmp_path / "x.parquet", iter([]), {})
