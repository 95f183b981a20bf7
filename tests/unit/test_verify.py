"""What `rmqueue verify` says of whole, differing and damaged vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rmqueue.errors import TraceError
from rmqueue.testing import golden
from rmqueue.verify import verify_folder
from tests.golden.vectors import DATA

FILES = ("trace_micro.npz", "latest__micro.npz", "greedy__micro.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(DATA / name, tmp_path)
    return tmp_path


def change(path: Path, key: str, at: tuple[int, ...], by: int) -> tuple[str, str]:
    """Add to one value of a vector; return the changed and the old value."""
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    old = arrays[key][at]
    arrays[key][at] += np.asarray(by).astype(arrays[key].dtype)
    np.savez(path, **arrays)
    return str(arrays[key][at]), str(old)


def test_whole_vectors_are_exact(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_folder(folder) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{'greedy__micro':<28} exact",
        f"{'latest__micro':<28} exact",
        "2 of 2 exact",
    ]
    assert verify_folder(folder, quiet=True) == 0
    assert capsys.readouterr().out == "2 of 2 exact\n"


@pytest.mark.parametrize(
    ("key", "at", "field"),
    [
        ("res", (50,), "res[50] (pfn or value returned)"),
        ("scan", (60,), "scan[60] (pages scanned)"),
        ("zone", (0, 7), "zone[0, 7] (nr_free)"),
        ("counters", (1, 13), "counters[1, 13] (split)"),
        ("types", (1, 2), "types[1, 2] (migratetype of a pageblock)"),
        ("counts", (1, 3, 1), "counts[1, 3, 1] (order 3, movable)"),
        ("hashes", (0, 2), "hashes[0, 2] (per-CPU lists)"),
    ],
)
def test_a_difference_is_told_with_op_field_and_values(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    key: str,
    at: tuple[int, ...],
    field: str,
) -> None:
    expected, found = change(folder / "latest__micro.npz", key, at, 1)
    assert verify_folder(folder) == 1
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith(f"{'latest__micro':<28} DIFFERS at op ")
    assert line.endswith(f": {field}: expected {expected}, found {found}")
    op = int(line.split(" op ")[1].split(":")[0])
    ops = golden.load_trace(folder / "trace_micro.npz").ops
    assert (ops["code"][op] == 8) == (key not in ("res", "scan"))


def test_the_earliest_operation_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(folder / "latest__micro.npz", "zone", (2, 7), 1)
    change(folder / "latest__micro.npz", "hashes", (1, 0), 1)
    change(folder / "latest__micro.npz", "res", (-1,), 1)
    assert verify_folder(folder, quiet=True) == 1
    out = capsys.readouterr().out
    assert "hashes[1, 0] (free lists)" in out
    assert out.endswith("1 of 2 exact\n")


@pytest.mark.parametrize("name", FILES)
def test_truncated_files_are_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TraceError, match=f"{name}: no whole .npz file") as caught:
        verify_folder(folder)
    assert caught.value.exit_status == 4


def test_other_damage_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "trace_micro.npz").write_bytes(b"")
    with pytest.raises(TraceError, match=r"trace_micro\.npz: "):
        verify_folder(folder)
    np.savez(folder / "trace_micro.npz", code=np.zeros(3))
    with pytest.raises(TraceError, match="not a golden vector: 'cfg"):
        verify_folder(folder)
    with (folder / "trace_micro.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(TraceError, match=r"no whole \.npz file"):
        verify_folder(folder)
    (folder / "trace_micro.npz").unlink()
    with pytest.raises(TraceError, match="its trace is missing"):
        verify_folder(folder)


def test_a_missing_key_is_a_difference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "latest__micro.npz"
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    np.savez(path, **{**arrays, "more": np.zeros(3)})
    assert verify_folder(folder, quiet=True) == 1
    assert "shape of more: expected (3,), found (0,)" in capsys.readouterr().out


@pytest.mark.parametrize("kept", [(), ("bulk_delta",)])
def test_a_gutted_result_is_no_exact_one(folder: Path, kept: tuple[str, ...]) -> None:
    path = folder / "latest__micro.npz"
    with np.load(path) as data:
        arrays = {name: data[name] for name in kept}
    np.savez(path, **arrays)
    with pytest.raises(TraceError, match=r"no result file: res, .*counts is not in it"):
        verify_folder(folder, quiet=True)


def test_folders_without_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no golden vectors: a vector is"):
        verify_folder(tmp_path)
    with pytest.raises(TraceError, match="there is no such folder"):
        verify_folder(tmp_path / "missing")
