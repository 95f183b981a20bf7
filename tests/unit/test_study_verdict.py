"""The verdict of a report: who is first, by how much, and how surely, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rmqueue.study.page.chapters import Chapter, chapters_of
from rmqueue.study.page.verdict import grouped_leads, lead, sentences
from tests.unit.test_study_page import changed, made


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    return next(chapters_of(made(tmp_path_factory.mktemp("plain"))))


def test_the_verdict_names_the_first_the_last_and_how_far(chapter: Chapter) -> None:
    table = chapter.table
    first = table.rows[0].total
    slow = changed(table, "capped", holds=replace(first.holds, worst_ps=2_000_000_000))
    quick = changed(
        slow, "remembered-fallback", holds=replace(first.holds, worst_ps=1_000_000)
    )
    said = list(sentences(Chapter("small", {}, quick, chapter.runs)))
    assert (
        "Worst hold of the zone lock: shortest with remembered-fallback (1.00 µs), "
        "longest with capped (2.00 ms, 2,000 times)."
    ) in said
    assert said[-1] == "Figures are medians of 2 seeds."
    words = lead(Chapter("small", {}, quick, chapter.runs))
    assert words.startswith("Shortest worst hold of the zone lock: remembered-fallback")


def test_the_verdict_says_what_is_not_sure_and_what_is_missing(
    chapter: Chapter,
) -> None:
    table = chapter.table
    idle = changed(table, "capped", served=0, asked=10)
    said = list(sentences(Chapter("small", {}, idle, chapter.runs)))
    assert "100.00% with capped" in said[0]
    assert said[1].startswith("Left out of the verdict, for serving so much less: cap")
    words = lead(Chapter("small", {}, idle, chapter.runs))
    assert words.startswith("Only remembered-fallback is judged")
    holds = table.rows[0].total.holds
    rows = tuple(
        replace(row, total=replace(row.total, holds=replace(holds, worst_ps=worst)))
        for row, worst in zip(table.rows, (10, 30, 20, 40), strict=True)
    )
    said = list(sentences(Chapter("s", {}, replace(table, rows=rows), chapter.runs)))
    assert any("this may be chance" in words for words in said)


def test_who_lets_requests_fail_does_not_win_silently(chapter: Chapter) -> None:
    table = changed(chapter.table, "capped", measures={"failed_requests": 57_026.0})
    table = changed(table, "remembered-fallback", measures={"failed_requests": 2.0})
    words = lead(Chapter("small", {}, table, chapter.runs))
    assert "But capped let 57,026 requests fail, remembered-fallback 2" in words


def test_one_strategy_is_no_contest(chapter: Chapter) -> None:
    alone = replace(chapter.table, rows=chapter.table.rows_of("capped"))
    assert lead(Chapter("small", {}, alone, chapter.runs)) == "Only capped is judged."


def test_small_differences_do_not_lead(chapter: Chapter) -> None:
    holds = chapter.table.rows[0].total.holds
    table = changed(chapter.table, "capped", holds=replace(holds, worst_ps=10_000))
    table = changed(table, "remembered-fallback", holds=replace(holds, worst_ps=10_400))
    assert "Shortest worst hold" not in lead(Chapter("s", {}, table, chapter.runs))
    table = changed(table, "capped", holds=replace(holds, worst_ps=9_000))
    assert "Shortest worst hold" in lead(Chapter("s", {}, table, chapter.runs))


def test_chapters_of_which_the_same_is_said_are_put_together(chapter: Chapter) -> None:
    holds = chapter.table.rows[0].total.holds
    table = changed(chapter.table, "capped", holds=replace(holds, worst_ps=1))
    other = Chapter("small", {"zone.cpus": 2}, table, chapter.runs)
    found = grouped_leads([chapter, other, chapter])
    assert found == [(lead(chapter), (0, 2)), (lead(other), (1,))]
