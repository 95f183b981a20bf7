"""The report of a study: its words, its figures, and that it is one whole file."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmqueue.config import ZoneConfig
from rmqueue.errors import OutputError, UsageError
from rmqueue.grid import grid_of
from rmqueue.metrics import fragmentation_index
from rmqueue.mm.vmstat import HISTOGRAM_BUCKETS, bucket_floor_ps, bucket_of
from rmqueue.results import Comparison
from rmqueue.study import report_command
from rmqueue.study.dataset import Place
from rmqueue.study.kept import KeptRun, KeptStudy
from rmqueue.study.page import need, report
from rmqueue.study.page.chapters import Chapter, chapters_of
from rmqueue.study.page.figures import powers
from rmqueue.study.page.maps import Album, pack, pictures, planes, thinned
from rmqueue.study.page.page import page_of, published
from rmqueue.study.page.series import (
    against_rows,
    block_rows,
    clock,
    dissected,
    fragmentation_rows,
    hold_curve,
    moments,
    unusable_rows,
    varied_numbers,
    work_rows,
    worst_us,
)
from rmqueue.study.page.table import heats_of, table_of
from rmqueue.study.run import FailedRunsError, run
from rmqueue.study.run import Wanted as WantedRun
from rmqueue.study.study import read_study
from tests.unit.test_study_design import BASE, study

SWEEP = '[[sweep]]\nover = { "zone.cpus" = [1, 2] }\n[keep]\nsamples = 6\n'


def made(folder: Path, more: str = "[keep]\nsamples = 6\n") -> KeptStudy:
    run(WantedRun(str(study(folder, more)), folder=folder / "kept", quiet=True, jobs=1))
    return read_study(folder / "kept")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> KeptStudy:
    """A study of two strategies with two seeds."""
    return made(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> KeptStudy:
    """The same for one and two CPUs."""
    return made(tmp_path_factory.mktemp("swept"), SWEEP)


@pytest.fixture
def chapter(kept: KeptStudy) -> Chapter:
    return next(chapters_of(kept))


def changed(table: Comparison, label: str, **fields: Any) -> Comparison:
    """A table in which the outcomes of one strategy are other ones."""
    rows = tuple(
        replace(row, total=replace(row.total, **fields)) if row.label == label else row
        for row in table.rows
    )
    return replace(table, rows=rows)


def unpacked(page: str, name: str) -> bytes:
    match = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    assert match
    return zlib.decompress(base64.b64decode(match[1]))


def test_a_curve_begins_with_all_holds_and_ends_with_the_worst(
    chapter: Chapter,
) -> None:
    runs = chapter.runs_of("capped")
    curve = hold_curve(runs)
    lengths, shares = zip(*curve, strict=True)
    assert list(lengths) == sorted(lengths)
    assert list(shares) == sorted(shares, reverse=True)
    assert shares[0] == 1  # every hold costs at least the lock
    assert lengths[-1] * 1e6 == max(run.row.total.holds.worst_ps for run in runs)
    total = sum(int(run.histogram.sum()) for run in runs)
    assert 1 / total <= shares[-1] < 1


def test_holds_that_cost_nothing_count_but_are_not_drawn(chapter: Chapter) -> None:
    histogram = np.zeros(HISTOGRAM_BUCKETS, np.int64)
    histogram[0], histogram[bucket_of(1 << 20)] = 3, 1
    one = replace(chapter.runs[0], histogram=histogram)
    assert hold_curve([one])[0] == (bucket_floor_ps(bucket_of(1 << 20)) / 1e6, 0.25)
    assert hold_curve([replace(one, histogram=0 * histogram)]) == []


def test_the_parts_of_the_worst_hold_are_all_of_it(chapter: Chapter) -> None:
    for one in chapter.runs:
        parts = dissected(one)
        assert sum(cost for *_, cost in parts) == one.row.total.holds.worst_ps
        costs = [cost for name, _, cost in parts if name != "other"]
        assert costs == sorted(costs, reverse=True)


def test_steps_in_the_cache_are_not_counted_twice(chapter: Chapter) -> None:
    one = chapter.runs[0]
    counters = {"lock": 1, "scan_page": 10, "scan_page_warm": 4}
    holds = replace(one.row.total.holds, worst_ps=101, worst_counters=counters)
    costs = {one.row.label: {"lock": 5, "scan_page": 10, "scan_page_warm": 9}}
    weighed = replace(
        one,
        row=replace(one.row, total=replace(one.row.total, holds=holds)),
        provenance={**one.provenance, "costs_ps": costs},
    )
    assert dissected(weighed) == [
        ("scan_page", 10, 100),
        ("lock", 1, 5),
        ("scan_page_warm", 4, -4),
    ]


def test_the_cheapest_work_is_put_together(chapter: Chapter) -> None:
    rows = work_rows(chapter, most=2)
    assert {row["counter"] for row in rows} <= {rows[0]["counter"], "all else"}
    for label in chapter.table.labels:
        worst = max(r.row.total.holds.worst_ps for r in chapter.runs_of(label))
        found = sum(row["us"] for row in rows if row["strategy"] == label)
        assert found == pytest.approx(worst / 1e6)


def test_moments_are_spread_and_end_with_the_last(chapter: Chapter) -> None:
    samples = chapter.runs[0].samples
    assert len(samples) == 6
    assert moments(samples) == [0, 1, 2, 3, 4, 5]
    assert moments(samples, 3) == [1, 3, 5]


def test_over_time_it_ends_as_the_table_says(chapter: Chapter) -> None:
    order = chapter.table.unusable_orders[0]
    rows = [r for r in unusable_rows(chapter) if r["order"] == f"order {order}"]
    assert {row["time"] for row in rows} >= {100}  # a replay has no clock: per cent
    for label in chapter.table.labels:
        last = [row for row in rows if row["strategy"] == label][-1]
        found = [r.row.total.unusable[order] / 1000 for r in chapter.runs_of(label)]
        assert (last["low"], last["high"]) == (min(found), max(found))
    blocks = block_rows(chapter)
    assert {row["order"] for row in blocks} == set(range(11))
    assert blocks[0]["from"] == 0


def test_the_fragmentation_index_has_gaps_where_nothing_fails(
    chapter: Chapter,
) -> None:
    def with_free(run: KeptRun, *free: tuple[int, ...]) -> KeptRun:
        samples = zip(run.samples, free, strict=False)
        return replace(
            run,
            samples=tuple(replace(one, free_blocks=blocks) for one, blocks in samples),
        )

    split, whole = (512,) + (0,) * 10, (0,) * 9 + (1, 0)
    table = replace(chapter.table, unusable_orders=(0, 9))
    first, *others = chapter.runs_of("capped")
    runs = (
        with_free(first, split, whole, split),
        *(with_free(one, split, whole, whole) for one in others),
        *(
            with_free(one, whole, whole, whole)
            for one in chapter.runs
            if one.row.label != "capped"
        ),
    )
    rows = fragmentation_rows(Chapter("small", {}, table, runs))
    assert {row["order"] for row in rows} == {"order 9"}  # order 0 never fails
    index = fragmentation_index(np.array(split), 9) / 1000
    capped = [row["value"] for row in rows if row["strategy"] == "capped"]
    assert capped == [index, None, None]  # of two seeds, one is not most of them
    assert {r["value"] for r in rows if r["strategy"] != "capped"} == {None}


def test_a_clock_that_only_counts_is_none(chapter: Chapter) -> None:
    sample = replace(chapter.runs[0].samples[-1], time_s=2.6e-7)
    assert clock([sample])[0] == "operations done [%]"
    assert clock([replace(sample, time_s=0.5)])[0] == "time [ms]"


def test_published_figures_are_shown_by_the_reporter_of_the_experiment(
    chapter: Chapter,
) -> None:
    config = {**chapter.table.provenance["config"], "report": "lkp"}
    about = {**chapter.table.provenance, "config": config}
    table = replace(chapter.table, provenance=about)
    assert published(table) == ""
    table = replace(table, published={"capped": {"worst_ms": 2.5}})
    assert "=====" in published(table)
    own = replace(table, provenance=chapter.table.provenance)
    assert published(own) == ""  # prints what is there already


def test_pictures_come_back_as_they_were(chapter: Chapter) -> None:
    album = Album(1)
    found = pictures(chapter, album)
    assert found
    assert [one["label"] for one in found["maps"]] == list(chapter.table.labels)
    raw = np.frombuffer(zlib.decompress(base64.b64decode(album.packed())), np.uint8)
    cells, count = found["cells"], len(found["times"])
    for one in found["maps"]:
        changes = raw[one["at"] :][: 3 * cells * count].reshape(count, 3, cells)
        seen = np.bitwise_xor.accumulate(changes, axis=0)
        samples = list(chapter.runs_of(one["label"])[0].samples)
        assert np.array_equal(seen, planes(samples, cells))
        assert seen[-1][1].tobytes() == samples[-1].used


def test_large_maps_are_thinned() -> None:
    plane = bytes([0, 10, 20, 30, 200, 255])
    assert thinned(plane, 3).tolist() == [5, 25, 227]
    assert thinned(plane, 3, average=False).tolist() == [0, 20, 200]
    assert thinned(plane, 6).tobytes() == plane


def test_without_looks_there_are_no_pictures(tmp_path: Path) -> None:
    found = made(tmp_path, "[keep]\nsamples = 0\n")
    page = page_of(found, "")
    assert "The zone as a picture" not in page
    assert 'id="c0-unusable"' not in page
    assert 'id="c0-holds"' in page


def test_the_table_has_strategies_as_rows(chapter: Chapter) -> None:
    table = table_of(chapter.table)
    assert [label for label, *_ in table.rows] == list(chapter.table.labels)
    heading = table.headings.index("worst hold [us]")
    assert not any(cells[heading].best for *_, cells in table.rows)  # all alike
    holds = replace(chapter.table.rows[0].total.holds, worst_ps=10**9)
    table = table_of(changed(chapter.table, "capped", holds=holds))
    cells = {label: cells[heading] for label, _, cells in table.rows}
    assert cells["capped"].words == "1000.0"
    assert not cells["capped"].best
    assert cells["remembered-fallback"].best
    assert ("not served", "0") in table.alike or "not served" in table.headings


def test_the_table_says_what_compare_says(chapter: Chapter) -> None:
    """Word for word, but for the grouping of digits."""
    table, grid = table_of(chapter.table), grid_of(chapter.table)
    printed = dict(grid.rows)
    shared = [name for name in table.headings if name in printed]
    assert {"pages served", "worst hold [us]", "mixed pageblocks"} <= {*shared}
    for at, heading in enumerate(table.headings):
        words = tuple(cells[at].words.replace(",", "") for *_, cells in table.rows)
        assert heading not in printed or words == printed[heading]
    assert any("±" in cell.words for *_, cells in table.rows for cell in cells)


def test_types_that_nobody_used_are_not_in_the_matrices(chapter: Chapter) -> None:
    for label, heats in heats_of(chapter):
        assert label in chapter.table.labels
        assert [heat.kind for heat in heats] == ["claim", "steal", "pollute"]
        for heat in heats:
            assert "cma" not in heat.types
            assert len(heat.rows) == len(heat.types)
            assert all(0 <= shade <= 100 for row in heat.rows for _, shade in row)


def test_numbers_that_are_varied_are_drawn_against(swept: KeptStudy) -> None:
    assert varied_numbers(swept.runs) == ["zone.cpus"]
    rows = against_rows(swept.runs, "zone.cpus", worst_us)
    assert {(row["strategy"], row["at"]) for row in rows} == {
        (label, cpus) for label in ("capped", "remembered-fallback") for cpus in (1, 2)
    }
    assert against_rows(swept.runs, "zone.pages", worst_us) == []
    page = page_of(swept, "")
    assert "worst hold [µs] against zone.cpus" in page
    assert page.count('<details class="chapter"') == 2


def test_the_page_is_whole_and_asks_nobody(kept: KeptStudy) -> None:
    page = page_of(kept, "rmqueue report small.toml -o report.html")
    assert "rmqueue report small.toml -o report.html" in page
    assert "default-src &#39;none&#39;" not in page
    assert "default-src 'none'" in page
    assert not re.search(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="http', page)
    assert len(page) < 8_000_000
    about = json.loads(unpacked(page, "data"))
    assert set(about["charts"]) == {
        f"c0-{name}" for name in ("holds", "work", "unusable", "extfrag", "blocks")
    }
    for name in about["charts"]:
        assert f'data-chart="{name}"' in page
    assert len(unpacked(page, "bytes")) == 2 * 6 * 3 * about["maps"]["c0"]["cells"]


def test_names_are_escaped(kept: KeptStudy) -> None:
    page = page_of(replace(kept, name="<b>&</b>", failed={"<i>": "a & b"}), "")
    assert "<h1>&lt;b&gt;&amp;&lt;/b&gt;</h1>" in page
    assert "failed: &lt;i&gt;: a &amp; b" in page


def test_of_nothing_there_is_no_report(kept: KeptStudy) -> None:
    with pytest.raises(UsageError, match="nothing to report: 4 runs are missing"):
        page_of(replace(kept, runs=(), missing=4), "")


def test_powers_of_an_axis() -> None:
    assert powers([1e-5, 1]) == [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]


def test_pack_is_what_browsers_unpack() -> None:
    assert zlib.decompress(base64.b64decode(pack(b"page"))) == b"page"


def test_one_command_runs_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study(tmp_path)
    monkeypatch.chdir(tmp_path)
    wanted = report.Wanted("small.toml", Path("out.html"), quiet=True, jobs=1)
    report.report(wanted)
    page = Path("out.html").read_text(encoding="utf-8")
    assert "rmqueue report small.toml -o out.html" in page
    assert "4 of 4 runs done" in capsys.readouterr().out
    report.report(wanted)
    assert "0 of 4 runs done, 4 were there" in capsys.readouterr().out
    report.report(replace(wanted, study="small.study"))
    assert "out.html: 4 runs" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"--quick: small\.study is a kept study"):
        report.report(replace(wanted, study="small.study", quick=True))


def test_what_did_not_fail_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: KeptStudy
) -> None:
    def fail(_: report.Wanted) -> tuple[Path, FailedRunsError]:
        return Path(kept.path), FailedRunsError("one failed")

    monkeypatch.setattr(report, "run_it", fail)
    out = tmp_path / "out.html"
    with pytest.raises(FailedRunsError, match="one failed"):
        report.report(report.Wanted("small.toml", out))
    assert out.exists()


def test_a_study_behind_a_url_is_reported(kept: KeptStudy, tmp_path: Path) -> None:
    there = Place("memory://kept")
    there.write_manifest(Place(kept.path).manifest())
    for one in kept.runs:
        there.write(one)
    report.report(report.Wanted("memory://kept", tmp_path / "out.html"))
    assert "<h1>small</h1>" in (tmp_path / "out.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="no study is kept there"):
        report.report(report.Wanted("memory://none", tmp_path / "out.html"))


def test_wrong_requests_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no study is kept there: name a folder that"):
        report.report(report.Wanted(str(tmp_path), tmp_path / "out.html"))
    with pytest.raises(OutputError, match="cannot be written: there is no"):
        report.report(report.Wanted("real", tmp_path / "none" / "out.html"))


@pytest.mark.parametrize("hidden", ["altair", "vl_convert", "playwright"])
def test_what_is_not_installed_is_named(
    hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        need, "find_spec", lambda name: None if name == hidden else find_spec(name)
    )
    with pytest.raises(UsageError, match=r'pip install "rmqueue\[report\]"') as caught:
        report_command.report("real", tmp_path / "out.html", png=tmp_path / "png")
    assert hidden.replace("_", "-") in str(caught.value)


def test_a_zone_that_is_not_sampled_is_replaced_by_one_that_is(
    chapter: Chapter,
) -> None:
    other = replace(chapter.table, index_zone="DMA32")
    one: KeptRun = chapter.runs[0]
    assert len(Chapter("small", {}, other, chapter.runs).samples_of(one)) == 6
    assert ZoneConfig(pages=4096).pages == 4096
    assert BASE
