"""Compiled code on disk: never stale, never mixed up.  Each in processes of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rmqueue
from tests.golden.vectors import DATA

CORE = Path(rmqueue.__file__).parents[1]
REPLAY = f"""
import sys, hashlib
from rmqueue.testing import golden
trace = golden.load_trace({str(DATA / "trace_micro.npz")!r})
found = golden.replay_ops(golden.Zone(trace.config("6.14"), sys.argv[1]), trace.ops)
print(hashlib.sha256(b"".join(found[k].tobytes() for k in sorted(found))).hexdigest())
"""


def run(code: str, *arguments: str, cache: Path, **env: str) -> str:
    """Run code in a new process with a cache folder; return what it prints."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "RMQUEUE_CACHE_DIR": str(cache), **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def builds(cache: Path) -> set[str]:
    return {path.name for path in (cache / "code").iterdir()}


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache folder with everything that a replay needs, and what the replay gives."""
    cache = tmp_path_factory.mktemp("warm")
    return cache, run(REPLAY, "remembered-fallback", cache=cache)


@pytest.mark.slow
def test_a_warm_start_compiles_nothing(warm: tuple[Path, str]) -> None:
    cache, expected = warm
    before = sorted(cache.rglob("*"))
    assert any(path.suffix == ".nbc" for path in before)
    assert run(REPLAY, "remembered-fallback", cache=cache) == expected
    assert sorted(cache.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_what_was_cut_short_is_compiled_again(
    warm: tuple[Path, str], tmp_path: Path, suffix: str
) -> None:
    shutil.copytree(warm[0], tmp_path / "cache")
    for path in (tmp_path / "cache").rglob(f"*{suffix}"):
        os.truncate(path, path.stat().st_size // 2)
    for _ in range(2):
        assert run(REPLAY, "remembered-fallback", cache=tmp_path / "cache") == warm[1]


@pytest.mark.slow
def test_an_edit_of_any_file_of_mm_is_seen(
    warm: tuple[Path, str], tmp_path: Path
) -> None:
    """The edit is in a callee, in another file than the entry point."""
    cache, expected = warm
    before = builds(cache)
    shutil.copytree(CORE / "rmqueue", tmp_path / "rmqueue")
    path = {"PYTHONPATH": str(tmp_path)}
    assert run(REPLAY, "remembered-fallback", cache=cache, **path) == expected
    assert builds(cache) == before  # the same text, the same code
    source = tmp_path / "rmqueue" / "mm" / "fallback.py"
    text = source.read_text()
    edited = text.replace(
        "FALLBACKS = (2, 1, 2, 0, 0, 1)", "FALLBACKS = (1, 2, 0, 2, 1, 0)"
    )
    assert edited != text
    source.write_text(edited)
    assert run(REPLAY, "remembered-fallback", cache=cache, **path) != expected
    assert len(builds(cache) - before) == 1
    source.write_text(text)
    assert run(REPLAY, "remembered-fallback", cache=cache, **path) == expected


@pytest.mark.slow
def test_bounds_checks_are_another_build_with_equal_results(
    warm: tuple[Path, str],
) -> None:
    cache, expected = warm
    before = builds(cache)
    checked = run(REPLAY, "remembered-fallback", cache=cache, RMQUEUE_BOUNDSCHECK="1")
    assert checked == expected
    assert len(builds(cache) - before) == 1


TOGETHER = """
import sys
from rmqueue.config import ZoneConfig
from rmqueue.zone import Zone
zones = [Zone(ZoneConfig(pages=2048, kernel="6.9"), name) for name in sys.argv[1:]]
for zone in zones:
    zone.alloc_bulk(0, 2048, "movable")
    for pfn in (100, *range(8, 12), *range(600, 608)):
        zone.free(pfn)
    print(zone.alloc_bulk(0, 3, "unmovable").tolist())
"""


@pytest.mark.slow
def test_strategies_compiled_apart_are_not_mixed_up(warm: tuple[Path, str]) -> None:
    """Each from a process that compiled nothing else, then all of them in one."""
    cache, _ = warm
    names = ("none", "greedy-steal", "claim-whole-block", "steal-smallest-buddy")
    before = len(list(cache.rglob("*.nbc")))
    alone = [run(TOGETHER, name, cache=cache) for name in names]
    assert len(list(cache.rglob("*.nbc"))) >= before + len(names)
    assert run(TOGETHER, *names, cache=cache).splitlines() == alone
    assert run(TOGETHER, *reversed(names), cache=cache).splitlines() == alone[::-1]
    assert alone == ["[]", "[600, 601, 602]", "[600, 604, 8]", "[100, 8, 9]"]


def test_importing_the_facade_imports_no_compiler(tmp_path: Path) -> None:
    code = """
import sys, time
import rmqueue
assert rmqueue.__version__
print(time.process_time())
heavy = {"numba", "llvmlite", "numpy", "pydantic", "rich", "typer", "pluggy"}
print(sorted(heavy & set(sys.modules)))
"""
    seconds, heavy = run(code, cache=tmp_path).splitlines()
    assert heavy == "[]"
    assert float(seconds) < 1.0
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_starts_without_the_compiler(tmp_path: Path) -> None:
    code = "import sys, rmqueue.cli; print('numba' in sys.modules)"
    assert run(code, cache=tmp_path) == "False"
