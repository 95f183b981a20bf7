"""A start state that is made up from counts of /proc and a trace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rmqueue.errors import TraceError
from rmqueue.registry import default_registry
from rmqueue.start import read_recording
from rmqueue.types import ZoneState
from rmqueue.zone import Zone
from rmqueue_plugins.readers.evidence import read_evidence
from rmqueue_plugins.readers.forget import drop_state, forget_state
from rmqueue_plugins.readers.recording import accepts, read
from rmqueue_plugins.readers.state import Lists
from tests.unit import proc_texts, recordings
from tests.unit.recordings import alloc, free, line, locked

FREE = {"Movable": {10: 2, 3: 2, 0: 1}, "Unmovable": {4: 1, 0: 2}}
PAGEBLOCKS = {"Movable": 6, "Unmovable": 2}
SMALL = [locked(1024, 0), alloc(1024, 0), free(5), locked(3000, 0, 0)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return proc_texts.write(tmp_path / "made", SMALL, FREE, PAGEBLOCKS, lru=100)


def start_of(folder: Path, seed: int = 1) -> ZoneState:
    (zone,) = read_evidence(folder, seed).start
    return zone


def counts(lists: Lists) -> dict[tuple[int, int], int]:
    return {key: len(pfns) for key, pfns in lists.items()}


def free_pages(zone: ZoneState) -> set[int]:
    return {
        page
        for (order, _), pfns in zone.free_lists.items()
        for pfn in pfns.tolist()
        for page in range(pfn, pfn + (1 << order))
    }


def test_counts_are_those_of_pagetypeinfo(folder: Path) -> None:
    zone = start_of(folder)
    assert counts(dict(zone.free_lists)) == {
        (10, 1): 2,
        (3, 1): 2,
        (0, 1): 1,
        (4, 0): 1,
        (0, 0): 2,
    }
    assert np.bincount(zone.pageblock_types).tolist() == [2, 6]
    assert (zone.watermarks, len(zone.lru)) == ((60, 75, 90), 100)
    assert not free_pages(zone) & set(zone.lru.tolist())


def test_what_the_trace_says_is_kept(folder: Path) -> None:
    for seed in range(1, 6):
        zone = start_of(folder, seed)
        assert {1024, 3000} <= free_pages(zone)
        assert 5 not in free_pages(zone)
        assert 5 in zone.lru.tolist() or zone.pageblock_types[0] != 1
        assert (zone.pageblock_types[1024 >> 9], zone.pageblock_types[3000 >> 9]) == (
            1,
            0,
        )
        Zone.from_state(zone, "remembered-fallback").check()


def test_a_fallback_tells_the_whole_block_and_its_pageblock(tmp_path: Path) -> None:
    lines = [
        line(
            "mm_page_alloc_extfrag: page=0 pfn=0x640 alloc_order=0 fallback_order=6 "
            "pageblock_order=9 alloc_migratetype=1 fallback_migratetype=2 "
            "fragmenting=1 change_ownership=0"
        ),
        alloc(0x640),
    ]
    wanted = {"Movable": {3: 1}, "Reclaimable": {6: 1}}
    blocks = {"Movable": 7, "Reclaimable": 1}
    folder = proc_texts.write(tmp_path / "made", lines, wanted, blocks)
    zone = start_of(folder)
    assert zone.free_lists[6, 2].tolist() == [0x640]
    assert zone.pageblock_types[0x640 >> 9] == 2


def test_a_type_that_fell_back_had_no_other_block(tmp_path: Path) -> None:
    """Whatever counts say that were read at another moment."""
    steal = line(
        "mm_page_alloc_extfrag: page=0 pfn=0x800 alloc_order=2 fallback_order=10 "
        "pageblock_order=9 alloc_migratetype=1 fallback_migratetype=0 "
        "fragmenting=0 change_ownership=1"
    )
    lines = [locked(1024), steal, alloc(0x800, 2)]
    wanted = {"Movable": {0: 2, 1: 3, 5: 2}, "Unmovable": {10: 1, 3: 1}}
    blocks = {"Movable": 4, "Unmovable": 4}
    folder = proc_texts.write(tmp_path / "made", lines, wanted, blocks)
    evidence = read_evidence(folder)
    assert counts(dict(evidence.start[0].free_lists)) == {
        (0, 1): 2,
        (1, 1): 3,
        (3, 0): 1,
        (10, 0): 1,
    }
    assert any(
        "2 free blocks of pagetypeinfo have no place" in n for n in evidence.notes
    )


def test_per_cpu_lists_hold_what_is_given_out_and_what_is_counted(
    tmp_path: Path,
) -> None:
    lines = [alloc(2000), alloc(2004, 1), locked(1024)]
    folder = proc_texts.write(tmp_path / "made", lines, FREE, PAGEBLOCKS, count=20)
    zone = start_of(folder)
    first, second = zone.pcps
    assert (first.count, second.count, first.batch) == (20, 0, 15)
    assert first.lists[1].tolist()[0] == 2000
    assert first.lists[4].tolist() == [2004]
    listed = {int(pfn) for pfns in first.lists.values() for pfn in pfns}
    assert not listed & free_pages(zone)


def test_the_seed_decides_what_nothing_else_does(folder: Path) -> None:
    def bytes_of(seed: int) -> list[list[int]]:
        zone = start_of(folder, seed)
        return [*(p.tolist() for p in zone.free_lists.values()), zone.lru.tolist()]

    assert bytes_of(3) == bytes_of(3)
    assert bytes_of(3) != bytes_of(4)


def test_it_is_replayed_like_any_recording(folder: Path) -> None:
    assert accepts(folder)
    reader = default_registry().reader_for(folder)
    assert reader.seeded
    recording = read_recording(reader, folder, 7)
    assert "the start state is made up from pagetypeinfo, seed 7" in recording.notes
    assert "seed 1" in read(folder).notes[0], "the cache keeps seeds apart"
    (zone,) = recording.zones
    result = Zone.from_state(zone.state, "remembered-fallback").replay(zone.ops)
    assert (result.served, result.misuse) == (2, {})


def test_evidence_says_that_it_is_not_exact(folder: Path) -> None:
    evidence = read_evidence(folder)
    assert not evidence.exact
    assert evidence.end == ()
    (end,) = evidence.end_counts
    assert (end.name, end.free[10, 1], end.pageblocks.tolist()) == (
        "Normal",
        2,
        [2, 6, 0, 0, 0],
    )


def test_counts_that_are_cut_off_come_from_buddyinfo(tmp_path: Path) -> None:
    """The kernel stops counting at a hundred thousand."""
    pages = 1 << 18
    wanted = {"Movable": {0: 100_000}}
    blocks = {"Movable": pages >> 9}
    folder = proc_texts.write(
        tmp_path / "made", [locked(0)], wanted, blocks, pages=pages
    )
    text = proc_texts.buddyinfo({"Movable": {0: 100_500}})
    (folder / "start-buddyinfo.txt").write_text(text)
    evidence = read_evidence(folder)
    assert counts(dict(evidence.start[0].free_lists)) == {(0, 1): 100_500}
    assert any("1 counts of pagetypeinfo are cut off" in n for n in evidence.notes)


def test_a_boost_is_in_the_marks_that_zoneinfo_prints(tmp_path: Path) -> None:
    folder = proc_texts.write(tmp_path / "made", SMALL, FREE, PAGEBLOCKS, boost=1000)
    zone = start_of(folder)
    assert (zone.watermarks, zone.boost) == ((60, 75, 90), 1000)


def test_differences_are_noted(tmp_path: Path) -> None:
    lines = [locked(0, 9), locked(1024, 9)]
    wanted = {"Movable": {9: 1, 0: 3}}
    folder = proc_texts.write(tmp_path / "made", lines, wanted, {"Movable": 8})
    text = proc_texts.buddyinfo({"Movable": {9: 1, 0: 7}})
    (folder / "start-buddyinfo.txt").write_text(text)
    evidence = read_evidence(folder)
    assert counts(dict(evidence.start[0].free_lists)) == {(9, 1): 2, (0, 1): 3}
    notes = "\n".join(evidence.notes)
    assert "1 free blocks more than pagetypeinfo has are in the trace" in notes
    assert "512 free pages more or less than in pagetypeinfo" in notes
    assert "4 free pages differ between buddyinfo and pagetypeinfo" in notes


def test_lists_are_mixed_where_kernels_mix_them(tmp_path: Path) -> None:
    """Until 6.9 a block may lie on the list of another type than its pageblock's."""
    lines = [locked(1024, 0, 2), locked(1026, 0, 1)]
    wanted = {"Movable": {0: 1}, "Reclaimable": {0: 1}}
    folder = proc_texts.write(
        tmp_path / "made", lines, wanted, {"Reclaimable": 8}, kernel="6.1.0-made"
    )
    zone = start_of(folder)
    assert (zone.free_lists[0, 1].tolist(), zone.free_lists[0, 2].tolist()) == (
        [1026],
        [1024],
    )


def test_a_trace_without_marks_is_the_window(folder: Path) -> None:
    """As perf writes it."""
    (folder / "trace.txt.xz").unlink()
    (folder / "trace.txt").write_text("".join(SMALL))
    assert len(read_evidence(folder).events) == len(SMALL)
    assert any("no marks in the trace" in note for note in read_evidence(folder).notes)


# What is refused ---------------------------------------------------------------------


def swap(name: str, old: str, new: str, count: int = 1) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, count))

    return edit


def cut(name: str, lines: int) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        kept = (folder / name).read_text().splitlines()[:lines]
        (folder / name).write_text("\n".join(kept))

    return edit


ZONES, BUDDIES, TYPES = (
    f"start-{name}.txt" for name in ("zoneinfo", "buddyinfo", "pagetypeinfo")
)
WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "zoneinfo empty": (cut(ZONES, 0), f"{ZONES}: line .* expected 'Node 0"),
    "zoneinfo cut off": (cut(ZONES, 9), f"{ZONES}: line 1: expected 'managed' in the"),
    "zoneinfo without a start": (
        swap(ZONES, "start_pfn", "start_pfx"),
        f"{ZONES}: line 1: expected 'start_pfn'",
    ),
    "zoneinfo of what": (
        swap(ZONES, "Node 0, zone", "Node 0 zone"),
        "line 1: expected",
    ),
    "zoneinfo too large": (
        swap(ZONES, "managed  4096", "managed  99999999999999999999"),
        f"{ZONES}: line 11: expected a number of pages",
    ),
    "buddyinfo empty": (cut(BUDDIES, 0), f"{BUDDIES}: line .* expected 'Node 0"),
    "buddyinfo of words": (swap(BUDDIES, " 2 ", " two "), "line 1: expected 11 counts"),
    "buddyinfo of what": (
        swap(BUDDIES, "Node", "None"),
        f"{BUDDIES}: line 1: expected",
    ),
    "buddyinfo too short": (
        swap(BUDDIES, "Normal 3", "Normal"),
        "10 orders in zone Normal, and 11",
    ),
    "other zones": (
        swap(BUDDIES, "  Normal", "    DMA"),
        "zone DMA of node 0 is in only one of this file and start-zoneinfo",
    ),
    "pagetypeinfo empty": (cut(TYPES, 0), f"{TYPES}: .* expected 'Page block order:'"),
    "pagetypeinfo cut off": (cut(TYPES, 7), "the free pages and the number of blocks"),
    "pagetypeinfo without a row": (
        swap(TYPES, "Node    0, zone   Normal, type      Movable", "\n#"),
        f"{TYPES}: line 7: expected a line of pagetypeinfo",
    ),
    "pagetypeinfo with an unknown type": (
        swap(TYPES, "   Unmovable", "     Unknown"),
        "line 5: expected 'type', one of the kernel's migratetypes",
    ),
    "pagetypeinfo with odd pageblocks": (
        swap(TYPES, "Normal 2 6", "Normal 2 six"),
        "line 12: expected 5 pageblock counts",
    ),
    "pagetypeinfo without an order": (
        swap(TYPES, "order: 9", "order: many"),
        "line 1: expected 'Page block order:' and a number",
    ),
    "more free than there is": (
        swap(ZONES, "managed  4096", "managed  40"),
        "2,083 free pages in zone Normal, which has 40 by line 1 of start-zoneinfo",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_clear_message(folder: Path, what: str) -> None:
    edit, message = WRONG[what]
    edit(folder)
    with pytest.raises(TraceError, match=message) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", [ZONES, BUDDIES, TYPES])
def test_every_text_is_needed(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(TraceError, match=f"no {name}: a recording folder holds"):
        read(folder)


def test_half_a_state_is_no_reason_to_make_one_up(folder: Path) -> None:
    (folder / "state-start.json.xz").write_bytes(b"")
    with pytest.raises(TraceError, match=r"state-start\.json"):
        read(folder)


# From an exact state -----------------------------------------------------------------


def test_forgetting_a_state_keeps_its_counts(tmp_path: Path) -> None:
    source = recordings.write(tmp_path / "exact", [locked(1024, 4), alloc(1024, 4)])
    forget_state(source, tmp_path / "made")
    zone = start_of(tmp_path / "made")
    exact = read_evidence(source)
    assert exact.exact
    assert counts(dict(zone.free_lists)) == counts(dict(exact.start[0].free_lists))
    assert zone.watermarks == exact.start[0].watermarks


def test_only_a_recording_with_texts_can_drop_its_state(
    folder: Path, tmp_path: Path
) -> None:
    drop_state(folder, tmp_path / "copy")
    assert (
        start_of(tmp_path / "copy").free_lists.keys()
        == start_of(folder).free_lists.keys()
    )
    source = recordings.write(tmp_path / "exact", [locked(1024, 4)])
    with pytest.raises(TraceError, match=r"no start-zoneinfo\.txt"):
        drop_state(source, tmp_path / "none")
