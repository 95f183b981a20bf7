"""Several threads may compile at once, each into the cache folder that it names."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import config

from rmqueue.mm import jit

Function = Callable[..., Any]


def test_each_thread_sees_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba reads a global, at its leisure."""
    seen: list[tuple[str, str]] = []

    def slow_compiler(*_: Any, **options: Any) -> Callable[[Function], Function]:
        def compiled(function: Function) -> Function:
            wanted = function()
            time.sleep(0.05)
            seen.append((wanted, config.CACHE_DIR))
            return function

        return compiled

    monkeypatch.setattr(jit, "ENABLED", True)
    monkeypatch.setattr(numba, "njit", slow_compiler)
    folders = [f"folder-{index}" for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for folder in folders:
            pool.submit(
                jit.compile_entry, lambda own=folder: own, (jit.I64,), Path(folder)
            )
    assert sorted(seen) == [(folder, folder) for folder in folders]
