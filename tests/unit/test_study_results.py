"""What is kept of studies: lists, choices, tables, exports, and what has changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest

from rmqueue.compare import Wanted as Compared
from rmqueue.compare import run as compare
from rmqueue.errors import OutputError, RmqueueError, UnknownNameError, UsageError
from rmqueue.study.dataset import Place
from rmqueue.study.results import Wanted, show
from rmqueue.study.run import Wanted as Run
from rmqueue.study.run import run
from rmqueue.study.study import read_study
from tests.unit.test_study_design import BASE, study

MORE = (
    '[[sweep]]\nover = { "zone.pages" = [2048, 4096] }\n'
    '[[sweep]]\nover = { "strategies.capped.params.batches" = [1, 2] }\n'
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    for name, more in (("swept", MORE), ("plain", "")):
        path = study(folder, more)
        run(Run(str(path), folder=folder / name, quiet=True, jobs=1))
    return folder


def printed(capsys: pytest.CaptureFixture[str], *args: Any, **fields: Any) -> str:
    capsys.readouterr()
    show(Wanted(*args, **fields))
    return capsys.readouterr().out


def test_studies_are_listed(
    kept: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kept)
    lines = printed(capsys, None).splitlines()
    assert re.split(r"  +", lines[0])[:3] == ["study", "runs", "failed"]
    assert lines[1].startswith("plain  4 of 4")
    assert lines[2].startswith("swept  12 of 12")
    assert lines[1].endswith("remembered-fallback, capped")


def test_a_study_that_cannot_be_read_does_not_hide_the_others(
    kept: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(kept / "plain", tmp_path / "plain")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    lines = printed(capsys, None).splitlines()
    assert lines[1].startswith("plain  4 of 4")
    assert lines[2].startswith("broken/study.json: cannot be read")


def without(folder: Path, column: str) -> Path:
    """Take a column out of one run, as if a version without it had written it."""
    path = Place(folder).files()[0]
    table = pyarrow.parquet.ParquetFile(path).read()
    pyarrow.parquet.write_table(table.drop_columns([column]), path)
    return path


def test_a_study_of_an_older_version(kept: Path, tmp_path: Path) -> None:
    """What can be told from the rest is; else file, column and cure are named."""
    folder = tmp_path / "swept"
    shutil.copytree(kept / "swept", folder)
    without(folder, "varied")
    first = next(Place(folder).runs())
    assert first.varied == dict.fromkeys(first.point, "number")
    path = without(folder, "row")
    words = f"{path}: it has no column 'row': another version of rmqueue wrote it"
    with pytest.raises(OutputError, match=f"{re.escape(words)}.* --resume"):
        read_study(folder)


def test_a_row_of_another_version(kept: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    shutil.copytree(kept / "plain", folder)
    path = Place(folder).files()[0]
    table = pyarrow.parquet.ParquetFile(path).read()
    at = table.column_names.index("row")
    for old, words in (
        ("holds", "a column lacks 'holds'"),
        ("label", "'label_before'"),
    ):
        text = table["row"][0].as_py().replace(f'"{old}"', f'"{old}_before"')
        pyarrow.parquet.write_table(table.set_column(at, "row", [[text]]), path)
        with pytest.raises(OutputError, match=f"{path}: .*{words}"):
            read_study(folder)


def test_a_folder_without_studies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert printed(capsys, None).startswith("no study is kept in a folder just below")


def test_runs_are_listed_and_chosen(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, kept / "swept").splitlines()
    assert len(lines) == 13
    assert "zone.pages" in lines[0]
    for where, count in (
        ((("seed", "2"),), 6),
        ((("strategy", "capped"),), 8),
        ((("zone.pages", "2_048"), ("seed", "1")), 3),
        ((("strategies.capped.params.batches", "2"), ("zone.pages", "2048")), 4),
        ((("run", lines[1].split()[0]),), 1),
    ):
        found = printed(capsys, kept / "swept", where=where).splitlines()
        assert len(found) - 1 == count, where


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (("zone.page", "1"), "no field is called 'zone.page': did you mean 'zone.pag"),
        (("zone.pages", "1"), "zone.pages=1: no run has it: there are 2048, 4096"),
        (("seed", "one"), "seed=one: no run has it: there are 1, 2"),
        (
            ("strategies.capped.params.batches", "9"),
            "batches=9: no run has it: there are 1, 2",
        ),
    ],
)
def test_a_choice_of_nothing(kept: Path, where: tuple[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        show(Wanted(kept / "swept", where=(where,)))
    assert caught.value.exit_status == 2
    assert isinstance(caught.value, UnknownNameError) == ("no field" in words)


def test_a_table_of_what_was_kept(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "table.md"
    where = (("zone.pages", "4096"), ("strategies.capped.params.batches", "1"))
    show(Wanted(kept / "swept", where, (("markdown", str(file)), ("csv", "-"))))
    assert "| remembered-fallback | capped |" in file.read_text()
    assert capsys.readouterr().out.count("\n") == 5  # two strategies, two seeds
    with pytest.raises(UsageError, match=r"4 tables remain .*choose one with --where"):
        show(Wanted(kept / "swept", (), (("markdown", "-"),)))


def test_exports(kept: Path, tmp_path: Path) -> None:
    tables = {}
    for suffix, read in (
        ("csv", pyarrow.csv.read_csv),
        ("parquet", pyarrow.parquet.read_table),
    ):
        path = tmp_path / f"all.{suffix}"
        show(Wanted(kept / "swept", (("seed", "1"),), export=path))
        tables[suffix] = read(path).to_pylist()
        assert len(tables[suffix]) == 6
    for one, other in zip(*tables.values(), strict=True):
        for name in ("strategy", "experiment", "seed", "zone.pages", "hold_worst_ps"):
            assert one[name] == other[name]
        assert not {"samples", "row", "provenance"} & one.keys()
    for path, error in (
        (tmp_path / "all.xlsx", UsageError),
        (tmp_path / "no" / "all.csv", OutputError),
    ):
        with pytest.raises(error):
            show(Wanted(kept / "swept", export=path))


def test_compare_against_what_was_kept(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = study(tmp_path)
    compare(Compared(str(path), against=kept / "plain", quiet=True))
    out = capsys.readouterr().out
    assert out.endswith(
        f"4 of 4 runs compared with {kept / 'plain'}: equal in every figure\n"
    )
    assert "worst hold" in out
    changed = BASE.replace('machine = "generic"', "weights_ps = { lock = 5 }")
    compare(Compared(str(study(tmp_path, base=changed)), against=kept / "plain"))
    out = capsys.readouterr().out
    assert re.search(r"  capped, seed 1: hold_worst_ps [\d,]+ -> [\d,]+ \(-", out)
    assert "work_" not in out.partition("runs compared")[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quick": True}, "it has no run of the same requests"),
        ({"against": Path("nowhere")}, "no study is kept there"),
        ({"reports": (("csv", "-"),)}, "prints to stdout: give the report a file"),
    ],
)
def test_what_cannot_be_compared(
    kept: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    fields = {"against": kept / "plain", "quiet": True, **changes}
    with pytest.raises(RmqueueError, match=words):
        compare(Compared(str(study(tmp_path)), **fields))


def test_other_requests_are_no_match(kept: Path, tmp_path: Path) -> None:
    path = study(tmp_path, base=BASE.replace("operations = 2000", "operations = 2001"))
    with pytest.raises(UsageError, match="no run of the same requests"):
        compare(Compared(str(path), against=kept / "plain", quiet=True))
