"""Several threads may compile at once, each into the cache folder that it names."""

from __future__ import annotations

import ast
import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import config

from rmqueue.diagnosis import parsed
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


@pytest.fixture
def foreign_parser() -> Iterator[threading.Thread]:
    """A thread that parses Python all the time; any collection of garbage lets it."""
    text, done = Path(__file__).read_text(encoding="utf-8"), threading.Event()

    def parse() -> None:
        while not done.is_set():
            try:
                ast.parse(text)
            except SystemError:  # what we must not see
                time.sleep(0)

    def switch(phase: str, info: object) -> None:
        if threading.current_thread() is not thread:
            time.sleep(1e-3)

    thread, often = threading.Thread(target=parse), gc.get_threshold()
    gc.callbacks.append(switch)
    gc.set_threshold(20)
    thread.start()
    yield thread
    done.set()
    thread.join()
    gc.set_threshold(*often)
    gc.callbacks.remove(switch)


def test_another_thread_may_parse(foreign_parser: threading.Thread) -> None:
    """Python 3.11 has one depth of the parser for all threads."""
    text, until = Path(__file__).read_text(encoding="utf-8"), time.monotonic() + 0.5
    while time.monotonic() < until:
        assert parsed(text).body
    assert foreign_parser.is_alive()
