"""Fixtures that several modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmqueue.registry import Registry, default_registry
from tests.unit.fake_tracefs import LINES, FakeKernel, lead_to


@pytest.fixture
def own_registry() -> Iterator[Registry]:
    """The registry of the process, without what is added to it afterwards."""
    default_registry.cache_clear()
    yield default_registry()
    default_registry.cache_clear()


@pytest.fixture
def kernel_root(tmp_path: Path) -> Path:
    (tmp_path / "kernel").mkdir()
    return tmp_path / "kernel"


@pytest.fixture
def kernel_lines() -> list[str]:
    """What is traced; tests choose it by parametrization."""
    return list(LINES)


@pytest.fixture
def kernel(
    kernel_root: Path, kernel_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeKernel]:
    made = FakeKernel(kernel_root, kernel_lines)
    make, remove = lead_to(made.programs, kernel_root)
    monkeypatch.setattr(os, "mkdir", make)
    monkeypatch.setattr(os, "rmdir", remove)
    with made:
        yield made
