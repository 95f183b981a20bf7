"""``rmqueue bench``: a quick run, two commits, everything once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from rmqueue import bench, bench_compare
from rmqueue.bench import Wanted, run
from rmqueue.bench_asv import Asv, run_once
from rmqueue.bench_checkout import WORKING_TREE, git, snapshot
from rmqueue.bench_compare import changes, find_commits, judge, summary
from rmqueue.bench_tracks import Track, Value, read_results
from rmqueue.errors import BenchError, UnknownNameError, UsageError
from tests.meta.sources import ROOT
from tests.unit.asv_files import COMMITS, IMPORT, OPEN, RATIO, STEALS, three_commits

CONF = """
{
    "version": 1, "project": "tiny", "repo": ".", "branches": ["main"], // as ours
    "benchmark_dir": "benchmarks", "results_dir": "kept", "env_dir": ".asv/env",
    "environment_type": "virtualenv", "launch_method": "forkserver"
}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a commit and one benchmark."""
    root = tmp_path / "tiny"
    (root / "benchmarks").mkdir(parents=True)
    (root / "asv.conf.json").write_text(CONF)
    (root / "benchmarks" / "__init__.py").write_text("")
    (root / "benchmarks" / "bench_it.py").write_text("def track_one(): return 1.0\n")
    (root / ".gitignore").write_text(".asv/\n__pycache__/\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "somebody")
    git(root, "config", "user.email", "somebody@localhost")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return root


def test_a_quick_run_has_a_line_for_each_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("none", "remembered-fallback")
    wanted = Wanted(names, experiment="synthetic", turns=2, markdown=True)
    run(wanted)
    head, rule, none, remembered, *rest = capsys.readouterr().out.splitlines()
    cells = [cell.strip() for cell in remembered.strip("|").split("|")]
    assert head.startswith("| strategy | kernel | time [ns/op] | by C |")
    assert set(rule) <= set("|:- ")
    assert none.startswith("| none | 7.3 |")
    assert cells[:2] == ["remembered-fallback", "6.14"]
    assert float(cells[2]) > 0
    assert cells[3:] == ["n/a", "265042", "23", "140", "386", "15.65"]
    assert "needs a checkout" in rest[-1]


@pytest.mark.slow
def test_in_a_checkout_c_is_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "docs")
    ratios, note = bench.ratios_to_yardstick(("none", "tight-fallback"))
    assert ratios.keys() == {"none", "tight-fallback"}
    assert 0 < ratios["none"] < ratios["tight-fallback"] < 20
    assert "C program" in note


def test_without_a_compiler_it_is_skipped_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", str(tmp_path))
    ratios, note = bench.ratios_to_yardstick(("none",))
    assert (ratios, note) == ({}, "by C: skipped: the yardstick needs make and gcc")


def test_names_are_looked_up_first() -> None:
    with pytest.raises(UnknownNameError, match="tight-fallback"):
        run(Wanted(("tight-fallbac",)))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(commit="HEAD"), "belong to --against"),
        (Wanted(only="x"), "belong to --against"),
        (Wanted(once=True, against="HEAD"), "keeps nothing"),
        (Wanted(once=True, plugins=(Path("x.py"),)), "only installed plugins"),
        (Wanted(factor=1.0), "1 is not greater than 1"),
    ],
)
def test_contradictions_are_refused(wanted: Wanted, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run(wanted)


@pytest.mark.parametrize("wanted", [Wanted(against="HEAD"), Wanted(once=True)])
def test_outside_a_checkout_the_way_in_is_named(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="needs a checkout of rmqueue: neither"):
        run(wanted)


def test_a_snapshot_has_everything_and_touches_nothing(repository: Path) -> None:
    assert snapshot(repository) == git(repository, "rev-parse", "HEAD")
    (repository / "new.py").write_text("new = 1\n")
    (repository / ".asv").mkdir()
    (repository / ".asv" / "ignored").write_text("")
    (repository / ".gitignore").write_text(".asv/\n")
    before = git(repository, "status", "--porcelain")
    commit = snapshot(repository)
    assert git(repository, "status", "--porcelain") == before
    assert git(repository, "diff", "--name-only", "HEAD", commit).split() == [
        *(".gitignore", "new.py")
    ]
    assert git(repository, "branch", "--all", "--contains", commit) == ""
    found = find_commits(repository, "main", None)
    assert (found.tested, found.tested_name) == (commit, WORKING_TREE)


def test_the_same_commit_twice_is_refused(repository: Path) -> None:
    with pytest.raises(UsageError, match="nothing has changed in the working tree"):
        find_commits(repository, "HEAD", None)
    with pytest.raises(UsageError, match=r"HEAD and main are the same$"):
        find_commits(repository, "HEAD", "main")
    with pytest.raises(UsageError, match="no commit is called 'elsewhere'"):
        find_commits(repository, "elsewhere", None)


def test_everything_is_run_once_and_nothing_kept(repository: Path) -> None:
    run_once(repository)
    assert git(repository, "status", "--porcelain") == ""
    assert not list((repository / ".asv" / "bench" / "results").rglob("*env*.json"))
    text = "def track_one(): raise ValueError('broken')\n"
    (repository / "benchmarks" / "bench_it.py").write_text(text)
    with pytest.raises(BenchError, match="benchmarks failed"):
        run_once(repository)


def test_strategies_are_handed_to_the_benchmarks(repository: Path) -> None:
    text = "import os\ndef track_one():\n    assert os.environ['%s'] == 'a,b'\n"
    name = "RMQUEUE_BENCH_STRATEGIES"
    (repository / "benchmarks" / "bench_it.py").write_text(
        text % name + "    return 1\n"
    )
    run_once(repository, ("a", "b"))


def test_what_was_not_measured_is_said(repository: Path) -> None:
    asv = Asv(repository)
    three_commits(asv.results)
    assert [one.commit for one in asv.measured([COMMITS[1], COMMITS[0]])] == [
        *(COMMITS[1], COMMITS[0])
    ]
    with pytest.raises(BenchError, match=r"nothing was measured of d{12}:"):
        asv.measured(["d" * 40])


def test_a_configuration_that_is_none_is_refused(repository: Path) -> None:
    (repository / "asv.conf.json").write_text("{")
    with pytest.raises(BenchError, match=r"asv\.conf\.json"):
        Asv(repository)


def test_without_asv_it_says_what_to_install(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asv", None)
    with pytest.raises(UsageError, match=r"pip install 'rmqueue\[bench\]'"):
        run_once(repository)


EXACT, TIME, RATE = Track(STEALS), Track(OPEN, unit="seconds"), Track("x", (), "1/s")


def sure(value: float) -> Value:
    return Value(value, value * 0.99, value * 1.01)


@pytest.mark.parametrize(
    ("track", "before", "after", "verdict"),
    [
        (EXACT, sure(1000.0), sure(1000.0), ""),
        (EXACT, sure(1000.0), sure(999.0), "changed"),
        (TIME, sure(1.0), sure(1.09), ""),
        (TIME, sure(1.0), sure(1.3), "slower"),
        (TIME, sure(1.3), sure(1.0), "faster"),
        (TIME, Value(1.0, 0.9, 1.2), Value(1.3, 1.1, 1.4), ""),
        (RATE, sure(1.3), sure(1.0), "slower"),
        (RATE, sure(1.0), sure(1.3), "faster"),
        (TIME, sure(1.0), None, "gone"),
        (EXACT, None, sure(1.0), "new"),
    ],
)
def test_verdicts(
    track: Track, before: Value | None, after: Value | None, verdict: str
) -> None:
    assert judge(track, before, after, 1.1) == verdict


def test_changes_of_two_commits(tmp_path: Path) -> None:
    first, second, third = read_results(three_commits(tmp_path))
    found = changes(first, second, 1.1)
    assert [(c.track.name, c.verdict) for c in found] == [
        ("replay: AgainstC.ratio", "faster"),
        ("results: Board.steals (one)", "changed"),
        ("results: Board.steals (two)", "new"),
    ]
    assert bench_compare.cells(found[1]) == (
        *("results: Board.steals (one)", "5 blocks", "7 blocks", "+40.0 %", "changed"),
    )
    assert [c.verdict for c in changes(second, third, 1.1)] == ["slower"]
    assert summary(found, first, second) == (
        "2 exact figures and 2 measured ones: 1 changed, 1 faster, 1 new"
    )
    assert not changes(second, second, 1.1)


@pytest.mark.parametrize(("at", "status"), [(2, 1), (1, 0)])
def test_the_status_tells(
    at: int,
    status: int,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the first to the third there is worse; from the second to itself nothing."""
    measured = read_results(three_commits(tmp_path / "results"))
    monkeypatch.setattr(
        bench_compare, "measure", lambda *words: (measured[1], measured[at])
    )
    (repository / "new.py").write_text("")
    monkeypatch.chdir(repository)
    wanted = Wanted(against="HEAD", markdown=True)
    if status:
        with pytest.raises(typer.Exit) as left:
            run(wanted)
        assert left.value.exit_code == status
        assert (
            "| replay: AgainstC.ratio | 0.8 ratio | 1.6 ratio | +100.0 % | slower |"
            in (capsys.readouterr().out)
        )
    else:
        run(wanted)
        assert "no change" in capsys.readouterr().out


def test_kinds() -> None:
    assert [Track(name).kind for name in (STEALS, RATIO, OPEN, IMPORT)] == [
        *("results", "speed", "speed", "start-up")
    ]
    assert Track("bench_mm.Open.peakmem_open", unit="bytes").kind == "memory"


def test_ratios_refuse_a_strategy_that_is_not_there() -> None:
    command = [sys.executable, "-m", "benchmarks.ratios", "nobody"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert '"ratios": {}' in done.stdout
    assert "nobody" in done.stdout
