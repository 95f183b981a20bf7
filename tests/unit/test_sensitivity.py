"""One parameter changed at a time: `rmqueue compare --sensitivity`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rmqueue.compare import Wanted, run
from rmqueue.errors import UsageError
from rmqueue.experiment import Experiment
from rmqueue.sensitivity import figure, sensitivity_rows, sensitivity_text
from tests.unit.reads import read_file


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


def test_sensitivity_has_no_reports(tmp_path: Path) -> None:
    path, out = read_file(tmp_path, measures=("pages_per_s",)), tmp_path / "out.json"
    wanted = Wanted(
        str(path), sensitivity=True, reports=(("json", str(out)),), quiet=True
    )
    with pytest.raises(UsageError, match="--sensitivity prints a table of its own"):
        run(wanted)
    assert not out.exists()


@pytest.mark.parametrize("more", [{"quick": True}, {"full": True}, {"seed": 3}])
def test_sensitivity_has_seeds_of_its_own(tmp_path: Path, more: dict[str, Any]) -> None:
    path = read_file(tmp_path, measures=("pages_per_s",))
    with pytest.raises(UsageError, match="--sensitivity has seeds of its own"):
        run(Wanted(str(path), sensitivity=True, quiet=True, **more))
