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
from rmqueue.sensitivity import figure, sensitivity_rows, sensitivity_text

READ = """\
name = "{name}"
machine = "lkp-cpl-4sp2"
seeds = [1, 2]
full_seeds = [1, 2, 3]
report = "{report}"
unusable_orders = [3]

[zone]
pages = 4096
cpus = 5
min_free_kbytes = 512
pageblock_order = 7
max_page_order = 7

[workload]
name = "lru-file-mmap-read"
params = {{ pages = {pages}, z = 2000, chunks = 1, page_table = 32 }}

[[strategies]]
name = "claim-whole-block"
label = "parent"

[[strategies]]
name = "steal-smallest-buddy"
label = "patch"

[[strategies]]
name = "steal-smallest-buddy"
label = "merge"
"""
SENSITIVITY = """
[sensitivity]
measures = [{measures}]
strategies = ["parent", "patch"]
params = {{ window = 16 }}

[[sensitivity.variations]]
label = "base"

[[sensitivity.variations]]
label = "slow"
params = {{ z = 200_000 }}
seeds = [5]

[[sensitivity.variations]]
label = "costly"
weights_ps = {{ list_del = 1_000_000 }}

[[sensitivity.variations]]
label = "large"
zone = {{ pages = 8192 }}
"""


def read_file(
    folder: Path,
    name: str = "reads",
    *,
    report: str = "terminal",
    pages: int = 1500,
    measures: tuple[str, ...] = (),
) -> Path:
    text = READ.format(name=name, report=report, pages=pages)
    if measures:
        text += SENSITIVITY.format(measures=", ".join(map(repr, measures)))
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


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
        "workload lru-file-mmap-read, 16 MiB, 4 CPUs"
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


# A suite ----------------------------------------------------------------------------


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


# Sensitivity ------------------------------------------------------------------------


def test_sensitivity_needs_a_table(tmp_path: Path) -> None:
    path = read_file(tmp_path)
    with pytest.raises(UsageError) as caught:
        run(Wanted(str(path), sensitivity=True, quiet=True))
    assert str(caught.value) == (
        f"{path}: --sensitivity needs a [sensitivity] table, and the file has none"
    )
    assert caught.value.exit_status == 2


def test_one_thing_is_changed_at_a_time(tmp_path: Path) -> None:
    measures = ("pages_per_s", "hold_per_page_ns")
    experiment = Experiment.load(str(read_file(tmp_path, measures=measures)))
    told: list[tuple[str, str, int | None]] = []
    rows = sensitivity_rows(
        experiment, lambda v, row: told.append((v.label, row.label, row.seed))
    )
    labels = ("base", "slow", "costly", "large")
    assert [(row.variation, row.heading) for row in rows] == [
        (label, heading) for label in labels for heading in ("parent", "patch")
    ]
    assert [row.seeds for row in rows] == [2, 2, 1, 1, 2, 2, 2, 2]
    assert [seed for label, _, seed in told if label == "slow"] == [5, 5]
    assert len(told) == 14
    medians = {row.variation: row.medians for row in rows if row.heading == "parent"}
    assert medians["slow"][0] < medians["base"][0] / 20
    assert medians["costly"][1] > 3 * medians["base"][1]
    assert medians["large"] != medians["base"]


def test_a_variation_changes_what_it_says(tmp_path: Path) -> None:
    experiment = Experiment.load(str(read_file(tmp_path, measures=("pages_per_s",))))
    wanted = experiment.config.sensitivity
    assert wanted is not None
    base, slow, costly, large = map(experiment.varied, wanted.variations)
    params = [one.start.params for one in (base, slow)]  # type: ignore[attr-defined]
    assert [(one.z, one.window, one.chunks) for one in params] == [
        *((2000, 16, 1), (200_000, 16, 1))
    ]
    assert costly.costs["parent"].weights_ps["list_del"] == 1_000_000
    assert base.costs["parent"].weights_ps["list_del"] == 125_000
    assert costly.costs["parent"].warm_scans == 32
    zone = large.start.zone  # type: ignore[attr-defined]
    assert (zone.pages, zone.cpus, zone.min_free_kbytes) == (8192, 5, 512)
    assert [entry.heading for entry in base.strategies] == ["parent", "patch"]


def test_the_table_of_one_measure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = read_file(tmp_path, measures=("pages_per_s",))
    run(Wanted(str(path), sensitivity=True, quiet=True))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "reads: one parameter changed at a time; pages_per_s, median of 2 seeds"
    )
    assert lines[2].split() == ["parent", "patch"]
    assert [line.split()[0] for line in lines[3:]] == [
        "base",
        "slow",
        "costly",
        "large",
    ]
    assert len({len(line) for line in lines[2:]}) == 1


def test_the_table_of_several_measures(tmp_path: Path) -> None:
    measures = ("pages_per_s", "spin_share_pct")
    experiment = Experiment.load(str(read_file(tmp_path, measures=measures)))
    rows = sensitivity_rows(experiment, lambda variation, row: None)
    lines = sensitivity_text(experiment, rows).splitlines()
    assert lines[0] == "reads: one parameter changed at a time; 2 seeds, medians"
    assert lines[2].split() == list(measures)
    assert [line.split()[:2] for line in lines[3:5]] == [
        *(["base", "parent"], ["base", "patch"])
    ]


def test_a_measure_that_is_not_taken(tmp_path: Path) -> None:
    path = read_file(tmp_path, measures=("worst_refill_ms",))
    with pytest.raises(UsageError) as caught:
        run(Wanted(str(path), sensitivity=True, quiet=True))
    message = str(caught.value)
    assert message.startswith(
        "sensitivity.measures: 'worst_refill_ms' is not measured: claim_attempts, "
    )
    assert "pages_per_s" in message


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.5, "0.5"),
        (12.345, "12.3"),
        (999.4, "999"),
        (1000, "1,000"),
        (-2e6, "-2,000,000"),
    ],
)
def test_figures(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_a_machine_without_memory_ends_with_a_status_of_its_own(
    tmp_path: Path,
) -> None:
    path = read_file(tmp_path)
    path.write_text(path.read_text().replace("z = 2000", "unmov = 1, recl = 1"))
    with pytest.raises(SimulationError, match="no page left") as caught:
        run(Wanted(str(path), quiet=True))
    assert caught.value.exit_status == 7


def test_sensitivity_has_no_reports(tmp_path: Path) -> None:
    path, out = read_file(tmp_path, measures=("pages_per_s",)), tmp_path / "out.json"
    wanted = Wanted(
        str(path), sensitivity=True, reports=(("json", str(out)),), quiet=True
    )
    with pytest.raises(UsageError, match="--sensitivity prints a table of its own"):
        run(wanted)
    assert not out.exists()


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
