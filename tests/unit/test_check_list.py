"""The list that ``rmqueue check`` prints says the same thing once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.check import CHECKS, run
from rmqueue.errors import PluginError
from rmqueue.mm.jit import ENABLED
from rmqueue.mm.profile import PROFILES
from rmqueue.registry import Registry

STRATEGY = """\
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import rmqueue_steal
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    {body}


@hookimpl
def rmqueue_strategies():
    return [Strategy("mine", "Mine.", fallback)]
"""


def printed_of(body: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    path, registry = folder / "mine.py", Registry()
    path.write_text(STRATEGY.format(body=body))
    registry.add_file(path)
    with pytest.raises(PluginError) as caught:
        run(None, registry)
    return f"{capsys.readouterr().out}{caught.value}\n"


@pytest.mark.skipif(not ENABLED, reason="there is nothing to compile")
def test_what_does_not_compile_is_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    body = "return rmqueue_stael(zone, order, start_mt)"
    printed = printed_of(body, tmp_path, capsys)
    lines = printed.splitlines()
    assert lines[1] == "  FAILED   it compiles"
    assert printed.count("rmqueue_stael' is not defined") == 1
    assert "  ok" not in printed
    left = len(CHECKS["strategy"]) - 1
    assert lines[-1].endswith(
        f"checks failed: {left} need that it compiles, and were not run"
    )


def test_kernels_that_fail_alike_are_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    printed = printed_of("return 0", tmp_path, capsys)
    alike = [
        line.endswith(": as above")
        for line in printed.splitlines()
        if "no stream breaks an invariant on kernel" in line
    ]
    assert alike == [False] + [True] * (len(PROFILES) - 1)
