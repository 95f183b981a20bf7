"""The command: exit statuses, messages without tracebacks, files written."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from rmqueue import __version__, cli, registry
from tests.golden.vectors import DATA
from tests.unit.experiments import small_file


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


class Command:
    """Runs `rmqueue` in this process, as the installed script does."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Done:
        argv = ["rmqueue", *map(str, arguments)]
        with (
            mock.patch.object(sys, "argv", argv),
            mock.patch("signal.signal"),
            pytest.raises(SystemExit) as left,
        ):
            cli.main()
        out, err = self.capsys.readouterr()
        status = left.value.code
        return Done(status if isinstance(status, int) else 0, out, err)


@pytest.fixture
def rmqueue(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    monkeypatch.delenv("RMQUEUE_TRACEBACK", raising=False)
    monkeypatch.delenv("RMQUEUE_BLOCK", raising=False)
    yield Command(capsys)
    registry.default_registry.cache_clear()


def refused(done: Done, status: int, *words: str) -> None:
    """One message, every line with our name, and nothing on stdout."""
    assert done.status == status
    assert done.out == ""
    assert done.err
    assert all(line.startswith("rmqueue: ") for line in done.err.splitlines())
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err


def test_version_and_help(rmqueue: Command) -> None:
    assert rmqueue("--version").out == f"rmqueue {__version__}\n"
    done = rmqueue("--help")
    assert done.status == 0
    for command in ("compare", "plugins", "schema", "verify"):
        assert command in done.out
        assert rmqueue(command, "--help").status == 0


def test_the_table_goes_to_stdout(rmqueue: Command, tmp_path: Path) -> None:
    done = rmqueue("compare", small_file(tmp_path), "-q")
    assert done.status == 0
    assert done.err == ""
    assert done.out.startswith("small: workload mix")
    assert "worst hold [us]" in done.out


def test_reports_go_to_files_or_to_stdout(rmqueue: Command, tmp_path: Path) -> None:
    path, out = small_file(tmp_path), tmp_path / "out.json"
    done = rmqueue("compare", path, "-q", "--json", out, "--csv", "-")
    assert done.status == 0
    assert [line["label"] for line in csv.DictReader(io.StringIO(done.out))] == [
        *("greedy-steal", "greedy-steal", "now", "now", "none", "none")
    ]
    assert json.loads(out.read_text())["experiment"] == "small"
    done = rmqueue("compare", path, "-q", "--json", "-", "--seed", 7)
    assert [row["seed"] for row in json.loads(done.out)["rows"]] == [7, 7, 7]
    page = tmp_path / "out.md"
    done = rmqueue("compare", path, "-q", "--markdown", page, "--strategies", "none")
    assert "| pages asked |" in page.read_text()
    assert done.out.startswith("small: ")
    again = tmp_path / "again.csv"
    assert rmqueue("compare", path, "-q", "--report", f"csv={again}").status == 0
    assert again.read_text().startswith("experiment,")


def test_progress_goes_to_stderr(rmqueue: Command, tmp_path: Path) -> None:
    done = rmqueue("compare", small_file(tmp_path), "--json", "-")
    assert json.loads(done.out)["experiment"] == "small"


TALKS = """\
from rmqueue import Strategy, strategy
from rmqueue.hookspecs import hookimpl


@strategy(jit=False)
def fallback(zone, order, start_mt, flags, batch, st):
    print("asked")
    return -1


@hookimpl
def rmqueue_strategies():
    return [Strategy("talks", "Talks.", fallback)]
"""


def test_what_a_strategy_prints_is_not_in_a_report(
    rmqueue: Command, tmp_path: Path
) -> None:
    path, plugin = small_file(tmp_path), tmp_path / "talks.py"
    plugin.write_text(TALKS)
    asked = ("compare", path, "-q", "--plugin", plugin, "--strategies", "talks")
    done = rmqueue(*asked, "--json", "-")
    assert json.loads(done.out)["experiment"] == "small"
    assert done.err.startswith("asked\n")
    done = rmqueue(*asked)
    assert done.out.startswith("asked\n")
    assert done.err == ""


def test_quick_replays_a_part(rmqueue: Command, tmp_path: Path) -> None:
    path = small_file(tmp_path)
    whole, quick = (
        json.loads(rmqueue("compare", path, "-q", "--json", "-", *more).out)["rows"]
        for more in ((), ("--quick",))
    )
    assert len(quick) == 3
    assert 0 < quick[0]["total"]["ops"] < whole[0]["total"]["ops"]


def test_one_kernel_for_all(rmqueue: Command, tmp_path: Path) -> None:
    done = rmqueue("compare", small_file(tmp_path), "-q", "--kernel", "6.9")
    assert done.status == 0
    row = next(line for line in done.out.splitlines() if line.startswith("kernel"))
    assert row.split() == ["kernel", "6.9", "6.9", "6.9"]
    refused(rmqueue("compare", "--kernel", "6.99"), 2, "did you mean '6.9'")
    refused(rmqueue("compare", "--kernel", "7.3"), 2, "'greedy-steal'", "leave it out")


def test_parameters_of_strategies(rmqueue: Command, tmp_path: Path) -> None:
    path, name = small_file(tmp_path), "chunked-refill"
    names = (f"{name}:pages=4", f"{name}:pages=9", "now")
    asked = ("compare", path, "-q", "--seed", 1)
    done = rmqueue(*asked, "--strategies", ",".join(names), "--json", "-")
    assert [row["label"] for row in json.loads(done.out)["rows"]] == [*names]
    for text, words in (
        (f"{name}:pagse=4", "did you mean 'pages'"),
        (f"{name}:pages=four", f"--strategies {name}:pages=four: params.pages: should"),
        (f"{name}:pages=0", "(found '0')"),
        (f"{name}:pages", "is not NAME:param=value"),
        (f"{name}:pages=1:pages=2", "with each parameter once"),
        ("none:a=1", "--strategies none:a=1: params.a: no field is called 'a': there"),
        ("chunked:pages=4", "did you mean 'chunked-refill'"),
    ):
        refused(rmqueue(*asked, "--strategies", text), 2, words)


def test_options_are_named(rmqueue: Command, tmp_path: Path) -> None:
    """What is wrong with an option is not put down to the experiment's file."""
    path, out = small_file(tmp_path), tmp_path / "out.parquet"
    for arguments, words in (
        (
            ("compare", path, "--strategies", "nix"),
            "rmqueue: --strategies: no strategy",
        ),
        (("compare", "--recording", "nix"), "rmqueue: --recording: there is no /"),
        (("run", path, "--kernel", "nix"), "rmqueue: --kernel: no kernel is called"),
        (("run", path, "--memory", "inf"), "--memory: a number of GiB is needed"),
        (("bench", "--factor", "nan"), "--factor: nan is not greater than 1"),
        (("results", "--export", out), "--export are of one study: name its folder"),
        (("results", "--where", "seed=1"), "are of one study: name its folder"),
        (("report", path, "-o", "-"), "--output: a page is a file, not stdout"),
        (("trace", "ops", "real", "-o", "/dev/full"), "rmqueue: /dev/full: cannot be"),
    ):
        done = rmqueue(*arguments)
        assert done.status in (1, 2), done.err
        assert words in done.err
    assert rmqueue("compare", path, "--seed", 1 << 63).status == 2
    assert not out.exists()


def test_a_study_is_kept_in_its_own_folder(rmqueue: Command, tmp_path: Path) -> None:
    path = small_file(tmp_path)
    kept = tmp_path / "kept"
    assert rmqueue("run", path, "-o", kept, "-q").status == 0
    other = path.with_name("other.toml")
    other.write_text(path.read_text())
    refused(
        rmqueue("run", other, "-o", kept, "-q", "--resume"),
        *(2, f"{kept}: the study 'small' is kept there, not 'other': -o FOLDER"),
    )
    for damaged in ("{", "[]", "{}"):
        (kept / "study.json").write_text(damaged)
        done = rmqueue("run", path, "-o", kept, "-q", "--resume")
        assert (done.status, done.err) == (0, "")
        assert "0 of 6 runs done, 6 were there" in done.out


def test_what_does_not_exist(rmqueue: Command, tmp_path: Path) -> None:
    path = small_file(tmp_path)
    refused(
        rmqueue("compare", path, "-q", "--strategies", "tight-falback"),
        *(2, "no strategy is called 'tight-falback': did you mean 'tight-fallback'?"),
    )
    refused(rmqueue("compare", "rael", "-q"), 2, "no experiment is called 'rael'")
    refused(rmqueue("compare", tmp_path / "no.toml", "-q"), 2, "no.toml")
    words = "batch-size: is a study: rmqueue run batch-size\n"
    refused(rmqueue("compare", "batch-size", "-q"), 2, words)
    refused(
        rmqueue("compare", path, "-q", "--report", "xml=out"),
        *(2, "no reporter is called 'xml'"),
    )
    refused(rmqueue("compare", path, "-q", "--report", "xml"), 2, "is not NAME=FILE")
    refused(rmqueue("compare", path, "-q", "--strategies", ","), 2, "at least one name")
    refused(rmqueue("verify", tmp_path / "missing"), 4, "there is no such folder")
    refused(rmqueue("schema", "--strategy", "x"), 2, "no strategy is called 'x'")


def test_broken_files(rmqueue: Command, tmp_path: Path) -> None:
    path = small_file(tmp_path, ("pages = 1500", "pages = "))
    refused(rmqueue("compare", path, "-q"), 2, str(path))
    path = small_file(tmp_path, ("pages = 1500", "pages = -4\ncpuss = 1"))
    refused(rmqueue("compare", path, "-q"), 2, "zone.pages: ", "zone.cpuss: ")


def test_outputs_that_cannot_be_written(rmqueue: Command, tmp_path: Path) -> None:
    path = small_file(tmp_path)
    refused(
        rmqueue("compare", path, "-q", "--json", tmp_path / "no" / "out.json"),
        *(1, "cannot be written: there is no"),
    )
    refused(
        rmqueue("compare", path, "-q", "--json", "-", "--csv", "-"),
        *(2, "only one report can go to stdout"),
    )
    out, again = tmp_path / "out", f"{tmp_path}/./out"
    refused(
        rmqueue("compare", path, "-q", "--json", out, "--csv", again),
        *(2, "two reports go there"),
    )
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "--seed", "-1"),
        ("compare", "--sed", "1"),
        ("nonsense",),
        ("verify",),
    ],
)
def test_wrong_options_are_usage_errors(
    rmqueue: Command, arguments: tuple[str, ...]
) -> None:
    done = rmqueue(*arguments)
    assert done.status == 2
    assert "Traceback" not in done.err
    assert "Usage: rmqueue" in done.err


def test_plugins_are_listed(rmqueue: Command) -> None:
    done = rmqueue("plugins")
    assert done.status == 0
    for name in ("remembered-fallback", "generic", "mix", "tracefs", "json", "real"):
        assert f" {name} " in done.out


def test_blocked_plugins_are_listed_as_such(
    rmqueue: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RMQUEUE_BLOCK", "none")
    registry.default_registry.cache_clear()
    assert "blocked: none" in rmqueue("plugins").out
    done = rmqueue("compare", small_file(tmp_path), "-q", "--strategies", "none")
    refused(done, 2, "strategy 'none' is blocked (RMQUEUE_BLOCK=none)")


def test_schemas_are_json(rmqueue: Command) -> None:
    assert "strategies" in json.loads(rmqueue("schema").out)["properties"]
    workload = json.loads(rmqueue("schema", "--workload", "mix").out)
    assert "operations" in workload["properties"]
    assert json.loads(rmqueue("schema", "--strategy", "none").out)["type"] == "object"
    both = rmqueue("schema", "--strategy", "none", "--workload", "mix")
    refused(both, 2, "not both")


def test_verify(rmqueue: Command, tmp_path: Path) -> None:
    for name in ("trace_micro.npz", "smallest__micro.npz"):
        shutil.copy(DATA / name, tmp_path)
    done = rmqueue("verify", tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("1 of 1 exact\n")
    shutil.copy(DATA / "latest__micro.npz", tmp_path / "smallest__micro.npz")
    done = rmqueue("verify", tmp_path, "-q")
    assert done.status == 1
    assert "DIFFERS at op" in done.out
    (tmp_path / "smallest__micro.npz").write_bytes(b"PK")
    refused(rmqueue("verify", tmp_path), 4, "smallest__micro.npz: no whole .npz file")


def test_bugs_are_told_as_such(
    rmqueue: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("rmqueue.listing.list_plugins", broken)
    refused(rmqueue("plugins"), 70, "ZeroDivisionError: deep inside", "this is a bug")
    monkeypatch.setenv("RMQUEUE_TRACEBACK", "1")
    with (
        mock.patch.object(sys, "argv", ["rmqueue", "plugins"]),
        mock.patch("signal.signal"),
        pytest.raises(ZeroDivisionError),
    ):
        cli.main()


def test_lack_of_memory(rmqueue: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("rmqueue.listing.list_plugins", stop)
    refused(rmqueue("plugins"), 1, "not enough memory")
