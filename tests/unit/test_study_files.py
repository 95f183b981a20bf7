"""Studies behind a URL, and in a folder: the same files, whole or not at all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rmqueue.errors import OutputError, UsageError
from rmqueue.study.dataset import Place
from rmqueue.study.root import Root
from rmqueue.study.run import Wanted, run
from rmqueue.study.study import read_study
from tests.unit.test_study import timeless
from tests.unit.test_study_design import study

fsspec = pytest.importorskip("fsspec")
MEMORY = "memory://studies/kept"


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    fsspec.filesystem("memory").store.clear()


def kept(folder: Path, root: Root, **wanted: Any) -> None:
    path = study(folder)
    run(Wanted(str(path), folder=root, quiet=True, jobs=1, **wanted))


def figures(root: Root) -> Any:
    """What is kept, without times."""
    runs = read_study(root).runs
    rows = [json.loads(json.dumps(vars(run), default=vars_of)) for run in runs]
    return [timeless({**row, "started": 0, "wall_seconds": 0}) for row in rows]


def vars_of(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.tolist() if hasattr(value, "tolist") else vars(value)


def test_a_url_keeps_what_a_folder_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path, tmp_path / "kept")
    kept(tmp_path, MEMORY)
    assert f"4 of 4 runs done: kept in {MEMORY}" in capsys.readouterr().out
    assert figures(MEMORY) == figures(tmp_path / "kept")
    here = sorted(
        str(path.relative_to(tmp_path / "kept"))
        for path in (tmp_path / "kept").rglob("*")
        if path.is_file()
    )
    there = sorted(fsspec.filesystem("memory").find("studies/kept"))
    assert [path.removeprefix("/studies/kept/") for path in there] == here


def test_resume_at_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(tmp_path, MEMORY)
    with pytest.raises(UsageError, match=f"{MEMORY}: a study is kept there already"):
        kept(tmp_path, MEMORY)
    system = fsspec.filesystem("memory")
    names = [name for name in system.find("studies/kept") if name.endswith(".parquet")]
    system.mv(names[0], "/studies/kept/experiment=a/strategy=b/.half.parquet")
    assert len(Place(MEMORY).keys()) == 3
    capsys.readouterr()
    kept(tmp_path, MEMORY, resume=True)
    assert "1 of 4 runs done, 3 were there" in capsys.readouterr().out


def test_file_urls_are_folders(tmp_path: Path) -> None:
    kept(tmp_path, f"file://{tmp_path}/a folder")
    assert (tmp_path / "a folder" / "study.json").is_file()
    assert figures(f"file://{tmp_path}/a%20folder/") == figures(tmp_path / "a folder")


def test_nothing_is_kept_at_a_url() -> None:
    with pytest.raises(UsageError, match="memory://nowhere: no study is kept there"):
        read_study("memory://nowhere")
    assert Place("memory://nowhere").keys() == set()


def test_a_damaged_file_at_a_url(tmp_path: Path) -> None:
    kept(tmp_path, MEMORY)
    system = fsspec.filesystem("memory")
    name = next(n for n in system.find("studies/kept") if n.endswith(".parquet"))
    system.pipe_file(name, system.cat_file(name)[:-20])
    with pytest.raises(OutputError, match=f"{MEMORY}/experiment=small/.* --resume"):
        read_study(MEMORY)


def test_a_file_system_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each raises errors of its own."""

    def refuse(*_: Any) -> None:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "pipe_file", refuse)
    words = f"{MEMORY}/study.json: cannot be written: no credentials"
    with pytest.raises(OutputError, match=words):
        kept(tmp_path, MEMORY)


@pytest.mark.parametrize("url", ["odd://bucket/kept", "s3://bucket/kept"])
def test_a_url_that_fsspec_cannot_use(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=f"^{url}: cannot be used: .*(odd|s3fs)"):
        kept(tmp_path, url)


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"URLs need fsspec: pip install .*\[cluster"):
        Place(MEMORY).keys()
