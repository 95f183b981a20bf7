"""What a trace does not say, done on purpose: each has a verdict of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.trace.compaction import STRIDES
from tests.naive import MOVABLE, UNMOVABLE
from tests.unit.closed_loop import Followed, Machine, assert_exact, follow
from tests.unit.kernel_double import Double, Take
from tests.unit.kernel_load import bursts, do
from tests.unit.recordings import free, line


def begin(kernel: str = "6.12.117", **fields: int) -> tuple[Double, Take]:
    double = Machine(kernel, **fields).boot()  # type: ignore[arg-type]
    return double, Take(double)


def go_on(kernel: Double, count: int = 15, cpus: int = 2) -> None:
    """Work that shows whether the lists are the same."""
    for burst in bursts(3, count, cpus):
        do(kernel, burst)


def misses(found: Followed) -> tuple[int, dict[str, int], dict[str, int]]:
    """Pages missed, why, and what mended that."""
    score = found.score
    return score.pages - score.exact, dict(score.misses), dict(score.mended)


def smallest_list(kernel: Double, mt: int, least: int = 2) -> tuple[int, list[int]]:
    """Order and blocks of the list that a request for a page takes from."""
    order = next(o for o in range(11) if kernel.lists[o][mt])
    blocks = kernel.free_list(order, mt)
    assert len(blocks) >= least
    return order, blocks


def empty_cpu_lists(kernel: Double) -> None:
    """The next request of any CPU is a refill."""
    kernel.drain_all(0)


def test_a_page_taken_unseen_is_removed(tmp_path: Path) -> None:
    kernel, take = begin()
    empty_cpu_lists(kernel)
    assert kernel.smallest(0, MOVABLE) is not None
    go_on(kernel)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert misses(found) == (1, {"silent take": 1}, {"removed": 1})
    assert found.ending is not None
    assert found.ending.equal == found.ending.lists
    assert (found.ending.missing, found.ending.extra) == (0, 0)


def test_a_page_taken_unseen_without_look_ahead(tmp_path: Path) -> None:
    kernel, take = begin()
    empty_cpu_lists(kernel)
    assert kernel.smallest(0, MOVABLE) is not None
    go_on(kernel)
    take.write(tmp_path)
    score = follow(tmp_path, strict=True).score
    assert 0 < score.pages - score.exact < 20
    assert "removed" not in score.mended
    assert "silent take" not in score.misses


def test_a_free_that_came_before_another_cpus_request(tmp_path: Path) -> None:
    kernel, take = begin()
    pfn = kernel.request(0, 4, MOVABLE)
    assert pfn is not None
    kernel.held.remove((pfn, 4))
    # the free is traced and done, and its CPU is silent until the other is served
    kernel.trace.append(free(pfn, 4, cpu=0))
    kernel.free_direct(pfn, 4)
    assert kernel.request(1, 4, MOVABLE) == pfn
    kernel.request(0, 0, MOVABLE)
    go_on(kernel)
    take.write(tmp_path)
    lost, _, mended = misses(follow(tmp_path))
    assert (lost, mended) == (1, {"order_inferred": 1})
    assert_exact(follow(tmp_path, strict=True))  # which takes frees as they are traced


def test_a_list_that_was_turned(tmp_path: Path) -> None:
    kernel, take = begin()
    empty_cpu_lists(kernel)
    order, blocks = smallest_list(kernel, MOVABLE)
    turned = kernel.lists[order][MOVABLE]
    for pfn in blocks[: len(blocks) // 2]:
        turned.move_to_end(pfn)
    go_on(kernel)
    take.write(tmp_path)
    for strict in (False, True):
        found = follow(tmp_path, strict=strict)
        assert misses(found) == (1, {"list order": 1}, {"rotated": 1})
        assert found.ending is not None
        assert found.ending.equal == found.ending.lists


def test_a_page_that_went_past_busy_lists(tmp_path: Path) -> None:
    kernel, take = begin()
    pfn = kernel.request(0, 0, MOVABLE)
    assert pfn is not None
    kernel.held.remove((pfn, 0))
    kernel.trace.append(free(pfn, cpu=0))
    kernel.free_direct(pfn, 0)
    kernel.request(0, 0, UNMOVABLE)
    go_on(kernel)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert_exact(found)
    assert found.pcp.score.explained == found.pcp.score.frees
    strict = follow(tmp_path, strict=True)
    assert strict.ending is not None
    assert strict.score.misses or strict.ending.equal < strict.ending.lists


def test_pages_that_a_bulk_allocation_took(tmp_path: Path) -> None:
    kernel, take = begin()
    empty_cpu_lists(kernel)
    kernel.request(0, 0, MOVABLE)
    pcp = kernel.pcps[0]
    assert len(pcp.lists[1]) > 3
    for _ in range(3):
        pcp.lists[1].popleft()
        pcp.count -= 1
    kernel.request(0, 0, MOVABLE)
    kernel.request(0, 0, MOVABLE)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert_exact(found)
    assert found.pcp.score.notes["bulk_allocated"] == 3
    (zone,) = found.pcp.zones
    assert list(zone.lists[0][1]) == list(pcp.lists[1])


def test_the_rest_of_a_list_taken_in_bulk(tmp_path: Path) -> None:
    kernel, take = begin()
    empty_cpu_lists(kernel)
    kernel.request(0, 0, MOVABLE)
    pcp = kernel.pcps[0]
    left = len(pcp.lists[1])
    pcp.lists[1].clear()
    pcp.count -= left
    kernel.request(0, 0, MOVABLE)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert_exact(found)
    assert found.pcp.score.notes["bulk_allocated"] == left
    assert found.pcp.score.exact_refills == found.pcp.score.refills == 2


@pytest.mark.parametrize(("kernel", "frees"), [("6.12.117", 2), ("7.3.4", 1)])
def test_a_free_that_is_traced_twice(kernel: str, frees: int, tmp_path: Path) -> None:
    double, take = begin(kernel)
    pfn = double.request(0, 0, MOVABLE)
    assert pfn is not None
    double.trace.append(free(pfn, cpu=0))  # by compaction, which keeps it
    double.give_back(0, len(double.held) - 1)
    double.request(0, 0, MOVABLE)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert_exact(found)
    assert found.pcp.score.frees == frees


def test_all_lists_drained_right_after_a_free(tmp_path: Path) -> None:
    kernel, take = begin()
    kernel.request(1, 0, MOVABLE)
    kernel.give_back(0, 5)
    kernel.drain_all(0)
    take.write(tmp_path)
    score = follow(tmp_path).pcp.score
    assert (score.explained, score.frees) == (1, 1)
    assert score.notes["drained by others"] == 1


def test_a_drain_that_stops_between_two_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double, take = begin("7.3.4", left=800)
    pcp = double.pcps[0]
    cuts: list[int] = []

    def cut(pages: int, index: int) -> None:
        cuts.append(int(pages > pcp.batch))
        pcp.flush(min(pages, pcp.batch), index)

    monkeypatch.setattr(pcp, "_trim", cut)
    for at in range(150):
        double.give_back(0, 3 * at)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert_exact(found)
    score = found.pcp.score
    assert score.cut_short == sum(cuts) > 0
    assert score.explained == score.frees


def compact(kernel: Double, first: int, end: int, stride: int) -> int:
    """Take free blocks as isolate_freepages_block() does; how many pages."""
    pfn, taken = first, 0
    while pfn < end:
        order = kernel.bud.get(pfn)
        if order is not None:
            kernel.unlink(pfn, order)
            if order >= kernel.pb_order - 1:
                kernel.move_pageblock(pfn, MOVABLE)
                kernel.settype(pfn, MOVABLE)
            taken += 1 << order
            pfn += (1 << order) - 1
        pfn += stride
    words = f"range=({first:#x} ~ {end:#x}) nr_scanned=9 nr_taken={taken}"
    kernel.trace.append(line(f"mm_compaction_isolate_freepages: {words}"))
    return taken


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("ends", [True, False], ids=["end recorded", "no end"])
def test_what_compaction_took_with_a_stride(
    stride: int, ends: bool, tmp_path: Path
) -> None:
    kernel, take = begin(seed=1)
    whole = [
        first
        for first in range(kernel.start, kernel.end, 512)
        if kernel.ptype(first) == MOVABLE
    ]
    taken = [compact(kernel, first, first + 512, stride) for first in whole[:3]]
    assert sum(taken) > 0
    go_on(kernel)
    take.write(tmp_path)
    if not ends:
        (tmp_path / "state-end.json.xz").unlink()
    found = follow(tmp_path)
    assert_exact(found)


def test_a_large_block_isolated_makes_its_pageblocks_movable(tmp_path: Path) -> None:
    kernel, take = begin(left=2500)
    first = next(
        pfn
        for pfn, order in kernel.bud.items()
        if order >= 8 and kernel.ptype(pfn) == MOVABLE
    )
    first &= -512
    kernel.move_pageblock(first, UNMOVABLE)
    kernel.settype(first, UNMOVABLE)
    take = Take(kernel)
    assert compact(kernel, first, first + 512, 1) >= 256
    assert kernel.ptype(first) == MOVABLE
    go_on(kernel)
    take.write(tmp_path)
    assert_exact(follow(tmp_path))
