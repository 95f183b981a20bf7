"""The verdict of a report: who is first, by how much, and how surely, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rmqueue.study.page.chapters import Chapter, chapters_of
from rmqueue.study.page.sweeps import microseconds, trend
from rmqueue.study.page.verdict import grouped_leads, lead, sentences
from rmqueue.study.study import table_of
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
    assert said[-1] == "Figures are means of 2 seeds."
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
        for row, worst in zip(table.rows, (10, 50, 20, 30), strict=True)
    )
    said = list(sentences(Chapter("s", {}, replace(table, rows=rows), chapter.runs)))
    assert any("So in 1 of 2 seeds: this may be chance" in words for words in said)


def test_seeds_are_compared_with_themselves(chapter: Chapter) -> None:
    """Ranges that overlap are no doubt where every seed says the same."""
    table = chapter.table
    holds = table.rows[0].total.holds
    rows = tuple(
        replace(row, total=replace(row.total, holds=replace(holds, worst_ps=worst)))
        for row, worst in zip(table.rows, (10, 30, 20, 40), strict=True)
    )
    said = list(sentences(Chapter("s", {}, replace(table, rows=rows), chapter.runs)))
    (words,) = [words for words in said if words.startswith("Worst hold")]
    assert "chance" not in words


def test_what_one_strategy_did_is_not_the_same_for_all(chapter: Chapter) -> None:
    alone = replace(chapter.table, rows=chapter.table.rows_of("capped"))
    said = list(sentences(Chapter("small", {}, alone, chapter.runs)))
    assert not any("the same for all" in words for words in said)


def test_only_seeds_that_all_have_are_compared(chapter: Chapter) -> None:
    missing = [
        run for run in chapter.runs if (run.row.label, run.row.seed) != ("capped", 2)
    ]
    table = table_of("small", missing)
    assert {(row.label, row.seed) for row in table.rows} == {
        ("capped", 1),
        ("remembered-fallback", 1),
    }
    assert "incomplete: 1 runs of seeds that others lack are left out" in table.notes
    apart = [r for r in missing if r.row.label == "capped" or r.row.seed == 2]
    assert "no seed in common" in table_of("small", apart).notes[-1]


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


def test_machines_are_judged_apart(chapter: Chapter) -> None:
    holds = chapter.table.rows[0].total.holds
    table = changed(chapter.table, "capped", holds=replace(holds, worst_ps=1))
    rows = [replace(row, machine="slow") for row in chapter.table.rows]
    rows += [replace(row, machine="fast") for row in table.rows]
    both = Chapter("small", {}, replace(table, rows=tuple(rows)), chapter.runs)
    words = lead(both)
    assert words.startswith("slow: Nothing that is judged differs much. ")
    assert "fast: Shortest worst hold of the zone lock: capped" in words
    said = [one for one in sentences(both) if "Worst hold" in one]
    assert len(said) == 2
    assert said[0].startswith("slow: Worst hold of the zone lock: ")
    assert said[0].endswith("the same for all.")
    assert said[1].startswith("fast: ")


def test_headings_that_tell_nothing_come_with_the_strategy(chapter: Chapter) -> None:
    rows = chapter.table.rows_of("remembered-fallback")
    table = replace(
        chapter.table, rows=tuple(replace(row, label="2c847f27c3") for row in rows)
    )
    assert (
        lead(Chapter("s", {}, table, chapter.runs))
        == "Only 2c847f27c3 (remembered-fallback) is judged."
    )


def test_a_sweep_is_told_in_a_sentence() -> None:
    rows = [
        {"strategy": label, "rest": "", "at": at, "value": value}
        for label, values in (("a", (2.0, 5.0, 9.0)), ("b", (1.0, 1.5, 4e6)))
        for at, value in zip((0.0, 3.0, 6.0), values, strict=True)
    ]
    assert trend(rows, ["a", "b"], "x: worst hold", "zone.cpus", microseconds) == (
        "x: worst hold, with zone.cpus from 0 to 6: a from 2.00 µs to 9.00 µs; "
        "b from 1.00 µs to 4.00 s."
    )
    rows[0]["rest"] = "fill 0.5"
    assert trend(rows, ["a", "b"], "x", "zone.cpus", microseconds) == ""
