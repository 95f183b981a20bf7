"""Tracefs recordings: awkward lines, broken files, a made-up recording."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmqueue.errors import TraceError
from rmqueue.mm.profile import PROFILES
from rmqueue.ops import ALLOC, FREE, SET_LRU
from rmqueue.registry import default_registry
from rmqueue.trace.events import EVENT_NAMES, FALLBACK, ISOLATE
from rmqueue.zone import Zone
from rmqueue_plugins.readers.recording import accepts, read
from rmqueue_plugins.readers.state import profile_of
from rmqueue_plugins.readers.tracefs import parse, read_text
from tests.unit.recordings import ABOUT, STATE, alloc, free, line, locked, mark, write

SMALL = [locked(1024, 4), alloc(1024, 4), locked(1040, 4, 0), alloc(1040, 4, 0)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "made", [*SMALL, free(1024, 4)])


# Lines -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task",
    [
        "cat-7",
        "two words-12345",
        "a:b-9",
        "kworker/u8:3-ev-77",
        "[x]-1-2",
        "1.123456: y-5",
        "-9",
        "<idle>-0",
        "mm_page_free: page=0 pfn=0x7 order=0-3",
        "[001] ..... 5.000001: q-4",
    ],
)
def test_task_names_may_hold_anything(task: str) -> None:
    text = "# tracer: nop\n" + alloc(0x400, 3, 2, task=task, cpu=5, at=17)
    (event,) = parse(text.encode(), "x").events
    assert (event["pfn"], event["order"], event["mt"]) == (0x400, 3, 2)
    assert (event["cpu"], event["time_us"], event["line"]) == (5, 5_000_017, 2)


def test_every_event_has_its_columns() -> None:
    text = (
        locked(64, 2, 0, refill=1)
        + line(
            "mm_page_alloc_extfrag: page=0 pfn=0x400 alloc_order=1 fallback_order=9 "
            "pageblock_order=9 alloc_migratetype=0 fallback_migratetype=1 "
            "fragmenting=0 change_ownership=1"
        )
        + line(
            "mm_compaction_isolate_freepages: range=(0x200 ~ 0x400) nr_scanned=9 "
            "nr_taken=5"
        )
        + line("sched_switch: prev_comm=a prev_pid=1")
        + mark("hello world")
    )
    trace = parse(text.encode(), "x")
    assert trace.lines == 5
    assert trace.broken == ()
    first, second, third, last = trace.events
    assert (first["refill"], first["mt"]) == (1, 0)
    assert second["kind"] == FALLBACK
    assert (second["fallback_order"], second["fallback_mt"], second["claim"]) == (
        9,
        1,
        1,
    )
    assert third["kind"] == ISOLATE
    assert (third["pfn"], third["end"], third["taken"]) == (0x200, 0x400, 5)
    assert trace.marks == ((3, "hello world"),)
    assert last["line"] == 5


def test_movable_requests_are_told_by_their_flags() -> None:
    text = alloc(0, mt=1) + alloc(1, mt=0)
    assert parse(text.encode(), "x").events["movable"].tolist() == [1, 0]


def test_comments_lost_events_and_a_last_line_without_an_end() -> None:
    text = "# one\n#two\nCPU:3 [LOST 47 EVENTS]\n" + alloc(8).rstrip("\n")
    trace = parse(text.encode(), "x")
    assert trace.events["line"].tolist() == [4]
    assert trace.lost == ((3, "CPU:3 [LOST 47 EVENTS]"),)


_PREFIX = "expected 'TASK-PID"
#: A line, and what a message says of it.
BROKEN = {
    "nonsense": _PREFIX,
    alloc(8).rstrip().replace("pfn=0x8", "pfn=8"): "'pfn=' has a value",
    alloc(8).rstrip().replace("pfn=0x8", "pfn=0x:"): "'pfn=' has a value",
    alloc(8).rstrip().replace("pfn=0x8", "pfn=0x`"): "'pfn=' has a value",
    alloc(8).rstrip().replace("order=0", "order=77"): "'order=' has a value",
    alloc(8).rstrip().replace("migratetype=1", "migratetype=x"): "'migratetype=' has a",
    alloc(8, order=4).rstrip(): "the block is not aligned to its order",
    alloc(8)[:70]: "mm_page_alloc has no field 'pfn='",
    alloc(8).rstrip().replace("[000]", "[zzz]"): _PREFIX,
    alloc(8).rstrip().replace("[000]", "[12345]"): _PREFIX,
    line("two words: a=1").rstrip(): "expected the name of an event",
}


@pytest.mark.parametrize("wrong", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_line_is_noted_with_its_number(wrong: str) -> None:
    text = alloc(8) * 150 + wrong + "\n" + alloc(16) * 50
    trace = parse(text.encode(), "x")
    assert [number for number, _ in trace.broken] == [151]
    assert len(trace.events) == 200


@pytest.mark.parametrize("wrong", BROKEN, ids=range(len(BROKEN)))
def test_many_broken_lines_are_no_trace(wrong: str) -> None:
    text = alloc(8) * 3 + wrong + "\n"
    with pytest.raises(TraceError, match=r"^x: line 4: .* 1 of 4 lines") as caught:
        parse(text.encode(), "x")
    assert BROKEN[wrong] in str(caught.value)


def test_text_without_a_page_is_refused() -> None:
    for text in ("", "# nothing\n", mark("RMQ SNAP_start"), line("sched_switch: a=1")):
        with pytest.raises(TraceError, match="no event of the page allocator"):
            parse(text.encode(), "x")


def test_blocks_of_text_join_seamlessly(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(alloc(8 * at, 3, at % 3, at=at) for at in range(300)).encode()
    whole = parse(text, "x").events
    monkeypatch.setattr("rmqueue_plugins.readers.tracefs.BLOCK_BYTES", 1000)
    assert (parse(text, "x").events == whole).all()
    assert whole["line"].tolist() == list(range(1, 301))


# Files -------------------------------------------------------------------------------


def test_truncated_xz(tmp_path: Path) -> None:
    whole = lzma.compress(b"x" * 5000)
    path = tmp_path / "a.xz"
    path.write_bytes(whole)
    assert read_text(path) == b"x" * 5000
    for raw in (whole[:-7], whole[:20], b"no xz at all"):
        path.write_bytes(raw)
        with pytest.raises(TraceError, match=r"a\.xz: not whole xz data"):
            read_text(path)
    with pytest.raises(TraceError, match=r"b\.xz: no such file"):
        read_text(tmp_path / "b.xz")


@pytest.mark.parametrize(
    "name",
    ["recording.json", "state-start.json.xz", "pages-start.npz", "trace.txt.xz"],
)
def test_every_file_is_needed(folder: Path, name: str) -> None:
    assert accepts(folder)
    (folder / name).unlink()
    with pytest.raises(TraceError, match="a recording folder holds"):
        read(folder)


@pytest.mark.parametrize(
    "name",
    ["recording.json", "state-start.json.xz", "pages-start.npz", "trace.txt.xz"],
)
def test_every_cut_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(TraceError, match=name) as caught:
        read(folder)
    assert caught.value.exit_status == 4


def with_state(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        state = json.loads(json.dumps(STATE))
        change(state)
        text = json.dumps(state).encode()
        (folder / "state-start.json.xz").write_bytes(lzma.compress(text))

    return edit


def free_lists(state: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = state["zones"][0]["free_lists"]
    return lists


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "overlap": (
        *(with_state(lambda s: free_lists(s).update({"0,1": [1024]})),),
        "free blocks overlap",
    ),
    "outside": (with_state(lambda s: free_lists(s).update({"0,1": [4096]})), "Normal"),
    "unaligned": (with_state(lambda s: free_lists(s).update({"3,1": [9]})), "Normal"),
    "list name": (
        with_state(lambda s: free_lists(s).update({"x": []})),
        "free list 'x' is no 'order,type'",
    ),
    "no number": (
        with_state(lambda s: s["zones"][0].update(spanned_pages="many")),
        "'spanned_pages' must be a whole number, found 'many'",
    ),
    "no zones": (with_state(lambda s: s.update(zones=[])), "no zone has pages"),
    "orders": (with_state(lambda s: s.update(nr_orders=99)), "at most 14"),
    "types": (
        with_state(lambda s: s.update(pageblock_migratetype=[1])),
        "a type for every pageblock",
    ),
    "pages": (
        lambda folder: np.savez(
            folder / "pages-start.npz",
            flags=np.zeros(9, int),
            refcount=np.zeros(9, int),
        ),
        "9 pages, but the state has 4096",
    ),
    "columns": (
        lambda folder: np.savez(folder / "pages-start.npz", flags=np.zeros(9, int)),
        "no .npz file with the columns flags, refcount",
    ),
    "kernel": (
        lambda folder: write_about(folder, kernel_package="linux"),
        "'kernel_package' must begin with a version such as 6.12, found 'linux'",
    ),
    "cpus": (lambda folder: write_about(folder, cpus=0), "'cpus' is 0"),
    "a list": (
        lambda folder: overwrite(folder / "recording.json", b"[]"),
        "a JSON object is needed, found a list",
    ),
    "no start": (
        lambda folder: write_trace(folder, "".join(SMALL)),
        "no line 'tracing_mark_write: RMQ SNAP_start'",
    ),
    "no end": (
        lambda folder: write_trace(folder, mark("RMQ SNAP_start") + "".join(SMALL)),
        "no line 'tracing_mark_write: RMQ SNAP_end'",
    ),
}


def overwrite(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def write_about(folder: Path, **changes: Any) -> None:
    (folder / "recording.json").write_text(json.dumps({**ABOUT, **changes}))


def write_trace(folder: Path, text: str) -> None:
    (folder / "trace.txt.xz").write_bytes(lzma.compress(text.encode()))


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_told(folder: Path, case: str) -> None:
    damage, words = DAMAGE[case]
    damage(folder)
    with pytest.raises(TraceError) as caught:
        read(folder)
    assert words in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_trace_of_another_recording_is_refused(tmp_path: Path) -> None:
    takes = [text for at in range(64) for text in (locked(at, 0), alloc(at, 0))]
    with pytest.raises(TraceError, match="64 of 64 requests take pages"):
        read(write(tmp_path / "other", takes))


# Recordings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "first", "last"),
    [
        ("6.1", (5, 10), (6, 6)),
        ("6.8", (6, 7), (6, 9)),
        ("6.14", (6, 10), (6, 15)),
        ("6.18", (6, 16), (6, 18)),
        ("7.3", (6, 19), (7, 4)),
    ],
)
def test_versions_have_the_profile_of_their_rules(
    kernel: str, first: tuple[int, int], last: tuple[int, int]
) -> None:
    assert profile_of(first) == profile_of(last) == kernel
    assert kernel in PROFILES


def test_a_recording_becomes_ops_that_replay(folder: Path) -> None:
    recording = read(folder)
    assert (recording.name, recording.kernel) == ("made", "6.12.3-made")
    (zone,) = recording.zones
    assert zone.state.kernel == "6.14"
    assert zone.ops["code"].tolist() == [ALLOC, SET_LRU, ALLOC, FREE]
    assert [int(a) & 0xFFFF for a in zone.ops["a"][[0, 2]]] == [4 + 256, 4]
    assert zone.recorded["base_pages"] == 32
    for strategy in ("none", "remembered-fallback"):
        opened = Zone.from_state(zone.state, strategy)
        opened.check()
        result = opened.replay(zone.ops)
        assert result.misuse == {}
        assert result.res[0] == 1024
        opened.check()


def test_the_second_reading_is_the_same(folder: Path, tmp_path: Path) -> None:
    first = read(folder)
    assert len(list((tmp_path / "cache" / "recordings").iterdir())) == 1
    second = read(folder)
    assert second.notes == first.notes
    for zone, again in zip(first.zones, second.zones, strict=True):
        assert (again.ops == zone.ops).all()
        assert again.slots == zone.slots
        assert again.state.watermarks == zone.state.watermarks
        assert set(again.state.free_lists) == set(zone.state.free_lists)


def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path) -> None:
    first = read(folder)
    (kept,) = (tmp_path / "cache" / "recordings").iterdir()
    for raw in (b"", b"garbage", kept.read_bytes()[:300]):
        kept.write_bytes(raw)
        assert (read(folder).zones[0].ops == first.zones[0].ops).all()


def test_an_edited_trace_is_read_again(folder: Path) -> None:
    before = len(read(folder).zones[0].ops)
    write(folder, [*SMALL, locked(2048, 5), alloc(2048, 5)])
    assert len(read(folder).zones[0].ops) != before


def test_the_built_in_recording_is_whole() -> None:
    path = default_registry().experiment("real").path.parent
    (found,) = [child for child in path.iterdir() if child.is_dir()]
    assert accepts(found)
    assert not accepts(path / "real.toml")
    assert not accepts(path)
    assert len(EVENT_NAMES) == 11
    with pytest.raises(TraceError, match="a recording is a folder"):
        read(path / "real.toml")
