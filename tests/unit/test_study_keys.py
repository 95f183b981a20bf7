"""Keys of runs: equal keys, equal results, on whatever machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rmqueue.registry import default_registry
from rmqueue.study.file import variants
from rmqueue.study.task import tasks_of
from tests.meta.sources import ROOT
from tests.unit.test_study_design import study

#: A plugin whose compiled code names its file: a loop, and something that is raised.
LOOPING = """\
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.jit import jit
from rmqueue.types import Strategy
from pydantic import BaseModel


class Parameters(BaseModel):
    tries: int = 1


@jit
def count(limit):
    if limit < 0:
        raise ValueError("less than nothing")
    total = 0
    for number in range(limit):
        total += number
    return total


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    return -1 - count(0)


@hookimpl
def rmqueue_strategies():
    return [Strategy("looping", "Count, and fail.", fallback, Parameters)]
"""


def keys_here(path: Path, plugin: Path) -> list[str]:
    """Keys of a study whose strategies may come from a file."""
    default_registry.cache_clear()
    default_registry().add_file(plugin)
    found = [task.key for task in tasks_of(variants(path))]
    default_registry.cache_clear()
    return found


def test_keys_are_the_same_in_every_process(tmp_path: Path) -> None:
    path = study(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from rmqueue.study.file import variants\n"
        "from rmqueue.study.task import tasks_of\n"
        "print([t.key for t in tasks_of(variants(Path(sys.argv[1])))])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{[t.key for t in tasks_of(variants(path))]}\n"}


def keys_elsewhere(path: Path, folder: Path, plugin: Path) -> list[str]:
    """Keys on another processor, with rmqueue, the study and a plugin in a folder."""
    parts = ("core", "strategies", "plugins")
    for part in parts:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    study, own = (Path(shutil.copy(one, folder)) for one in (path, plugin))
    program = (
        "import sys, rmqueue; from pathlib import Path\n"
        "from rmqueue.options import load_plugin_files\n"
        "from rmqueue.study.file import variants\n"
        "from rmqueue.study.task import tasks_of\n"
        "assert rmqueue.__file__.startswith(sys.argv[3])\n"
        "load_plugin_files([Path(sys.argv[2])])\n"
        "for t in tasks_of(variants(Path(sys.argv[1]))): print(t.key)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(study), str(own), str(folder)],
        env={
            **os.environ,
            "NUMBA_CPU_NAME": "generic",
            "PYTHONPATH": os.pathsep.join(str(folder / part) for part in parts),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_keys_are_the_same_on_other_machines_and_in_other_folders(
    tmp_path: Path,
) -> None:
    plugin = tmp_path / "looping.py"
    plugin.write_text(LOOPING)
    path = study(tmp_path, '[[strategies]]\nname = "looping"\n')
    elsewhere = keys_elsewhere(path, tmp_path / "else where", plugin)
    assert keys_here(path, plugin) == elsewhere


def test_an_edit_that_changes_a_run_changes_its_key(tmp_path: Path) -> None:
    plugin = tmp_path / "looping.py"
    path = study(tmp_path, '[[strategies]]\nname = "looping"\n')
    found = []
    for old, new in (
        ("", ""),
        ("tries: int = 1", "tries: int = 2"),
        ("total += number", "total += 2 * number"),
        ("import BaseModel", "import BaseModel\n\n# a remark"),
    ):
        plugin.write_text(LOOPING.replace(old, new))
        found.append(keys_here(path, plugin))
    before, default, code, remark = found
    assert before == remark
    assert len({*before[4:], *default[4:], *code[4:]}) == 6
    assert before[:4] == default[:4] == code[:4]
