"""The converted form that comes with the built-in recording is what it converts to."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmqueue.mm.jit import ENABLED
from rmqueue.types import Recording, ZoneState
from rmqueue_plugins.readers import recording
from rmqueue_plugins.readers.cache import SHIPPED
from tests.meta.refresh_converted import RECORDING


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, arrays and mappings of arrays too."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def require_same(one: Recording, other: Recording) -> None:
    for name in ("name", "source", "kernel", "notes"):
        assert getattr(one, name) == getattr(other, name)
    for left, right in zip(one.zones, other.zones, strict=True):
        assert same(left.ops, right.ops)
        assert left.slots == right.slots
        assert same(plain(dict(left.recorded)), plain(dict(right.recorded)))
        for field in fields(ZoneState):
            values = (getattr(zone.state, field.name) for zone in (left, right))
            assert same(*values), field.name


def plain(value: Any) -> Any:
    """Numbers of matrices, whatever holds them."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return np.asarray(value).tolist() if not isinstance(value, str) else value


@pytest.mark.skipif(not ENABLED, reason="scans a million characters in Python")
def test_it_is_fresh() -> None:
    shipped = recording.read(RECORDING)
    require_same(shipped, recording.convert_folder(RECORDING))


def refused(folder: Path, seed: int) -> Recording:
    raise AssertionError(f"{folder} is converted")


def test_it_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(recording, "convert_folder", refused)
    assert recording.read(RECORDING).name == "steal-7.3"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["another file", "damaged"])
def test_it_must_fit_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(recording, "convert_folder", refused)
    copy = tmp_path / "copy"
    shutil.copytree(RECORDING, copy)
    assert recording.read(copy).source == str(copy)
    if change == "damaged":
        path = copy / SHIPPED
        path.write_bytes(path.read_bytes()[:1000])
    else:
        about = copy / "recording.json"
        about.write_text(about.read_text() + "\n")
    with pytest.raises(AssertionError, match="is converted"):
        recording.read(copy)
