"""Several threads may compile at once, each into the cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rmqueue.mm.jit import ENABLED

PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from rmqueue.binding import BoundStrategy
from rmqueue.mm.profile import PROFILES

names = ["none", "tight-fallback", "remembered-fallback", "claim-whole-block"]
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda name: BoundStrategy(name, "7.3"), names))
"""


@pytest.mark.skipif(not ENABLED, reason="nothing is compiled")
def test_nothing_is_written_outside_the_cache(tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "here"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**os.environ, "RMQUEUE_CACHE_DIR": str(cache)},
        check=True,
    )
    assert not list(folder.iterdir())
    assert len(list(cache.rglob("*.nbi"))) == 4
