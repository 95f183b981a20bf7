"""Reporters of several seeds: mmtests, LaTeX, Parquet, statistics as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from rmqueue.compare import STDOUT, check_place, render, write_report
from rmqueue.errors import PluginError, UsageError
from rmqueue.export import as_json, as_statistics_csv
from rmqueue.registry import default_registry
from rmqueue.results import Comparison
from rmqueue.types import Reporter
from rmqueue_plugins.latex import escaped, latex, number
from rmqueue_plugins.mmtests import apart, gain, mmtests, rate_gain
from rmqueue_plugins.parquet import KEY, parquet
from tests.unit.experiments import five_seeds, of_seeds, small_comparison

PDFLATEX = shutil.which("pdflatex")


def with_rate(comparison: Comparison) -> Comparison:
    """Give the runs a rate, of which more is better."""
    rows = []
    for row in comparison.rows:
        rate = 100.0 * (row.seed or 0) * (1 if row.label == "base" else 2)
        total = replace(row.total, measures={"pages_per_s": rate, "kept_pages": 7.0})
        rows.append(replace(row, total=total))
    return replace(comparison, rows=tuple(rows))


# mmtests -----------------------------------------------------------------------------


def test_the_table_of_mmtests() -> None:
    lines = mmtests(with_rate(five_seeds())).splitlines()
    for line in (
        " " * 49 + "6.14" + " " * 19 + "6.14",
        "Min       work_claim_try             10.00 (   0.00%)       15.00 ( -50.00%)",
        "Amean     work_claim_try             30.00 (   0.00%)       45.00 ( -50.00%)",
        "Amean     work_scan_block             0.00 (   0.00%)        3.00 * -99.00%*",
        "Amean     mixed_pageblocks            4.00 (   0.00%)        6.00 * -50.00%*",
        "Hmean     measure_pages_per_s       218.98 (   0.00%)      437.96 ( 100.00%)",
        "Stddev    measure_pages_per_s       158.11 (   0.00%)      316.23 (-100.00%)",
        "CoeffVar  measure_pages_per_s        52.70 (   0.00%)       52.70 (   0.00%)",
        "Max       measure_pages_per_s       500.00 (   0.00%)     1000.00 ( 100.00%)",
        "BHmean-50 measure_pages_per_s       444.44 (   0.00%)      888.89 ( 100.00%)",
        "BAmean-50 work_claim_try             15.00 (   0.00%)       22.50 ( -50.00%)",
        "by-hand: workload made up",
        "5 seeds; *: Welch's t-test, 5 %",
        "a note",
    ):
        assert line in lines, line
    assert not any(line.startswith("Stddev    mixed_pageblocks") for line in lines)
    (same,) = (line for line in lines if line.startswith("deterministic: "))
    assert "mixed_pageblocks" in same
    assert "work_claim_try" not in same
    assert any(line.startswith("Ops measure_kept_pages") for line in lines)


def test_columns_of_mmtests_stand_below_their_heads() -> None:
    lines = mmtests(five_seeds()).splitlines()
    row = next(line for line in lines if line.startswith("Amean"))
    assert len(lines[0]) == len(lines[1]) == len(row)
    assert lines[1].endswith("base              other_50%")


def test_one_seed_has_means_alone() -> None:
    lines = mmtests(of_seeds(five_seeds(), 2)).splitlines()
    assert {line.split()[0] for line in lines[2 : lines.index("")]} == {
        "Amean",
        "Hmean",
    }
    assert "*" not in "".join(lines)
    assert "one seed" in lines


def test_gains_are_those_of_mmtests() -> None:
    assert [gain(n, o) for n, o in ((5, 5), (0, 4), (4, 0), (5, 4))] == [
        0,
        100,
        -99,
        -25,
    ]
    rates = [rate_gain(n, o) for n, o in ((5, 5), (0, 4), (4, 0), (5, 4))]
    assert rates == [0, 0, 100, 25]


@pytest.mark.parametrize(
    ("base", "other", "stars"),
    [
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], True),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], False),
        ([1.0, 1.1, 0.9], [5.0, 5.1, 4.9], True),
        ([1.0, 5.0, 9.0], [2.0, 6.0, 10.0], False),
        ([1.0, 1.0, 1.0], [1.1, 1.2, 1.15], True),
        ([1.0, 1.0], [2.0, 2.0], False),
    ],
)
def test_stars(base: list[float], other: list[float], stars: bool) -> None:
    assert apart(base, other) is stars


# LaTeX -------------------------------------------------------------------------------


def test_the_table_of_latex() -> None:
    lines = latex(five_seeds()).splitlines()
    for line in (
        r"\caption{by-hand: workload made up. Two strategies \& five seeds.}",
        r"\label{tab:by-hand}",
        r"\begin{tabular}{lrr}",
        r" & base & other\_50\% \\",
        r"claim attempts & $30$ $\pm$ $16$ & $45$ $\pm$ $24$ \\",
        r"claim attempts &  & $+50.0$\,\% \\",
        r"\quad 95 \% interval &  & deterministic \\",
        r"\quad 95 \% interval &  & $+1.8$ to $+4.2$ \\",
        r"\multicolumn{3}{l}{\emph{change against base, paired by seed}} \\",
    ):
        assert line in lines, line
    assert latex(of_seeds(five_seeds(), 1)).count("midrule") == 1


def test_words_that_latex_would_misread() -> None:
    odd = '50% & $x_1 #2 {a} ~ ^ \\ <b> | "q" ± µ'
    assert escaped(odd) == (
        r"50\% \& \$x\_1 \#2 \{a\} \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{} \textless{}b\textgreater{} \textbar{} "
        r"\textquotedbl{}q\textquotedbl{} $\pm$ \textmu{}"
    )
    assert number("7.3.4+deb13") == "7.3.4+deb13"
    assert number("0") == "$0$"


@pytest.mark.skipif(PDFLATEX is None, reason="there is no pdflatex")
@pytest.mark.parametrize("alone", [True, False])
def test_it_compiles(alone: bool, tmp_path: Path) -> None:
    odd = '50% & $x_1 #2 {a} ~ ^ \\ <b> | "q" ± µ'
    text = latex(replace(five_seeds(), description=odd, notes=(odd,)))
    (tmp_path / "table.tex").write_text(text, encoding="utf-8")
    packages = "[T1]{fontenc}", "{textcomp}", "{booktabs,graphicx}"
    uses = "".join(rf"\usepackage{package}" for package in packages)
    body = "\\begin{document}before\n\\input{table.tex}after\\end{document}\n"
    (tmp_path / "other.tex").write_text(rf"\documentclass{{article}}{uses}{body}")
    name = "table.tex" if alone else "other.tex"
    ended = subprocess.run(
        [str(PDFLATEX), "-halt-on-error", "-interaction=nonstopmode", name],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert "Overfull" not in ended.stdout
    assert (tmp_path / name).with_suffix(".pdf").exists()


# Parquet and the door for bytes ------------------------------------------------------


def test_parquet_has_a_row_per_run(tmp_path: Path) -> None:
    comparison = small_comparison()
    path = tmp_path / "out.parquet"
    path.write_bytes(parquet(comparison))
    table = pyarrow.parquet.read_table(path)
    rows = table.to_pylist()
    assert [(row["strategy"], row["seed"]) for row in rows] == [
        (row.label, row.seed) for row in comparison.rows
    ]
    for found, row in zip(rows, comparison.rows, strict=True):
        assert found["hold_worst_ps"] == row.total.holds.worst_ps
        assert found["work_scan_page"] == row.total.counters["scan_page"]
        assert json.loads(found["params"]) == dict(row.params)
    about = json.loads(table.schema.metadata[KEY])
    assert about["provenance"]["config"]["name"] == "small"


def test_a_recording_has_no_seed(tmp_path: Path) -> None:
    row = replace(five_seeds().rows[0], seed=None)
    path = tmp_path / "out.parquet"
    path.write_bytes(parquet(replace(five_seeds(), rows=(row,))))
    table = pyarrow.parquet.read_table(path)
    assert table["seed"].to_pylist() == [None]
    assert str(table.schema.field("seed").type) == "int64"


def test_reporters_keep_to_what_they_say() -> None:
    binary = Reporter("mine", "Mine.", ".bin", lambda found: b"x", binary=True)
    assert render(binary, five_seeds()) == b"x"
    with pytest.raises(PluginError, match=r"'mine' returned b'x', not text"):
        render(replace(binary, binary=False), five_seeds())
    with pytest.raises(PluginError, match=r"'mine' returned 'x\\n', not bytes"):
        render(replace(binary, render=lambda found: "x\n"), five_seeds())


def test_bytes_go_to_files_and_pipes(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    write_report(str(tmp_path / "out"), b"\x00\xff")
    assert (tmp_path / "out").read_bytes() == b"\x00\xff"
    write_report(STDOUT, b"\x00\xff")
    assert capsysbinary.readouterr().out == b"\x00\xff"


def test_bytes_do_not_go_to_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = default_registry().reporter("parquet")
    check_place(reporter, STDOUT)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    check_place(default_registry().reporter("csv"), STDOUT)
    with pytest.raises(UsageError, match=r"--report parquet=out\.parquet"):
        check_place(reporter, STDOUT)


@pytest.mark.parametrize("name", ["mmtests", "latex", "statistics"])
def test_what_needs_scipy_says_so_before_anything_runs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmqueue.bootstrap.find_spec", lambda module: None)
    check = default_registry().reporter(name).check
    assert check is not None
    check(1)
    check(2)
    with pytest.raises(UsageError, match=r"of 3 seeds needs SciPy: pip install"):
        check(3)


# For programs ------------------------------------------------------------------------


def test_statistics_as_csv() -> None:
    lines = list(csv.DictReader(io.StringIO(as_statistics_csv(five_seeds()))))
    found = {(line["label"], line["figure"]): line for line in lines}
    base, other = (found[label, "work_claim_try"] for label in ("base", "other_50%"))
    assert (base["seeds"], base["mean"], base["interval"]) == ("5", "30.0", "BCa")
    assert base["difference"] == base["percent"] == ""
    assert (other["difference"], other["percent"]) == ("15.0", "50.0")
    assert other["percent_interval"] == "deterministic"
    assert float(other["difference_low"]) < 15 < float(other["difference_high"])
    asked = found["other_50%", "asked"]
    assert (asked["interval"], asked["low"], asked["sd"]) == (
        "deterministic",
        "",
        "0.0",
    )


def test_json_has_statistics_of_several_seeds_only() -> None:
    assert "statistics" not in json.loads(as_json(of_seeds(five_seeds(), 1)))
    found = json.loads(as_json(five_seeds()))["statistics"]
    assert found["baseline"] == "base"
    assert found["units"]["hold_worst_us"] == "us"
    other = found["strategies"]["other_50%"]["work_scan_block"]
    assert (other["n"], other["mean"]) == (5, 3)
    assert other["against"]["change"]["interval"]["method"] == "BCa"
    assert other["against"]["percent"] is None
    assert "against" not in found["strategies"]["base"]["work_scan_block"]
