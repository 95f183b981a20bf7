"""Experiments on the multi-CPU loop: suites, seeds, sensitivity, reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rmqueue.compare import Wanted, run
from rmqueue.errors import ConfigError, SimulationError, UsageError
from rmqueue.experiment import Experiment
from rmqueue.experiment_file import parts_of
from rmqueue.registry import default_registry
from rmqueue.runs import Run
from tests.unit.reads import read_file


def totals(experiment: Experiment) -> list[Any]:
    return [
        (row.label, row.seed, row.total.measures, row.total.counters)
        for row in experiment.rows()
    ]


def test_what_is_alike_runs_once(tmp_path: Path) -> None:
    """LKP's merge commit has the allocator of the one before: both columns, one run."""
    begun: list[Run] = []
    experiment = Experiment.load(str(read_file(tmp_path)))
    rows = list(experiment.rows(on_run=begun.append))
    assert [(row.label, row.seed) for row in rows] == [
        (label, seed) for label in ("parent", "patch", "merge") for seed in (1, 2)
    ]
    assert sorted((one.label, str(one.seed)) for one in begun) == [
        (label, seed) for label in ("parent", "patch") for seed in ("1", "2")
    ]
    assert [row.total for row in rows[2:4]] == [row.total for row in rows[4:]]
    assert rows[2].total.measures != rows[3].total.measures


def test_an_entry_with_another_machine_is_not_alike(tmp_path: Path) -> None:
    path = read_file(tmp_path)
    text = path.read_text().replace('"merge"', '"merge"\nmachine = "generic"')
    path.write_text(text)
    rows = list(Experiment.load(str(path), seed=1).rows())
    assert rows[1].total.measures != rows[2].total.measures
    assert [row.machine for row in rows] == ["lkp-cpl-4sp2"] * 2 + ["generic"]


def test_threads_change_nothing(tmp_path: Path) -> None:
    experiment = Experiment.load(str(read_file(tmp_path)))
    assert experiment.start.parallel
    first = totals(experiment)
    experiment.start.parallel = False
    assert totals(experiment) == first


def test_a_full_run_has_more_seeds(tmp_path: Path) -> None:
    path = str(read_file(tmp_path))
    assert Experiment.load(path).seeds == (1, 2)
    assert Experiment.load(path, full=True).seeds == (1, 2, 3)
    assert Experiment.load(path, full=True, seed=9).seeds == (9,)
    assert Experiment.load("lkp").seeds == (1,)
    assert Experiment.load("lkp", full=True).seeds == (1, 2, 3)
    imx7d = Experiment.load("imx7d", full=True)  # names none: the same
    assert imx7d.seeds == tuple(range(1, 11))
    (found,) = run(Wanted(path, strategies=("parent",), full=True, quiet=True))
    assert [row.seed for row in found.rows] == [1, 2, 3]


def test_quick_is_a_part_of_the_pages(tmp_path: Path) -> None:
    path = str(read_file(tmp_path, pages=4000))
    quick = Experiment.load(path, quick=True)
    rows = list(quick.rows())
    assert [row.seed for row in rows] == [1, 1, 1]
    assert all(1000 <= row.total.served < 1032 for row in rows)
    assert "only the first quarter of the pages" in quick.comparison(()).notes[-1]


def test_a_row_has_the_measures_of_the_machine(tmp_path: Path) -> None:
    experiment = Experiment.load(str(read_file(tmp_path)), seed=1)
    row = next(iter(experiment.rows()))
    measures = row.total.measures
    assert measures["machine_nodes"] == 4
    assert 0 < measures["spin_share_pct"] < 100
    assert 0 < measures["lock_utilisation_pct"] <= 100
    assert measures["pages_per_s"] * measures["elapsed_s"] == pytest.approx(
        row.total.served
    )
    assert measures["machine_events"] == row.total.ops
    assert experiment.start.describe() == (
        "workload lru-file-mmap-read, 16 MiB, 4 task CPUs"
    )
    assert experiment.start.digest(1) != experiment.start.digest(2)


def test_the_zone_is_that_of_the_machine_unless_told(tmp_path: Path) -> None:
    zone = Experiment.load("imx7d").start.zone  # type: ignore[attr-defined]
    machine = default_registry().machine("imx7d-sdb")
    assert zone.model_dump(exclude_unset=True) == machine.zone
    path = read_file(tmp_path)
    text = path.read_text().replace("lkp-cpl-4sp2", "generic")
    head, tail = text.split("[zone]")
    path.write_text(head + tail[tail.index("[workload]") :])
    with pytest.raises(ConfigError, match=r"zone: is missing: add a \[zone\] table"):
        Experiment.load(str(path))


def suite_file(folder: Path) -> Path:
    read_file(folder, "one", report="lkp")
    read_file(folder, "two")
    path = folder / "both.toml"
    path.write_text('name = "both"\nparts = ["one.toml", "two.toml"]\n')
    return path


def test_a_suite_runs_its_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(Wanted(str(suite_file(tmp_path)), seed=1, quiet=True))
    assert [one.experiment for one in found] == ["one", "two"]
    out = capsys.readouterr().out
    assert out.startswith("=" * 89 + "\ntbox_group/")
    assert "\ntwo: workload lru-file-mmap-read" in out


def test_a_suite_has_no_report_of_its_own(tmp_path: Path) -> None:
    path, out = suite_file(tmp_path), tmp_path / "out.json"
    for reports in ((("json", str(out)),), (("csv", "-"),)):
        with pytest.raises(UsageError) as caught:
            run(Wanted(str(path), reports=reports, quiet=True))
        assert str(caught.value) == f"{path}: a report is of one experiment: one, two"
        assert caught.value.exit_status == 2
    assert not out.exists()


def test_the_seed_is_both_measurements() -> None:
    files = parts_of(default_registry().experiment("seed").path)
    assert [path.stem for path in files] == ["imx7d", "lkp"]
    with pytest.raises(UsageError, match="of one experiment: imx7d, lkp"):
        run(Wanted("seed", reports=(("json", "-"),), quiet=True))


@pytest.mark.parametrize("report", ["lkp", "terminal"])
def test_a_part_writes_reports(tmp_path: Path, report: str) -> None:
    path, out = read_file(tmp_path, report=report), tmp_path / "out.json"
    run(Wanted(str(path), seed=1, reports=(("json", str(out)),), quiet=True))
    rows = json.loads(out.read_text())["rows"]
    assert [row["label"] for row in rows] == ["parent", "patch", "merge"]
    assert rows[0]["total"]["measures"]["pages_per_s"] > 0


def test_a_report_that_needs_other_measures(tmp_path: Path) -> None:
    path = read_file(tmp_path, report="board")
    with pytest.raises(UsageError, match=r"^this report needs the measure"):
        run(Wanted(str(path), seed=1, quiet=True))


def test_a_machine_without_memory_ends_with_a_status_of_its_own(
    tmp_path: Path,
) -> None:
    path = read_file(tmp_path)
    path.write_text(path.read_text().replace("z = 2000", "unmov = 1, recl = 1"))
    with pytest.raises(SimulationError, match="no page left") as caught:
        run(Wanted(str(path), quiet=True))
    assert caught.value.exit_status == 7


WRONG = {
    "one CPU": (
        ("cpus = 5", "cpus = 1"),
        "zone.cpus: lru-file-mmap-read takes 2 or more, the last of them kswapd's "
        "(found 1)",
    ),
    "nothing left": (
        ("z = 2000", "skip = 1500"),
        "workload.params.skip: must be below pages, 1500 (found 1500)",
    ),
    "a second a page": (
        ("z = 2000", "z = 1_000_000_000"),
        "workload.params.z: should be less than or equal to 1000000",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_show_before_anything_runs(tmp_path: Path, case: str) -> None:
    (old, new), words = WRONG[case]
    path = read_file(tmp_path)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError) as caught:
        Experiment.load(str(path))
    assert str(caught.value).startswith(f"{path}: {words}")


def test_the_board_has_two_cpus(tmp_path: Path) -> None:
    """With one CPU its lists would be those of somebody else's memory."""
    path = tmp_path / "board.toml"
    path.write_text(
        'name = "board"\nmachine = "imx7d-sdb"\n[zone]\npages = 4096\n'
        '[workload]\nname = "imx7d-dd"\n[[strategies]]\nname = "none"\n'
    )
    with pytest.raises(ConfigError) as caught:
        Experiment.load(str(path))
    assert str(caught.value) == (
        f"{path}: zone.cpus: imx7d-dd takes 2, dd's and kswapd's (found 1)"
    )


@pytest.mark.parametrize("window", [1, 1024])
def test_the_longest_times_fit(tmp_path: Path, window: int) -> None:
    path = read_file(tmp_path, pages=3)
    text = path.read_text().replace("z = 2000", f"z = 1_000_000, window = {window}")
    path.write_text(text.replace("chunks", "jitter = 1.0, chunks"))
    for row in Experiment.load(str(path), quick=True).rows():
        assert 0 < row.total.measures["elapsed_s"] <= 1.1 * window
